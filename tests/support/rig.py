"""An engine on fakes: one run in a folder of its own, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.engine import Engine
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.run import note_start
from runpod_deploy.executor.standing import read_standing
from runpod_deploy.executor.sync.download import DownloadReport
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import Journal
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import Run, fold
from runpod_deploy.record.run_folder import RunFolder
from support.fake_pod import Reply
from support.fakes import FakeClock, FakeCloud, FakeConnector, FakeJob, FakeMachine, run_virtual
from support.plans import plan_file, small_plan


@dataclass
class Listener:
    """Remembers what a run told."""

    messages: list[str] = field(default_factory=list)
    outputs: list[tuple[str, bytes]] = field(default_factory=list)

    def message(self, text: str) -> None:
        """Keep a message."""
        self.messages.append(text)

    def output(self, source: str, text: bytes) -> None:
        """Keep output."""
        self.outputs.append((source, text))

    def transfer(self, label: str, done: int, total: int) -> None:
        """Progress is not looked at."""

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Money is not looked at."""


class Downloads:
    """Stands in for the transfer of artifacts: each label's outcome is scripted.

    Attributes:
        outcomes: Remote path to what its next tries do: `"missing"`, `"refused"`, or an exception.
        tried: Remote paths in the order of the tries.
        final: Whether each was the one that proves everything.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str | Exception]] = {}
        self.tried: list[str] = []
        self.final: list[bool] = []

    async def download(
        self, transport: Any, *, remote_path: str, local: Path, final: bool, **_options: Any
    ) -> DownloadReport:
        """Pull one artifact over the fake connection."""
        self.tried.append(remote_path)
        self.final.append(final)
        await transport.run(f"pull {remote_path}")
        queue = self.outcomes.get(remote_path)
        what = queue.pop(0) if queue else "verified"
        if isinstance(what, Exception):
            raise what
        entry = {"path": "model.bin", "size": 3, "sha256": "0" * 64}
        verified = what == "verified"
        if verified:
            local.mkdir(parents=True, exist_ok=True)
            (local / "model.bin").write_bytes(b"abc")
        return DownloadReport(
            files=1 if verified else 0,
            bytes=3 if verified else 0,
            fetched=1 if verified else 0,
            tree_sha256="sha256:" + "0" * 64,
            entries=(entry,) if verified else (),
            refused=({"path": "model.bin", "why": "changed"},) if what == "refused" else (),
            missing=what == "missing",
        )


@dataclass
class Rig:
    """Everything around one engine; a test changes it before `run`."""

    ctx: RunContext
    clock: FakeClock
    cloud: FakeCloud
    connector: FakeConnector
    interrupts: Interrupts
    engine: Engine
    listener: Listener
    downloads: Downloads
    job: FakeJob
    machines: list[FakeMachine]
    suffixes: Iterator[int]
    secrets: tuple[str, ...]

    def answering(self, replies: Mapping[str, Reply | list[Reply]]) -> None:
        """Let every pod answer commands that match, from its first one on."""
        make = self.cloud.machine

        def machine() -> FakeMachine:
            made = make()
            made.replies.update(replies)
            return made

        self.cloud.machine = machine

    def resumed(self) -> Rig:
        """Return a second executor on the run that this one left, in the same cloud and time."""
        rig = _rig(
            self.ctx.folder.path,
            self.ctx.plan,
            environ=self.ctx.environ,
            secrets=self.secrets,
            suffixes=self.suffixes,
            cloud=self.cloud,
            job=self.job,
            machines=self.machines,
            resumed=True,
        )
        rig.downloads = self.downloads
        return rig

    def next_run(self, plan: Plan | None = None, *, job: FakeJob | None = None) -> Rig:
        """Return another run of the same project, in the same cloud and time."""
        folder = self.ctx.folder.path.with_name(f"{self.ctx.folder.path.name}-next")
        folder.mkdir()
        job = job or FakeJob()

        def machine() -> FakeMachine:
            self.machines.append(FakeMachine(job=job))
            return self.machines[-1]

        self.cloud.machine = machine
        rig = _rig(
            folder,
            plan or self.ctx.plan,
            environ=self.ctx.environ,
            secrets=self.secrets,
            suffixes=self.suffixes,
            cloud=self.cloud,
            job=job,
            machines=self.machines,
        )
        rig.downloads = self.downloads
        return rig

    def run(self) -> Run:
        """Carry the plan out and return where it stands."""
        run_virtual(self.engine.run(), self.clock.monotonic())
        run = fold(self.ctx.journal.events)
        self.ctx.journal.close()
        return run

    @property
    def events(self) -> list[Event]:
        """The journal."""
        return self.ctx.journal.events

    def names(self, *wanted: str) -> list[str]:
        """Return the events' names in order, of those wanted only when some are."""
        return [event.event for event in self.events if not wanted or event.event in wanted]

    def one(self, name: str) -> Event:
        """Return the only event of a name."""
        (event,) = [event for event in self.events if event.event == name]
        return event

    def log(self) -> bytes:
        """Return the mirrored log."""
        return (self.ctx.folder.path / "run.log").read_bytes()


RigMaker = Callable[..., Rig]


def rig_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RigMaker:
    """Return a function that sets a run up: `make(plan, job=FakeJob(…), environ={…})`."""
    numbers = itertools.count(1)

    def make(
        plan: Plan | None = None,
        *,
        job: FakeJob | None = None,
        environ: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Rig:
        folder = tmp_path / f"run{next(numbers)}"
        folder.mkdir()
        clock = FakeClock()
        job = job or FakeJob()
        machines: list[FakeMachine] = []

        def machine() -> FakeMachine:
            machines.append(FakeMachine(job=job))
            return machines[-1]

        cloud = FakeCloud(clock, machine=machine)
        rig = _rig(
            folder,
            plan or small_plan(),
            environ=environ or {},
            secrets=secrets,
            suffixes=itertools.count(1),
            cloud=cloud,
            job=job,
            machines=machines,
        )
        rig.downloads = Downloads()
        monkeypatch.setattr("runpod_deploy.executor.artifacts.download", rig.downloads.download)
        return rig

    return make


def _rig(
    folder: Path,
    plan: Plan,
    *,
    environ: Mapping[str, str],
    secrets: tuple[str, ...],
    suffixes: Iterator[int],
    cloud: FakeCloud,
    job: FakeJob,
    machines: list[FakeMachine],
    resumed: bool = False,
) -> Rig:
    listener = Listener()
    masker = Masker(secrets)
    connector = FakeConnector(cloud)
    root = folder.parent
    ctx = RunContext(
        plan_file=plan_file(plan),
        project_root=root,
        folder=RunFolder(path=folder, stamp="20270115T080000Z"),
        environ=environ,
        owner="owner123",
        api_url="http://127.0.0.1:1",
        cloud=cloud,
        connector=connector,
        clock=cloud.clock,
        journal=Journal(folder, masker=masker, now=cloud.clock.now),
        masker=masker,
        progress=listener,
        random_suffix=lambda: f"{next(suffixes):04x}",
        late_bound={
            "run_id": f"demo-20270115T080000Z{''.join(folder.name.partition('-')[1:])}",
            "run_dir": str(folder),
            "project_root": str(root),
            "config_dir": str(root),
        },
    )
    earlier = None
    if resumed:
        earlier = read_standing([step.name for step in plan.steps], ctx.journal.events)
    if earlier is None or not earlier.over:
        note_start(ctx)
    interrupts = Interrupts()
    return Rig(
        ctx=ctx,
        clock=cloud.clock,
        cloud=cloud,
        connector=connector,
        interrupts=interrupts,
        engine=Engine(ctx, interrupts, earlier),
        listener=listener,
        downloads=Downloads(),
        job=job,
        machines=machines,
        suffixes=suffixes,
        secrets=secrets,
    )
