"""The start-up benchmark's arithmetic, its verdict and its words, without running anything."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "plan_startup.py"

Measure = Callable[[Sequence[str]], float]


@pytest.fixture(scope="module")
def benchmark_script() -> dict[str, Any]:
    """Load the script without running its main part."""
    return runpy.run_path(str(SCRIPT))


def stopwatch(plan: Sequence[float], baseline: Sequence[float]) -> tuple[Measure, list[str]]:
    """Return a measure that answers from two lists in turn, and the log of what it was asked."""
    times = {"plan": iter(plan), "baseline": iter(baseline)}
    asked: list[str] = []

    def measure(command: Sequence[str]) -> float:
        kind = "plan" if "runpod_deploy" in command else "baseline"
        asked.append(kind)
        return next(times[kind])

    return measure, asked


def test_ratios_are_taken_within_each_pair(benchmark_script: dict[str, Any]) -> None:
    """The median of the ratios is not the ratio of the medians when the machine slows half-way."""
    result = benchmark_script["compare"]([(1.0, 2.0), (9.0, 3.0), (40.0, 10.0)])

    expected = benchmark_script["Comparison"](
        plan_s=9.0, baseline_s=3.0, ratio_min=0.5, ratio_median=3.0, ratio_max=4.0
    )
    assert expected == result


def test_an_even_number_of_pairs_takes_the_middle_of_both(benchmark_script: dict[str, Any]) -> None:
    """With an even count the median lies half-way between the two in the middle."""
    result = benchmark_script["compare"]([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (8.0, 1.0)])

    assert pytest.approx(2.5) == result.ratio_median


@pytest.mark.parametrize(("plan_s", "status"), [(1.4, 0), (1.5, 0), (1.6, 1)])
def test_only_a_median_above_the_target_fails(
    benchmark_script: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    plan_s: float,
    status: int,
) -> None:
    """The exit status is 1 above the target only, and the last line gives the ratio."""
    measure, asked = stopwatch([99.0, 99.0] + [plan_s] * 11, [1.0] * 13)

    assert status == benchmark_script["main"](["--pairs", "11"], measure)

    last = capsys.readouterr().out.splitlines()[-1]
    assert f"plan start-up: ratio {plan_s:.2f} (target <= 1.50)" == last
    assert asked == ["plan", "baseline"] * 13


def test_a_command_that_fails_is_not_measured(
    benchmark_script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """When a command ends with an error the status is 2 and its words are shown."""

    def measure(command: Sequence[str]) -> float:
        raise benchmark_script["CommandFailed"](f"exit status 4 from: {command[-1]}\nno such file")

    assert benchmark_script["main"]([], measure) == 2
    assert "no such file" in capsys.readouterr().err


def test_too_few_pairs_are_refused(
    benchmark_script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer than eleven pairs are a usage error that says so."""
    with pytest.raises(SystemExit):
        benchmark_script["main"](["--pairs", "3"], stopwatch([], [])[0])

    assert "fewer than 11" in capsys.readouterr().err
