"""Which line of a log shows why its job ended: logs as torch, transformers, vLLM and shells write them."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from runpod_deploy.record.evidence import find_evidence

LOGS = Path(__file__).parent / "logs"


@dataclass(frozen=True)
class Case:
    """A log, the exit code of its job, and what it shows."""

    name: str
    code: int | None
    kind: str | None
    shows: str | None
    text: str


def cases() -> list[Case]:
    """Read the logs; the first line of each says what is expected."""
    found = []
    for file in sorted(LOGS.glob("*.log")):
        head, _, text = file.read_text().partition("\n")
        told = re.fullmatch(r"# exit (\S+), (\S+): ?(.*)", head)
        assert told is not None, file
        code, kind, shows = told.groups()
        found.append(
            Case(
                name=file.stem,
                code=None if code == "unknown" else int(code),
                kind=None if kind in {"error", "nothing"} else kind,
                shows=shows or None,
                text=text,
            )
        )
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_line_nearest_to_the_end_that_explains_it(case: Case) -> None:
    """Each log under `logs/` shows the kind and the line that its first line names."""
    lines = case.text.split("\n")
    found = find_evidence(lines, case.code)
    if case.shows is None:
        assert found is None
        return
    assert found is not None
    assert case.kind == found.kind
    assert case.shows in lines[found.at]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_log_cut_anywhere_is_no_error(case: Case) -> None:
    """Whatever a torn log holds, at most a line is found."""
    for end in range(0, len(case.text), 97):
        found = find_evidence(case.text[:end].split("\n"), case.code)
        assert found is None or found.at <= case.text.count("\n", 0, end)


@pytest.mark.parametrize(
    "unit", ["a/", "Free memory on device ", "line 1: 1 ", '  File "x", line ', "("]
)
def test_a_line_made_to_be_slow_is_read_as_fast_as_any(unit: str) -> None:
    """Hostile text of the size of all that is looked at takes no time to speak of."""
    assert find_evidence([unit * (256 * 1024 // len(unit))], 1) is None
