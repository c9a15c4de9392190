"""The arithmetic of benchmarks that measure in pairs, their verdicts and words, without running anything."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.schema.load import load

FOLDER = Path(__file__).parents[3] / "benchmarks"
SCRIPTS = {"plan_startup": ("plan start-up", 1.5), "validate_many": ("validate 200 files", 3.0)}
each_script = pytest.mark.parametrize("name", SCRIPTS)

Measure = Callable[[Sequence[str]], float]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Load a script without running its main part."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: runpy.run_path(str(FOLDER / f"{name}.py"))


def stopwatch(ours: Sequence[float], baseline: Sequence[float]) -> tuple[Measure, list[str]]:
    """Return a measure that answers from two lists in turn, and the log of what it was asked."""
    times = {"ours": iter(ours), "baseline": iter(baseline)}
    asked: list[str] = []

    def measure(command: Sequence[str]) -> float:
        kind = "ours" if "runpod_deploy" in command else "baseline"
        asked.append(kind)
        return next(times[kind])

    return measure, asked


def test_ratios_are_taken_within_each_pair(loaded: Callable[[str], dict[str, Any]]) -> None:
    """The median of the ratios is not the ratio of the medians when the machine slows half-way."""
    paired = loaded("paired")

    result = paired["compare"]([(1.0, 2.0), (9.0, 3.0), (40.0, 10.0)])

    expected = paired["Comparison"](
        ours_s=9.0, baseline_s=3.0, ratio_min=0.5, ratio_median=3.0, ratio_max=4.0
    )
    assert expected == result


def test_an_even_number_of_pairs_takes_the_middle_of_both(
    loaded: Callable[[str], dict[str, Any]],
) -> None:
    """With an even count the median lies half-way between the two in the middle."""
    result = loaded("paired")["compare"]([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (8.0, 1.0)])

    assert pytest.approx(2.5) == result.ratio_median


@each_script
@pytest.mark.parametrize(("over", "status"), [(-0.1, 0), (0.0, 0), (0.1, 1)])
def test_only_a_median_above_the_target_fails(
    loaded: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    name: str,
    over: float,
    status: int,
) -> None:
    """The exit status is 1 above the target only, and the last line gives the ratio."""
    title, target = SCRIPTS[name]
    measure, asked = stopwatch([99.0, 99.0] + [target + over] * 11, [1.0] * 13)

    assert status == loaded(name)["main"](["--pairs", "11"], measure)

    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{title}: ratio {target + over:.2f} (target <= {target:.2f})" == last
    assert asked == ["ours", "baseline"] * 13


@each_script
def test_a_command_that_fails_is_not_measured(
    loaded: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """When a command ends with an error the status is 2 and its words are shown."""
    script = loaded(name)

    def measure(_: Sequence[str]) -> float:
        raise script["paired"].CommandFailed("exit status 4 from: plan\nno such file")

    assert script["main"]([], measure) == 2
    assert "no such file" in capsys.readouterr().err


@each_script
def test_too_few_pairs_are_refused(
    loaded: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Fewer than eleven pairs are a usage error that says so."""
    with pytest.raises(SystemExit):
        loaded(name)["main"](["--pairs", "3"], stopwatch([], [])[0])

    assert "fewer than 11" in capsys.readouterr().err


def test_both_processes_get_the_same_job_files(
    loaded: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    """The files are 200 good jobs, no two alike, and both commands are given all of them."""
    script = loaded("validate_many")

    files = script["write_project"](tmp_path)

    assert len({load(file).name for file in files}) == 200
    asked: list[Sequence[str]] = []
    script["main"](["--pairs", "11"], lambda command: asked.append(command) or 1.0)
    ours, baseline = asked[:2]
    assert ours[-200:] == baseline[-200:]
    assert all(one.endswith(".yaml") for one in ours[-200:])
