"""Each folder beside this file is a case: a job file and what the tool has to say about it.

`job.yaml` with `diagnostics.txt`: the file is refused with exactly that text. `variables.json`, when
there is one, holds the variables of the command line. Run with UPDATE_GOLDEN=1 to write the expected files
anew, and read the difference before committing it.
"""

import json
import os
from pathlib import Path

import pytest

from runpod_deploy.cli.diagnostics import render_text
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.load import load

HERE = Path(__file__).parent
DIAGNOSTICS = sorted(path.parent.name for path in HERE.glob("*/diagnostics.txt"))


def variables_of(case: Path) -> dict[str, str]:
    """Return the variables that the command line of the case sets."""
    file = case / "variables.json"
    if not file.exists():
        return {}
    variables: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return variables


def hold_against(expected: Path, text: str) -> None:
    """Compare `text` with a file of the case, or write the file when asked to."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        expected.write_text(text, encoding="utf-8")

    assert expected.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", DIAGNOSTICS)
def test_refused_with_these_words(name: str) -> None:
    """A job file that cannot be is refused with the words of its case, and no others."""
    case = HERE / name

    with pytest.raises(InvalidInput) as refused:
        load(case / "job.yaml", variables_of(case), display="job.yaml")

    text = render_text(refused.value.diagnostics, color=False)
    hold_against(case / "diagnostics.txt", text)
