"""Who owns a pod: an id that is given, or one that is kept."""

from pathlib import Path

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.identity import owner_id


def test_an_id_is_made_once_and_kept(tmp_path: Path) -> None:
    """The second run finds the id of the first, without writing anything."""
    first = owner_id({"HOME": str(tmp_path)})
    kept = tmp_path / ".config" / "runpod-deploy" / "owner"
    kept.chmod(0o400)
    kept.parent.chmod(0o500)
    assert first == owner_id({"HOME": str(tmp_path)})


def test_a_home_that_keeps_nothing_is_explained(tmp_path: Path) -> None:
    """The message names the file and the variable that does without it."""
    (tmp_path / ".config").write_text("not a folder")
    with pytest.raises(InvalidInput) as caught:
        owner_id({"HOME": str(tmp_path)})
    assert str(tmp_path / ".config" / "runpod-deploy" / "owner") in caught.value.message
    assert "RUNPOD_DEPLOY_OWNER" in (caught.value.help or "")
    assert "mine" == owner_id({"HOME": str(tmp_path), "RUNPOD_DEPLOY_OWNER": "mine"})
