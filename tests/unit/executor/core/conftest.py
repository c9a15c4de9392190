"""What every test of the executor's core starts from."""

from pathlib import Path

import pytest

from support.rig import RigMaker, rig_maker


@pytest.fixture
def make_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RigMaker:
    """Return a function that sets a run up on fakes."""
    return rig_maker(tmp_path, monkeypatch)
