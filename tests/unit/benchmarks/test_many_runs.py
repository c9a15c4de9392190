"""The tables of the benchmarks, without measuring anything."""

import runpy
from pathlib import Path
from typing import Any

import asyncssh  # noqa: F401 - looks for libraries by programs when it is loaded, which is not of a test
import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks"
GOOD: dict[str, Any] = {
    "runs": 500,
    "seconds": 120.0,
    "start_s": 60.0,
    "start_cpu_s": 0.15,
    "connection_kib": 38.0,
    "run_kib": 250.0,
    "cores": 0.6,
    "lines_per_s": 5000.0,
    "late_s": (0.1, 0.002),
    "succeeded": 500,
}


@pytest.fixture
def many() -> dict[str, Any]:
    """The benchmark of many runs, loaded without running its main part."""
    return runpy.run_path(str(FOLDER / "many_runs.py"))


def test_all_targets_met(many: dict[str, Any]) -> None:
    """The last line is the summary."""
    table, met = many["render"](many["Figures"](**GOOD))
    assert met
    assert "MISSED" not in table
    assert "many runs: 500 of 500 succeeded" == table.splitlines()[-1]


@pytest.mark.parametrize(
    "worse",
    [{"connection_kib": 101.0}, {"cores": 1.1}, {"late_s": (0.6, 0.1)}, {"succeeded": 499}],
)
def test_each_target_counts(many: dict[str, Any], worse: dict[str, Any]) -> None:
    """One figure above its target, or one run that failed, is a miss."""
    assert not many["render"](many["Figures"](**{**GOOD, **worse}))[1]


@pytest.mark.parametrize(
    ("statuses", "expected"), [((0, 0, 2), 0), ((0, 1, 2), 1), ((0, 0, -9), 1)]
)
def test_one_miss_fails_the_whole(statuses: tuple[int, ...], expected: int) -> None:
    """All are run and told; what could not be measured here fails nothing, what broke does."""
    everything = runpy.run_path(str(FOLDER / "everything.py"))
    said, status = everything["summary"]([(one, f"told {one}") for one in statuses])
    assert expected == status
    assert all(f"told {one}" in said for one in statuses)
