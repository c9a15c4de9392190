"""A command that is killed in the middle of a run, and `resume`: the same end as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Bench
from support.crashing import End, killed_and_resumed, spread, undisturbed

pytestmark = pytest.mark.emulated

KILLS = 8


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> End:
    """The end of a run that nobody disturbs."""
    bench = Bench(Path(tmp_path_factory.mktemp("undisturbed")))
    end = undisturbed(bench)
    bench.close()
    assert not end.faults(end), end.output
    assert (end.status, end.state) == (0, "SUCCEEDED"), end.output
    assert "planted" not in end.log
    return end


@pytest.mark.parametrize("part", range(KILLS))
def test_killed_and_resumed_a_run_ends_as_if_nothing_had_happened(
    bench: Bench, expected: End, part: int
) -> None:
    """SIGKILL after lines spread over the journal: one pod, gone; same log, markers, files, verdict.

    `make campaign` does the same after every single line.
    """
    line = spread(expected.lines, KILLS)[part]
    end = killed_and_resumed(bench, line)

    assert end.faults(expected) == [], f"killed after line {line}:\n{end.output}"
