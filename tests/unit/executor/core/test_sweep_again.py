"""A saved sweep that is carried on: what is still to begin is held against the world of now."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor import sweep_again
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.run import Target
from runpod_deploy.executor.sweep import shard
from runpod_deploy.executor.sweep_run import SweepListeners, SweepWishes, World
from runpod_deploy.facts.plan_sweep import plan_sweep
from runpod_deploy.record.event_lines import encode_event
from runpod_deploy.record.events import Event
from runpod_deploy.record.run_request import ask
from runpod_deploy.schema.load import load

JOB = """\
schema_version: 3
name: small
pod: {image: "runpod/base:1.0.2-ubuntu2204", gpu_order: [NVIDIA L4]}
staging:
  - {label: code, source: src, destination: /root/src}
matrix: {axes: {seed: ["1", "2", "3", "4", "5"]}}
run: {body: "echo {{ seed }}"}
"""
TARGET = Target(label="runpod", api_url="https://127.0.0.1:9/v2", api_key="k")
Told = tuple[str, dict[str, Any]]


def journal(folder: Path, *told: Told) -> None:
    """Write what happened so far."""
    folder.mkdir(parents=True, exist_ok=True)
    events = (
        Event(event=name, ts_utc="2026-05-14T02:12:00.000000Z", seq=seq, fields=fields)
        for seq, (name, fields) in enumerate(told, 1)
    )
    (folder / "events.jsonl").write_bytes(b"".join(map(encode_event, events)))


def begun(seed: int, run_dir: str) -> tuple[Told, Told]:
    """Return the events of a run that was begun."""
    name = f"seed={seed}"
    opened = ("shard_opened", {"shard": name, "run_dir": run_dir})
    return ("shard_started", {"shard": name}), opened


def ended(seed: int, state: str) -> Told:
    """Return the event of a run that is over."""
    rest = {"again": False, "cause": None, "error": None, "cost_usd": 0.0}
    return "shard_ended", {"shard": f"seed={seed}", "state": state, **rest}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFile:
    """Five runs: one succeeded, one failed, one under way, one cut before its first word, one waits."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("a")
    (tmp_path / "job.yaml").write_text(JOB)
    tell(tmp_path, saved=True)
    journal(tmp_path / "r3", ("run_started", {}))
    journal(tmp_path / "r4")
    return plan_sweep(load(tmp_path / "job.yaml"), new_id=lambda: "0" * 32, use_cache=False)[0]


def tell(root: Path, **started: Any) -> None:
    """Write the sweep's journal."""
    journal(
        root / "sweep",
        ("sweep_started", started),
        *begun(1, "r1"),
        ended(1, "SUCCEEDED"),
        *begun(2, "r2"),
        ended(2, "FAILED"),
        *begun(3, "r3"),
        *begun(4, "r4"),
    )


@pytest.fixture
def wished(monkeypatch: pytest.MonkeyPatch) -> list[SweepWishes]:
    """For each sweep that went on, what is wished for it."""
    seen: list[SweepWishes] = []

    async def go_on(*_: Any, wishes: SweepWishes, **__: Any) -> None:
        seen.append(wishes)

    monkeypatch.setattr(sweep_again, "continue_sweep", go_on)
    return seen


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were held against the world."""
    seen: list[str] = []

    async def hold(plans: Sequence[PlanFile], *_: Any, **__: Any) -> None:
        seen.extend(shard(one).name.removeprefix("seed=") for one in plans)

    monkeypatch.setattr(sweep_again, "refuse_stale", hold)
    return seen


def carry_on(sweep: SweepFile, root: Path, wishes: SweepWishes) -> None:
    """Carry the sweep on."""
    world = World(
        project_root=root,
        target=TARGET,
        environ={"HOME": str(root)},
        allow_paths=(),
        listeners=SweepListeners(),
    )
    asyncio.run(
        sweep_again.carry_on_sweep(
            sweep, root / "sweep", world=world, wishes=wishes, interrupts=Interrupts()
        )
    )


@pytest.mark.parametrize(
    ("wishes", "names"),
    [
        (SweepWishes(), ["4", "5"]),
        (SweepWishes(retry=True), ["2", "4", "5"]),
        (SweepWishes(retry=True, only=frozenset({"seed=1", "seed=2"})), ["2"]),
    ],
)
def test_what_is_still_to_begin_is_held(
    sweep: SweepFile,
    tmp_path: Path,
    wished: list[SweepWishes],
    held: list[str],
    wishes: SweepWishes,
    names: list[str],
) -> None:
    """By `resume`, and by `--retry-failed` what failed as well; never what is under way or is done."""
    carry_on(sweep, tmp_path, wishes)
    assert (names, [True]) == (held, [one.saved for one in wished])


def test_a_sweep_of_a_job_file_and_one_that_ends_are_not_held(
    sweep: SweepFile, tmp_path: Path, wished: list[SweepWishes], held: list[str]
) -> None:
    """Nothing was approved, or nothing begins; where it is not told, the sweep counts as saved."""
    tell(tmp_path, saved=False)
    carry_on(sweep, tmp_path, SweepWishes())
    tell(tmp_path)
    ask(tmp_path / "sweep", "cancel", by="me", at="now")
    carry_on(sweep, tmp_path, SweepWishes())
    assert ([], [False, True]) == (held, [one.saved for one in wished])
    carry_on(sweep, tmp_path, SweepWishes(retry=True))
    assert ["2", "4", "5"] == held


def test_what_was_left_out_stays_out(
    sweep: SweepFile, tmp_path: Path, wished: list[SweepWishes], held: list[str]
) -> None:
    """A sweep begun with some runs, so many at a time, goes on with those unless others are named."""
    tell(tmp_path, only=["seed=1", "seed=2", "seed=3", "seed=4"], max_parallel=2)
    carry_on(sweep, tmp_path, SweepWishes())
    carry_on(sweep, tmp_path, SweepWishes(only=frozenset({"seed=5"}), max_parallel=3))
    tell(tmp_path, only=None, max_parallel=None)
    carry_on(sweep, tmp_path, SweepWishes())
    assert ["4", "5", "4", "5"] == held
    assert [2, 3, None] == [one.max_parallel for one in wished]
    assert frozenset({f"seed={n}" for n in range(1, 5)}) == wished[0].only
    assert (frozenset({"seed=5"}), None) == (wished[1].only, wished[2].only)


def test_a_difference_refuses_it_and_says_how_to_go_on(
    sweep: SweepFile, tmp_path: Path, wished: list[SweepWishes]
) -> None:
    """Nothing begins, and what is under way has its own `resume`."""
    (tmp_path / "src" / "a").write_text("other")
    with pytest.raises(PlanRefused, match="seed=4 of the sweep") as caught:
        carry_on(sweep, tmp_path, SweepWishes())
    assert "plan job.yaml -o sweep.json" in (caught.value.help or "")
    assert f"runpod-deploy resume {tmp_path / 'r3'}" in (caught.value.help or "")
    assert [] == wished
