"""The arithmetic of the benchmark of large payloads, without running anything."""

import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script, loaded without running its main part."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return runpy.run_path(str(FOLDER / "plan_payload.py"))


def test_the_first_plan_is_held_against_sha256sum(bench: dict[str, Any]) -> None:
    """Ratios are taken within each round, and what any plan takes is off the second."""
    rounds = [
        bench["Round"](sha256sum=2.0, first=3.0, second=0.5, hello=0.3),
        bench["Round"](sha256sum=4.0, first=4.0, second=0.6, hello=0.2),
        bench["Round"](sha256sum=1.0, first=9.0, second=0.2, hello=0.3),
    ]

    first, second = bench["ratios"](rounds)

    assert (pytest.approx(1.5), pytest.approx(0.2 / 3)) == (first, second)
    assert "ratio 1.50 to sha256sum (target <= 1.50)" in bench["render"](rounds)
    assert "ratio 0.067 to the first (target <= 0.10)" in bench["render"](rounds)


def test_the_files_have_the_size_that_is_said(bench: dict[str, Any]) -> None:
    """20,000 files hold 500 MB, give or take a hundredth, and are the same each time."""
    sizes = list(bench["sizes"](bench["FILES"], bench["BYTES"]))

    assert 20_000 == len(sizes)
    assert pytest.approx(500_000_000, rel=0.01) == sum(sizes)
    assert sizes == list(bench["sizes"](bench["FILES"], bench["BYTES"]))


def test_a_round_measures_each_once(bench: dict[str, Any], tmp_path: Path) -> None:
    """sha256sum, the first plan, the second and the small one, with no digest kept beforehand."""
    cache = tmp_path / "cache"
    cache.mkdir()
    asked: list[str] = []

    def measure(command: Any) -> float:
        asked.append(" ".join(command))
        assert bool(cache.exists()) is False
        return float(len(asked))

    setup = bench["Bench"](job=tmp_path / "job.yaml", data=tmp_path / "data", cache=cache)
    measured = setup.measure(measure)

    assert (1.0, 2.0, 3.0, 4.0) == (
        measured.sha256sum,
        measured.first,
        measured.second,
        measured.hello,
    )
    assert ["sha256sum", "job.yaml", "job.yaml", "examples/hello/job.yaml"] == [
        "sha256sum" if "sha256sum" in one else one.rpartition(" ")[2].removeprefix(f"{tmp_path}/")
        for one in asked
    ]
