"""The world of one schedule: the account, its pods, what they hold, and everybody who may be killed there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import jsonschema

from runpod_deploy.errors import ConnectionLost, RunpodDeployError
from runpod_deploy.executor import artifacts, attendance, lease, resuming, run
from runpod_deploy.executor.run import Outcome, Target
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.steps import stage
from runpod_deploy.executor.sync.download import DownloadReport
from runpod_deploy.executor.sync.upload import UploadReport
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME, Journal, read_events
from runpod_deploy.schema.documents import schema_document
from support.fake_pod import FakeJob, FakeTransport
from support.schedules import LONG_AWAY_SEC, Kill, Schedule
from support.virtual_account import KEY, URL, Account, Connector, Pods
from support.virtual_process import Process, WasKilled, process

T = TypeVar("T")
RESULT = b"the result of the job"
LOG = (b"__RUNPOD_STEP_START__work__\nhello ", b"again\n__RUNPOD_STEP_DONE__work__\n", b"the end")
# What pods in memory do, and not the emulator.
# As many as there can be hosts that will not do, and one more.
GPUS = ("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA L40S", "NVIDIA A40", "NVIDIA RTX A6000")
CONFIRMED_IN_SEC = 90.0
OF_PODS = frozenset({"hung-setup", "cut-pull", "cut-upload", "dark"})
_MANIFEST = "runpod_deploy_pull_manifest.json"


@dataclass(kw_only=True)
class Ending:
    """How a schedule ended.

    Attributes:
        problems: What does not hold; none is what is wanted.
        kills: How many of the planned kills came.
        tries: How many executors it took.
        watchdogs: How many pods asked for their own end.
    """

    state: str = ""
    cause: str | None = None
    problems: list[str] = field(default_factory=list)
    kills: int = 0
    tries: int = 0
    watchdogs: int = 0
    journal: str = ""


class World:
    """One account, its pods, and a project.

    Attributes:
        opened_at: Run folder to the moment at which it was claimed.
        away_sec: How long nobody was there in all.
        left_for_good: Pods that rest with results for which there is no money.
    """

    def __init__(self, schedule: Schedule, place: Path) -> None:
        self.schedule = schedule
        self.place = place
        self.project = place / "project"
        self.ending = Ending()
        self.opened_at: dict[Path, float] = {}
        self.away_sec = 0.0
        self.left_for_good: set[str] = set()
        self.account: Account
        self.target = Target(label="emulator", api_url=URL, api_key=KEY)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / "home"),
            "XDG_STATE_HOME": str(place / "state"),
            "RUNPOD_DEPLOY_OWNER": "campaign",
        }
        self._kills = list(schedule.kills)
        self._cuts = {what: 1 for what in ("cut-pull", "cut-upload") if what in schedule.faults}
        self._written: Path | None = None
        self._staged: dict[str, bool] = {}

    def begin(self) -> asyncio.Task[None]:
        """Open the account; returns what darkens it for a while."""
        faults = [one for one in self.schedule.faults if one.partition(":")[0] not in OF_PODS]
        pods = Pods(job=self._new_job)
        if "hung-setup" in self.schedule.faults:
            pods.hangs.add("setup-1")
        self.account = Account(self.place / "cloud", pods, tuple(faults), GPUS)
        self.account.deletes = self._about_to_delete
        return asyncio.get_running_loop().create_task(self._darkness())

    async def executor(self, work: Coroutine[Any, Any, T]) -> tuple[T | None, bool]:
        """Let one executor work; returns what came of it, and whether it was left to its own end.

        None: it was killed, or could not do anything; the next one goes on later.
        """
        kill = self._kills.pop(0) if self._kills else None
        me = Process(at_line=kill.line if kill else 0, at_call=kill.call if kill else 0)
        self.ending.tries += 1
        try:
            return await me.run(work), kill is None
        except WasKilled:
            assert kill is not None
            self.ending.kills += 1
            self._tear(kill)
            await self.nobody(kill.away_sec)
        except RunpodDeployError as error:
            self.ending.journal = f"{type(error).__name__}: {error}"
            await self.nobody(60.0)
        return None, kill is None

    def mend(self) -> None:
        """Let the account work as it should from here on."""
        self.account.cloud.board.clear()

    async def nobody(self, seconds: float) -> None:
        """Let time pass with nobody there; after days no pod runs that can end itself."""
        self.away_sec += seconds
        await asyncio.sleep(seconds)
        stuck = {"delete-lies", "delete-fails", "server-error"} & set(self.schedule.kinds)
        if seconds >= LONG_AWAY_SEC and not stuck:
            running = [
                pod_id
                for pod_id, tenant in self.account.cloud.fleet.tenants.items()
                if tenant.pod.power == "on" and self._is_up(pod_id)
            ]
            if running:
                self.ending.problems.append(f"days later there run {running}")

    def _is_up(self, pod_id: str) -> bool:
        pod = self.account.pods.of_pod.get(pod_id)
        return pod is not None and not pod.machine.dead

    async def _darkness(self) -> None:
        """Let nobody in for a while, some time into the run."""
        for fault in self.schedule.faults:
            if fault.startswith("dark"):
                await asyncio.sleep(15.0)
                for pod in self.account.pods.started:
                    await pod.reopen_ssh(dark=float(fault.partition("=")[2]))

    def _tear(self, kill: Kill) -> None:
        """Take the end of the last line away, which a power cut or a full disk may do."""
        if not kill.torn or self._written is None:
            return
        text = self._written.read_bytes()
        last = len(text) - (text[:-1].rfind(b"\n") + 1)
        self._written.write_bytes(text[: len(text) - min(kill.torn, last - 1)])

    @contextlib.contextmanager
    def rules(self) -> Iterator[None]:
        """Put the account in RunPod's place, and count each line of a journal."""
        opened, append = Journal.__init__, Journal._append

        def watched_open(journal: Journal, *args: Any, **options: Any) -> None:
            opened(journal, *args, **options)
            whose = process()
            if whose is not None:
                whose.closing.append(journal._abandon)

        def watched(journal: Journal, line: bytes, *, durable: bool) -> None:
            whose = process()
            append(journal, line, durable=durable)
            if whose is not None and not whose.dead:
                self._written = journal.path
                whose.wrote_line()

        def connector(*given: Any) -> Connector:
            return self.account.connector(*given)

        def cloud(url: str, key: str, label: str) -> RunPodCloud:
            return RunPodCloud(url, key, label, transport=self.account.transport())

        with contextlib.ExitStack() as stack:
            for where in (run, resuming):
                stack.enter_context(mock.patch.object(where, "RunPodCloud", cloud))
                stack.enter_context(mock.patch.object(where, "AsyncsshConnector", connector))
            # What a quiet hour would be spent with: nobody asks by a file, and each beat says the same.
            stack.enter_context(mock.patch.object(attendance, "LOOK_EVERY_SEC", 10.0))
            stack.enter_context(mock.patch.object(lease, "BEAT_EVERY_SEC", 60.0))
            stack.enter_context(mock.patch.object(artifacts, "download", self._download))
            stack.enter_context(mock.patch.object(stage, "upload", self._upload))
            stack.enter_context(mock.patch.object(Journal, "__init__", watched_open))
            stack.enter_context(mock.patch.object(Journal, "_append", watched))
            yield

    # -- what is on the wire -----------------------------------------------------------------

    def _new_job(self) -> FakeJob:
        return FakeJob(
            chunks=[(0.45 * self.schedule.lasts * n, piece) for n, piece in enumerate(LOG)],
            lasts=self.schedule.lasts,
            exit_code=self.schedule.exit_code,
        )

    def _cut(self, transport: FakeTransport, what: str) -> None:
        if self._cuts.get(what):
            self._cuts[what] -= 1
            transport.machine.drop()
            raise ConnectionLost(f"{what} in the middle")

    async def _upload(self, transport: Any, **_options: Any) -> UploadReport:
        """Send the payload as the wire would: in parts, each of which may be cut."""
        await transport.run("push: list")
        await transport.run("push: first part")
        self._cut(transport, "cut-upload")
        await transport.run("push: the rest")
        transport.machine.holds.add("payload")
        return UploadReport(
            files=1,
            links=0,
            bytes=1,
            unchanged=0,
            sent=1,
            created=True,
            deleted=(),
            foreign=False,
        )

    async def _download(self, transport: Any, *, local: Path, **_options: Any) -> DownloadReport:
        """Bring the result home as the wire would: in parts, each of which may be cut."""
        await transport.run("pull: list")
        job: FakeJob = transport.machine.job
        if job.started_at is None or now() < job.ends_at() or job.exit_code != 0:
            return DownloadReport(missing=True)
        await transport.run("pull: first part")
        self._cut(transport, "cut-pull")
        await transport.run("pull: the rest")
        local.mkdir(parents=True, exist_ok=True)
        (local / "result").write_bytes(RESULT)
        digest = "f5" * 32
        return DownloadReport(
            files=1,
            bytes=len(RESULT),
            fetched=1,
            entries=({"path": "result", "size": len(RESULT), "sha256": digest},),
            tree_sha256=f"sha256:{digest}",
        )

    # -- what is known of a run ----------------------------------------------------------------

    def opened(self, folder: Path, _run_id: str = "") -> None:
        """Note a run's folder."""
        self.opened_at.setdefault(folder, now())

    def begun(self, folder: Path | None, event: str = "run_started") -> bool:
        """Return whether there is something in a folder to go on with."""
        return folder is not None and any(
            one.event == event for one in read_events(folder / JOURNAL_NAME)
        )

    def pods_of(self, folder: Path) -> set[str]:
        """Return the pods that a run's journal names."""
        return {
            str(event.fields["pod_id"])
            for event in read_events(folder / JOURNAL_NAME)
            if event.fields.get("pod_id")
        }

    def jobs_of(self, folder: Path) -> list[FakeJob]:
        """Return the jobs that began for a run, in the order of their pods' starts."""
        pods, since = self.pods_of(folder), self.opened_at.get(folder, 0.0)
        found = {
            id(pod.machine.job): pod.machine.job
            for pod in self.account.pods.started
            if pod.pod_id in pods and pod.started_at >= since
        }
        return [job for job in found.values() if job.started_at is not None]

    def spent_usd(self, folder: Path) -> float:
        """Return what a run's pods have cost since it began."""
        epoch = self.account.cloud.clock.now() - now()
        return self.account.spent_usd(self.pods_of(folder), epoch + self.opened_at.get(folder, 0.0))

    @staticmethod
    def is_home(folder: Path) -> bool:
        """Return whether a run's result is here and whole."""
        file = folder / "out" / "result"
        return file.exists() and file.read_bytes() == RESULT

    @property
    def has_disk(self) -> bool:
        """Whether pods have a disk that survives a stop, with the result on it."""
        return self.schedule.on_failure == "stop" or self.schedule.shape == "recycle"

    def _about_to_delete(self, pod_id: str, how: str) -> None:
        """A job that succeeded has its result at home before its pod goes, or its money is spent."""
        pod = self.account.pods.of_pod.get(pod_id)
        folders = [one for one in self.opened_at if pod_id in self.pods_of(one)]
        if pod is None or not folders or (self.has_disk and how == "stop"):
            return
        if pod.machine.dead and not self.has_disk:
            return
        folder = folders[-1]
        # A pod counts until its end is confirmed, up to a minute and a half longer than it is billed.
        rate = max(one.price for one in self.account.cloud.fleet.history.values())
        unconfirmed = rate * CONFIRMED_IN_SEC / 3600
        if self.is_home(folder) or self.spent_usd(folder) >= self.schedule.cap_usd - unconfirmed:
            return
        job = pod.machine.job
        if job.started_at is not None and job.exit_code == 0 and now() >= job.ends_at():
            spent = self.spent_usd(folder)
            self.ending.problems.append(
                f"a pod is deleted whose result is not home, with ${spent:.4f} spent ({how})"
            )

    def check_manifest(self, folder: Path, outcome: Outcome) -> set[str]:
        """Hold a run's manifest against its schema and its end; returns the pods that it says are leaked."""
        data = json.loads((folder / _MANIFEST).read_bytes())
        errors = _validator().iter_errors(data)
        self.ending.problems += [f"manifest: {error.message}"[:300] for error in errors]
        state = str(outcome.run.state)
        if data.get("state") != state:
            self.ending.problems.append(f"the manifest says {data.get('state')}, the run {state}")
        return set(data.get("leaked_pod_ids", ()))

    def events(self, folder: Path) -> list[Event]:
        """Return a run's journal."""
        return list(read_events(folder / JOURNAL_NAME))


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_document("manifest")))


def now() -> float:
    """Return the virtual seconds."""
    return asyncio.get_running_loop().time()
