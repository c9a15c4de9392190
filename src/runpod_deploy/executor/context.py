"""What the steps of one run share: the plan, the ports, the journal, and what was had so far."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.late_bound import fill, fill_quoted
from runpod_deploy.compiler.plan import Candidate, Plan, PlanFile, Script
from runpod_deploy.errors import ConnectFailed, StepFailed
from runpod_deploy.executor.identity import pod_name
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.executor.money import capped_at
from runpod_deploy.executor.ports import (
    Clock,
    Cloud,
    Connector,
    Pod,
    Reader,
    Transport,
    WholeCloud,
    Writer,
)
from runpod_deploy.executor.progress import Progress
from runpod_deploy.executor.ring import Ring
from runpod_deploy.executor.runpod.sdk_funds import Funds
from runpod_deploy.executor.standing import Earlier
from runpod_deploy.executor.sync.local_files import PullMemory
from runpod_deploy.executor.undo import UndoStack
from runpod_deploy.executor.webhook import Post, post
from runpod_deploy.record.journal import Journal, JournalError, utc_stamp
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import JobEnd, PodRecord, Run, fold
from runpod_deploy.record.run_folder import RunFolder
from runpod_deploy.record.spending import accrued_usd, disks_of


@dataclass(kw_only=True, slots=True)
class RunContext:
    """One run in progress; steps read what earlier steps left here.

    Attributes:
        project_root: Absolute; every local path of the plan is below it.
        environ: The caller's environment, the source of `env` secrets.
        api_url: Base of the API, also told to the pod.
        late_bound: Token name to value, as far as known.
        secret_values: Secret name to the bytes that will lie on the pod; never printed.
        allowed: Folders that files of secrets may lie in, links resolved; None: judged at the begin.
        commands: The leave to run the job's own commands on this machine; None: they may not.
        post: Sends a webhook its message.
        pod: The pod in hand; None before provisioning and after its release.
        candidate: What the pod in hand was asked for as.
        billed_since: When the pod in hand was asked for, seconds since the epoch.
        run_ends_by: When its supervisor will have ended the run; infinity without any limit.
        heartbeat: Tells the watchdog on the pod that we are here; None while nobody does.
        filled_scripts: Script name to the sha256 of its text with tokens filled.
        verified: Labels of artifacts whose digests matched on both sides.
        missing: Labels of artifacts that were looked for and are not on the pod.
        tree_sha256: Artifact label to the digest over its files.
        on_begun: Called as soon as the pod is known to have begun the run.
        origin: What stands for late-bound tokens in scripts where another machine began the run.
        earlier: What an earlier executor of this run did on the pod in hand.
        funds: Asks for the account's money; None where nobody can be asked.
        ledger: Where the pods of all runs are kept account of; None keeps none.
        limit_usd: What the run may cost; None: the plan's `cost_cap_usd`.
        overspent: Why the run was ended for its cost.
        said_once: Warnings that need no second telling.
        pull_memory: Label of an artifact to what is known of it from its last pull.
        seen_until: When an earlier executor of this run was last heard of, seconds since the epoch.
        leaks: Pods that could not be confirmed gone, by id or else by name; also those that a
            journal on a full disk could not be told of.
        ended: Ids of pods whose end or stop this executor saw confirmed.
        account: Where every pod is found by its id, another run's and a node's too; None: in `cloud`.
        peers: The contexts of the cluster's other nodes, by rank.
        leader: The context of the run, in that of another node: money is its business.
        rank: Which node of a cluster this is; the run's own is the first.
    """

    plan_file: PlanFile
    project_root: Path
    folder: RunFolder
    environ: Mapping[str, str]
    owner: str
    api_url: str
    cloud: Cloud
    connector: Connector
    clock: Clock
    journal: Journal
    masker: Masker
    progress: Progress
    random_suffix: Callable[[], str]
    extra_public_keys: tuple[str, ...] = ()
    funds: Callable[[], Awaitable[Funds]] | None = None
    late_bound: dict[str, str] = field(default_factory=dict)
    secret_values: dict[str, bytes] = field(default_factory=dict)
    allowed: Sequence[Path] | None = None
    commands: LocalCommands | None = None
    post: Post = post
    undo: UndoStack = field(default_factory=UndoStack)
    ring: Ring | None = None
    pod: Pod | None = None
    candidate: Candidate | None = None
    transport: Transport | None = None
    billed_since: float = 0.0
    run_ends_by: float = 0.0
    heartbeat: asyncio.Task[None] | None = None
    ledger: Ledger | None = None
    limit_usd: float | None = None
    overspent: StepFailed | None = None
    seen_until: float = 0.0
    said_once: set[str] = field(default_factory=set)
    attempts: int = 0
    filled_scripts: dict[str, str] = field(default_factory=dict)
    job_end: JobEnd | None = None
    verified: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    leaks: dict[str, PodRecord] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    artifact_files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tree_sha256: dict[str, str] = field(default_factory=dict)
    earlier: Earlier = field(default_factory=Earlier)
    origin: Mapping[str, str] = field(default_factory=dict)
    on_begun: Callable[[], None] = lambda: None
    refused_files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pull_memory: dict[str, PullMemory] = field(default_factory=dict)
    account: WholeCloud | None = None
    peers: list[RunContext] = field(default_factory=list)
    leader: RunContext | None = None
    rank: int = 0

    @property
    def plan(self) -> Plan:
        """The plan that is carried out."""
        return self.plan_file.plan

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return self.late_bound["run_id"]

    @property
    def nodes(self) -> list[RunContext]:
        """The contexts of all nodes, this one first; of a single pod, this one."""
        return [self, *self.peers]

    def dismiss_peers(self) -> None:
        """Have no more to do with the other nodes; who opened their connections closes them."""
        peers, self.peers = self.peers, []
        for peer in peers:
            if peer.heartbeat is not None:
                peer.heartbeat.cancel()
            with contextlib.suppress(JournalError):
                peer.journal.close()

    def fill(self, text: str) -> str:
        """Return `text` with the late-bound tokens known so far filled."""
        return fill(text, self.late_bound)

    def fill_script(self, script: Script) -> str:
        """Return a script as it lies on the pod and remember its digest."""
        # Our templates put every token between single quotes; the user's scripts are theirs.
        filled = fill_quoted if script.phase == "pod" else fill
        text = filled(script.text, {**self.late_bound, **self.origin})
        self.filled_scripts[script.name] = hashlib.sha256(text.encode()).hexdigest()
        return text

    def new_pod_name(self) -> str:
        """Return a name for one more create attempt."""
        self.attempts += 1
        now = self.clock.now()
        suffix = self.random_suffix()
        return pod_name(self.owner, self.plan.job.name, now, self.attempts, suffix)

    def public_keys(self) -> str:
        """Return the keys that may log in to the pod, one a line, the run's own first."""
        return "\n".join([self.connector.public_key, *self.extra_public_keys])

    def rate(self) -> float | None:
        """Return USD per hour of the pod in hand with its disks; None when its price is unknown.

        A pod without a price costs what the job file assumes.
        """
        if self.leader is not None:
            return self.leader.rate()
        cost = self.pod.cost if self.pod else None
        cost = cost if cost is not None else self.plan.budget.assumed_hourly_rate_usd
        return None if cost is None else cost + disks_of(self.plan).running

    def limit(self) -> float:
        """Return what the run may cost as a whole, in USD."""
        if self.leader is not None:
            return self.leader.limit()
        cap = self.plan.budget.cost_cap_usd
        if self.limit_usd is None and self.ledger is not None and self.pod is not None:
            # A run that is taken up again has what was agreed on when its pod was asked for.
            with contextlib.suppress(OSError):
                account = self.ledger.accounts().find(self.pod.id)
                self.limit_usd = account.limit_usd if account is not None else cap
        return cap if self.limit_usd is None else min(cap, self.limit_usd)

    def spent(self) -> float:
        """Return what the run has cost so far, in USD: all its pods, disks included."""
        if self.leader is not None:
            return self.leader.spent()
        return self._accrued(fold(self.journal.events))

    def spent_before(self) -> float:
        """Return what the run had cost before the pod in hand was asked for, or started last."""
        if self.leader is not None:
            return self.leader.spent_before()
        run = fold(self.journal.events)
        mine = self.pod.id if self.pod else None
        earlier = {
            name: pod.before_this_start() if pod.pod_id == mine else pod
            for name, pod in run.pods.items()
        }
        return self._accrued(replace(run, pods=earlier))

    def _accrued(self, run: Run) -> float:
        now, assumed = utc_stamp(self.clock.now()), self.plan.budget.assumed_hourly_rate_usd
        return accrued_usd(run, now, assumed, disks_of(self.plan))

    def job_limit_usd(self) -> float:
        """Return what the pod in hand may cost until its job is ended: the soft limit's share."""
        return self.limit() * self.plan.budget.soft_cap_fraction - self.spent_before()

    def capped_at(self) -> float:
        """Return when the run will have cost what it may; infinity when the pod's price is unknown."""
        return capped_at(self.billed_since, self.rate(), self.limit() - self.spent_before())

    def need_pod(self) -> Pod:
        """Return the pod in hand.

        Raises:
            StepFailed: There is none, which only a plan with its steps out of order can bring about.
        """
        if self.pod is None:
            raise StepFailed("No pod is in hand.", cause="no_pod")
        return self.pod

    def need_transport(self) -> Transport:
        """Return the open connection.

        Raises:
            ConnectFailed: There is none.
        """
        if self.transport is None:
            raise ConnectFailed("No connection to the pod is open.")
        return self.transport

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port of the pod in hand.

        Raises:
            TransportError: There is no connection to it now, or nobody listens there.
        """
        if not self._connected():
            # Who answers there is not known before its host key was held against the pod's log.
            raise ConnectFailed("No connection to the pod is open yet.")
        return await self.need_transport().dial(port)

    def _connected(self) -> bool:
        """Tell whether the step `connect` was done for the pod in hand."""
        for event in reversed(self.journal.events):
            if event.event == "step_completed" and event.fields.get("step") == "connect":
                return True
            if event.event == "step_started" and event.fields.get("step") == "provision":
                return False
        return False

    def leaked(self) -> tuple[PodRecord, ...]:
        """Return the pods that could not be confirmed gone so far."""
        return self.concluded(fold(self.journal.events)).leaked

    def leak(self, pod_id: str | None, name: str | None = None) -> None:
        """Remember a pod that could not be confirmed gone; one that never answered has no id."""
        rate, candidate = None, self.candidate
        if self.pod is not None and self.pod.id == pod_id:
            name, rate = self.pod.name, self.pod.cost
        name = name or pod_id or ""
        self.leaks[pod_id or name] = PodRecord(
            name=name,
            gpu_id=candidate.gpu if candidate else "",
            datacenter_id=candidate.datacenter if candidate else None,
            cloud_type=candidate.cloud if candidate else "",
            status="leaked",
            pod_id=pod_id,
            cost_per_hour_usd=rate,
            created_at=utc_stamp(self.billed_since),
        )

    def concluded(self, run: Run) -> Run:
        """Return `run` with what the journal could not be told: pods that may still be there."""
        known = {pod.pod_id or pod.name: pod for pod in run.pods.values()}
        pods = dict(run.pods)
        for key, leak in self.leaks.items():
            found = known.get(key) or run.pods.get(leak.name) or leak
            pods[found.name] = replace(
                found, status="leaked", pod_id=found.pod_id or leak.pod_id, ended_at=None
            )
        return replace(run, pods=pods)

    def unproven(self) -> tuple[str, ...]:
        """Return the required artifacts that may lie on the pod and are not verified here."""
        return tuple(
            label + (f" of node {node.rank}" if node.rank else "")
            for node in self.nodes
            for label in node.unproven_here()
        )

    def unproven_here(self) -> tuple[str, ...]:
        """Return those of them that may lie on this very node."""
        return tuple(
            artifact.label
            for artifact in self.plan.artifacts
            if artifact.required and artifact.label not in self.verified | self.missing
        )

    def warn(self, code: str, message: str) -> None:
        """Record something remarkable that does not stop the run; never raises."""
        self.note("warning", code=code, message=message)

    def note(self, event: str, /, **fields: Any) -> None:
        """Write an event where a broken journal must not stop what is being undone."""
        try:
            self.journal.write(event, **fields)
        except JournalError as error:
            self.progress.message(f"warning: {error}")
