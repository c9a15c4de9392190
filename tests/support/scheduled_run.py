"""One run under one schedule: begun, killed, carried on to its end, and held against what must be so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema

from runpod_deploy.cli.planning import Planned, prepare
from runpod_deploy.errors import ConnectionLost, RunpodDeployError
from runpod_deploy.executor import artifacts, resuming, run
from runpod_deploy.executor.releasing import CONFIRM_WITHIN_SEC
from runpod_deploy.executor.resuming import read_begun, resume
from runpod_deploy.executor.run import Listeners, Outcome, Target, execute
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.sync.download import DownloadReport
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME, Journal, read_events
from runpod_deploy.record.run import fold
from runpod_deploy.schema.documents import schema_document
from support.command import small_job
from support.fake_pod import FakeJob
from support.schedules import Kill, Schedule
from support.virtual_account import KEY, URL, Account, Connector, Pods
from support.virtual_process import Process, WasKilled, process, run_campaign

RESULT = b"the result of the job"
# As many as there can be hosts that will not do, and one more.
GPUS = ("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA L40S", "NVIDIA A40", "NVIDIA RTX A6000")
LOG = (b"__RUNPOD_STEP_START__work__\nhello ", b"again\n__RUNPOD_STEP_DONE__work__\n", b"the end")
MOST_TRIES = 12
BILLING_TICK_SEC = 300.0
SMALL_MONEY_USD = 0.002


@dataclass(kw_only=True)
class Ending:
    """How a run under a schedule ended.

    Attributes:
        problems: What does not hold; none is what is wanted.
        kills: How many of the planned kills came.
        tries: How many executors it took.
    """

    state: str = ""
    cause: str | None = None
    problems: list[str] = field(default_factory=list)
    kills: int = 0
    tries: int = 0
    journal: str = ""


def run_schedule(schedule: Schedule, place: Path, seed: str) -> Ending:
    """Carry a run out under a schedule, in a folder of its own."""
    random.seed(seed)
    return _Bench(schedule, place).whole()


class _Bench:
    """One run, its account, and everybody who carries it on."""

    def __init__(self, schedule: Schedule, place: Path) -> None:
        self.schedule = schedule
        self.place = place
        self.ending = Ending()
        self.jobs: list[FakeJob] = []
        self.pull_cuts = 1 if "cut-pull" in schedule.faults else 0
        self.away_sec = 0.0
        self.leaks = 0
        self.folder: Path | None = None
        self.account: Account
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / "home"),
            "XDG_STATE_HOME": str(place / "state"),
            "RUNPOD_DEPLOY_OWNER": "campaign",
        }

    def whole(self) -> Ending:
        """Do all of it."""
        project = self.place / "project"
        project.mkdir(parents=True)
        job = _job(self.schedule)
        (project / "job.yaml").write_text(json.dumps(job), "utf-8")
        planned = prepare(project / "job.yaml", {}, (), None)
        with self._world():
            run_campaign(self._to_the_end(planned))
        return self.ending

    @contextlib.contextmanager
    def _world(self) -> Iterator[None]:
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
                whose.wrote_line()

        def connector(*given: Any) -> Connector:
            return self.account.connector(*given)

        def cloud(url: str, key: str, label: str) -> RunPodCloud:
            return RunPodCloud(url, key, label, transport=self.account.transport())

        with contextlib.ExitStack() as stack:
            for where in (run, resuming):
                stack.enter_context(mock.patch.object(where, "RunPodCloud", cloud))
                stack.enter_context(mock.patch.object(where, "AsyncsshConnector", connector))
            stack.enter_context(mock.patch.object(artifacts, "download", self._download))
            stack.enter_context(mock.patch.object(Journal, "__init__", watched_open))
            stack.enter_context(mock.patch.object(Journal, "_append", watched))
            yield

    async def _to_the_end(self, planned: Planned) -> None:
        ours = ("hung-setup", "cut-pull")
        faults = [one for one in self.schedule.faults if one not in ours and "dark" not in one]
        pods = Pods(job=self._new_job)
        if "hung-setup" in self.schedule.faults:
            pods.hangs.add("setup-1")
        self.account = Account(self.place / "cloud", pods, tuple(faults))
        self.account.deletes = self._about_to_delete
        kills = list(self.schedule.kills)
        dark = asyncio.get_running_loop().create_task(self._darkness())
        outcome: Outcome | None = None
        for number in range(MOST_TRIES):
            kill = kills.pop(0) if kills else None
            if number > 3 or (outcome is not None and number > 1):
                self.account.cloud.board.clear()
            self.ending.tries += 1
            outcome = await self._one(planned, kill) or outcome
            if kill is None and outcome is not None and self._over(outcome):
                break
        dark.cancel()
        self._judge(outcome)

    async def _darkness(self) -> None:
        """Let nobody in for a while, some time into the run."""
        for fault in self.schedule.faults:
            if fault.startswith("dark"):
                await asyncio.sleep(15.0)
                for pod in self.account.pods.started:
                    await pod.reopen_ssh(dark=float(fault.partition("=")[2]))

    async def _one(self, planned: Planned, kill: Kill | None) -> Outcome | None:
        """Let one executor work until it ends or is killed; None: the run goes on later."""
        me = Process(at_line=kill.line if kill else 0, at_call=kill.call if kill else 0)
        target = Target(label="emulator", api_url=URL, api_key=KEY)
        try:
            if self._begun():
                assert self.folder is not None
                begun = read_begun(self.folder)
                work = resume(
                    begun,
                    project_root=planned.project_root,
                    target=target,
                    environ=self.environ,
                )
            else:
                work = execute(
                    planned.plan_file,
                    project_root=planned.project_root,
                    target=target,
                    environ=self.environ,
                    listeners=Listeners(opened=self._opened),
                )
            outcome = await me.run(work)
        except WasKilled:
            assert kill is not None
            self.ending.kills += 1
            self._tear(kill.torn)
            await self._nobody(kill.away_sec)
            return None
        except RunpodDeployError as error:
            self.ending.journal = str(error)
            await self._nobody(60.0)
            return None
        self._manifest(outcome)
        return outcome

    def _opened(self, folder: Path, _run_id: str) -> None:
        self.folder = folder

    def _begun(self) -> bool:
        return self.folder is not None and any(
            event.event == "run_started" for event in read_events(self.folder / JOURNAL_NAME)
        )

    async def _nobody(self, seconds: float) -> None:
        self.away_sec += seconds
        await asyncio.sleep(seconds)

    def _tear(self, size: int) -> None:
        """Take the end of the last line away, which a power cut or a full disk may do."""
        if not size or self.folder is None:
            return
        journal = self.folder / JOURNAL_NAME
        text = journal.read_bytes()
        last = len(text) - (text[:-1].rfind(b"\n") + 1)
        journal.write_bytes(text[: len(text) - min(size, last - 1)])

    def _new_job(self) -> FakeJob:
        job = FakeJob(
            chunks=[(0.45 * self.schedule.lasts * n, piece) for n, piece in enumerate(LOG)],
            lasts=self.schedule.lasts,
            exit_code=self.schedule.exit_code,
        )
        self.jobs.append(job)
        return job

    # -- the results -------------------------------------------------------------------------

    async def _download(self, transport: Any, *, local: Path, **_options: Any) -> DownloadReport:
        """Bring the result home as the wire would: in parts, each of which may be cut."""
        await transport.run("pull: list")
        job: FakeJob = transport.machine.job
        if job.started_at is None or _now() < job.ends_at() or job.exit_code != 0:
            return DownloadReport(missing=True)
        await transport.run("pull: first part")
        if self.pull_cuts:
            self.pull_cuts -= 1
            transport.machine.drop()
            raise ConnectionLost("cut in the middle of a pull")
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

    def _home(self) -> bool:
        file = self.folder and self.folder / "out" / "result"
        return bool(file and file.exists() and file.read_bytes() == RESULT)

    def _about_to_delete(self, pod_id: str) -> None:
        """A job that succeeded has its result at home before its pod goes, or its money is spent."""
        pod = self.account.pods.of_pod.get(pod_id)
        spent = self.account.spent_usd() >= self.schedule.cap_usd * 0.99
        if pod is None or pod.machine.dead or self._home() or spent:
            return
        job = pod.machine.job
        if job.started_at is not None and job.exit_code == 0 and _now() >= job.ends_at():
            self.ending.problems.append("a pod is deleted whose result is not home")

    # -- what must hold ----------------------------------------------------------------------

    def _over(self, outcome: Outcome) -> bool:
        """Return whether nothing is left to do; what is left is done once more, without faults."""
        return outcome.run.state not in {"LEAKED", "KEPT", "UNKNOWN"} or self.ending.tries > 6

    def _manifest(self, outcome: Outcome) -> None:
        assert self.folder is not None
        data = json.loads((self.folder / "runpod_deploy_pull_manifest.json").read_bytes())
        schema = json.loads(schema_document("manifest"))
        errors = jsonschema.Draft202012Validator(schema).iter_errors(data)
        self.ending.problems += [f"manifest: {error.message}"[:300] for error in errors]
        state = str(outcome.run.state)
        if data.get("state") != state:
            self.ending.problems.append(f"the manifest says {data.get('state')}, the run {state}")
        self._pods_are_told(state, set(data.get("leaked_pod_ids", ())))
        if state == "SUCCEEDED":
            self._truly_succeeded()

    def _pods_are_told(self, state: str, leaked: set[str]) -> None:
        left = {
            pod_id
            for pod_id, tenant in self.account.cloud.fleet.tenants.items()
            # Stopped, as the job file has it for runs that fail.
            if not (tenant.pod.power == "off" and self.schedule.on_failure == "stop")
        }
        if left - leaked and state not in {"KEPT", "UNKNOWN"}:
            self.ending.problems.append(f"{state}, and pods are left that are not told: {left}")
        if (state == "LEAKED") is not bool(leaked):
            self.ending.problems.append(f"{state}, and leaked are {leaked}")

    def _truly_succeeded(self) -> None:
        began = [job for job in self.jobs if job.started_at is not None]
        if not began or began[-1].exit_code != 0 or _now() < began[-1].ends_at():
            self.ending.problems.append("wrongly succeeded: the job did not")
        if not self._home():
            self.ending.problems.append("wrongly succeeded: the result is not home")

    def _judge(self, outcome: Outcome | None) -> None:
        found = self.ending.problems
        if outcome is None or self.folder is None:
            found.append(f"it came to no end in {MOST_TRIES} tries: {self.ending.journal}")
            return
        self.ending.state = str(outcome.run.state)
        self.ending.cause = outcome.run.cause
        events = list(read_events(self.folder / JOURNAL_NAME))
        self.ending.journal = "\n".join(f"{e.ts_utc} {e.event} {dict(e.fields)}" for e in events)
        if self.account.cloud.fleet.max_simultaneous > 1:
            found.append("two pods at a time")
        if open_ones := fold(events).open_intents:
            found.append(f"open effects: {sorted(open_ones)}")
        began = [job for job in self.jobs if job.started_at is not None]
        if len(began) > 1 and self.schedule.survivable:
            found.append(f"the job began {len(began)} times")
        self.leaks = sum(event.fields.get("outcome") == "leaked" for event in events)
        self._money()
        self._log(events)
        self._right_end()

    def _money(self) -> None:
        rate = (
            max(pod.price for pod in self.account.cloud.fleet.history.values())
            if (self.account.cloud.fleet.history)
            else 0.0
        )
        # Whoever tells of a pod that cannot be ended has asked for its end for three minutes.
        asking = CONFIRM_WITHIN_SEC * self.leaks
        unwatched = rate * (BILLING_TICK_SEC + self.away_sec + asking) / 3600
        spent, most = self.account.spent_usd(), self.schedule.cap_usd + unwatched
        if spent > most + SMALL_MONEY_USD:
            self.ending.problems.append(f"${spent:.4f} spent, at most ${most:.4f} may be")

    def _log(self, events: list[Event]) -> None:
        """A run that succeeded has the whole log, and each marker of it once."""
        if self.ending.state != "SUCCEEDED" or self.folder is None:
            return
        log = (self.folder / "run.log").read_bytes()
        if log != b"".join(LOG):
            self.ending.problems.append(f"the log is {log!r}")
        marks = [event.event for event in events if event.event.startswith("remote_step_")]
        if marks != ["remote_step_started", "remote_step_completed"]:
            self.ending.problems.append(f"the markers in the journal are {marks}")

    def _right_end(self) -> None:
        """A run that had no fault but those that it must survive ends as its job does."""
        ample = self.schedule.cap_usd >= 1
        if not (self.schedule.survivable and ample):
            return
        wanted = {0: "SUCCEEDED", 3: "FAILED", None: "UNKNOWN"}[self.schedule.exit_code]
        if self.ending.state != wanted:
            self.ending.problems.append(
                f"{self.ending.state} ({self.ending.cause}), and its job should have {wanted}"
            )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _job(schedule: Schedule) -> dict[str, Any]:
    storage = {"mode": "ephemeral", "volume_gb": 10} if schedule.on_failure == "stop" else None
    return small_job(
        pod={"gpu_order": list(GPUS), "datacenters": "any", "max_price_per_hour_usd": 3.0},
        budget={"cost_cap_usd": schedule.cap_usd, "ssh_ready_timeout_sec": 90},
        setup=[{"command": "true # setup", "timeout_sec": 120}],
        artifacts=[{"label": "out", "remote_path": "/workspace/out"}],
        telemetry={"enabled": False},
        lifecycle={"on_failure": schedule.on_failure},
        **({"storage": storage} if storage else {}),
    )
