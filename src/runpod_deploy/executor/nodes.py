"""The nodes of a cluster: each has a context, so that what works on a pod works on a node.

The run's own context is the first node's. Every other one has its own connection, and below the run's
folder, in `nodes/RANK/`, its own journal, log and samples. What concerns the cluster as a whole (renting
it, its money, its end) is the run's alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.local_paths import of_node
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.pod_paths import inside
from runpod_deploy.errors import HostUnusable, RunpodDeployError, StepFailed, TransportError
from runpod_deploy.executor import lease
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.endings import raise_verdict
from runpod_deploy.executor.ports import Pod
from runpod_deploy.executor.progress import Progress, Silent
from runpod_deploy.executor.standing import read_earlier
from runpod_deploy.executor.steps import connect, execute
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.journal import JOURNAL_NAME, Journal
from runpod_deploy.record.nodes import JOINED, NODES, last_pod, node_folder
from runpod_deploy.record.run_folder import RunFolder

Step = Callable[[RunContext], Awaitable[None]]

# Nodes that one listing did not show are looked for so often before they are taken for lost.
LOOKS = 4
LOOK_EVERY_SEC = 5.0
# Done once for the whole cluster.
_ONCE = frozenset({"check", "provision", "release"})
# By which a node's own script fails, and not the machine or the money.
_BY_ITSELF = frozenset({"exit_code", "failure_marker", "marker_missing"})


class _Aside(Silent):
    """What the other nodes tell: their messages with the node's name; output is in their folders."""

    def __init__(self, progress: Progress, rank: int) -> None:
        self._progress = progress
        self._rank = rank

    def message(self, text: str) -> None:
        """Show it with the name of the node."""
        self._progress.message(f"Node {self._rank}: {text}")


async def do(ctx: RunContext, name: str, step: Step) -> None:
    """Do a step of the run: on its pod, or on every node of its cluster at once.

    Raises:
        RunpodDeployError: What the step raised; of a node that is not the first, with its name.
    """
    if ctx.plan.cluster is None or name in _ONCE:
        await step(ctx)
        return
    if name == "connect":
        _bind_all(ctx)
    elif name != "collect" or ctx.plan.cluster.collect == "all":
        _refuse_without(ctx)
    await on_every(ctx, _run_node if name == "execute" else step)


async def on_every(ctx: RunContext, step: Step) -> None:
    """Do something on every node at once; the first that fails ends it on the others."""
    if not ctx.peers:
        await step(ctx)
        return

    async def named(node: RunContext) -> None:
        try:
            await step(node)
        except RunpodDeployError as error:
            raise _of(node, error) from error.__cause__

    tasks = [asyncio.ensure_future(named(node)) for node in ctx.nodes]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Results that lie on a node alone weigh more than whatever another one failed by.
    for task in sorted(tasks, key=lambda one: not (one in done and _unproven(one.exception()))):
        if task in done:
            task.result()


def _unproven(error: BaseException | None) -> bool:
    return isinstance(error, StepFailed) and error.cause == "not_verified"


def bind(ctx: RunContext, members: Sequence[Pod]) -> None:
    """Give each of these nodes its context; the first node is the run's own."""
    ctx.dismiss_peers()
    for member in members:
        if member.rank:
            ctx.peers.append(_peer(ctx, member))
    ctx.undo.drop(NODES)
    ctx.undo.push(NODES, lambda: unwind(ctx))


def joined(ctx: RunContext, members: Sequence[Pod]) -> list[Pod]:
    """Return those of the nodes that an earlier executor of this run had to do with, and the first."""
    return [
        one
        for one in members
        if not one.rank or last_pod(node_folder(ctx.folder.path, one.rank)) == one.id
    ]


async def look_again(ctx: RunContext) -> None:
    """Look for nodes of a run that is carried on and that the API did not show, for a while.

    Raises:
        CloudError: The API cannot be asked.
        AccountError: The key is refused.
    """
    for _ in range(LOOKS):
        pod = ctx.need_pod()
        if len(joined(ctx, pod.members)) == ctx.plan.nodes:
            return
        await ctx.clock.sleep(LOOK_EVERY_SEC)
        seen = await ctx.cloud.get(pod.id)
        if seen is None:
            return
        ctx.pod = seen if seen.cost is not None else replace(seen, cost=pod.cost)


def _refuse_without(ctx: RunContext) -> None:
    """Do nothing of a cluster's work on some of its nodes alone.

    Raises:
        StepFailed: Not every node that the run began on is there.
    """
    there = {node.rank for node in ctx.nodes}
    lost = [str(rank) for rank in range(ctx.plan.nodes) if rank not in there]
    if lost:
        raise StepFailed(
            f"Cluster {ctx.need_pod().id} shows no node {', '.join(lost)} any more, and is of no use "
            "without.",
            cause="pod_killed",
        )


def all_begun(plan: Plan, run_folder: Path) -> bool:
    """Return whether the script has begun on every node but the first, as far as was told."""
    places = [node_folder(run_folder, rank) / JOURNAL_NAME for rank in range(1, plan.nodes)]
    return all(
        place.exists() and read_earlier(list(read_events(place))).started for place in places
    )


async def unwind(ctx: RunContext) -> None:
    """End what runs on the other nodes and bring home what there is, on all at once; never raises."""
    await asyncio.gather(*(_unwind(peer) for peer in ctx.peers))


def _bind_all(ctx: RunContext) -> None:
    pod = ctx.need_pod()
    if len(pod.members) != ctx.plan.nodes:
        raise HostUnusable(
            f"cluster {pod.id} has {len(pod.members)} of {ctx.plan.nodes} nodes", cause="pod_gone"
        )
    bind(ctx, pod.members)
    ctx.progress.message(
        f"Cluster {pod.id} has {ctx.plan.nodes} nodes; the first one's log is shown, the others' are in "
        f"{ctx.folder.path / NODES}."
    )
    for peer in ctx.peers:
        if last_pod(peer.folder.path) != peer.need_pod().id:
            peer.journal.write(JOINED, rank=peer.rank, pod_id=peer.need_pod().id)
            peer.earlier = read_earlier(peer.journal.events)


def _peer(ctx: RunContext, member: Pod) -> RunContext:
    rank = member.rank or 0
    folder = node_folder(ctx.folder.path, rank)
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder, masker=ctx.masker, now=ctx.clock.now)
    return RunContext(
        plan_file=replace(ctx.plan_file, plan=_plan_for(ctx.plan, rank)),
        project_root=ctx.project_root,
        folder=RunFolder(path=folder, stamp=ctx.folder.stamp),
        environ=ctx.environ,
        owner=ctx.owner,
        api_url=ctx.api_url,
        cloud=ctx.account or ctx.cloud,
        connector=ctx.connector,
        clock=ctx.clock,
        journal=journal,
        masker=ctx.masker,
        progress=_Aside(ctx.progress, rank),
        random_suffix=ctx.random_suffix,
        extra_public_keys=ctx.extra_public_keys,
        late_bound=dict(ctx.late_bound),
        origin=ctx.origin,
        secret_values=ctx.secret_values,
        allowed=ctx.allowed,
        commands=ctx.commands,
        pod=member,
        candidate=ctx.candidate,
        billed_since=ctx.billed_since,
        earlier=read_earlier(journal.events),
        leader=ctx,
        rank=rank,
        on_begun=ctx.on_begun,
    )


def _plan_for(plan: Plan, rank: int) -> Plan:
    """Return what is different on a node that is not the first: where its results go, what it has already."""
    everything = plan.cluster is not None and plan.cluster.collect == "all"
    shared = plan.storage.mount if plan.storage.mode == "network_volume" else None
    return replace(
        plan,
        # A bucket has one place for each, and the first node fills that.
        artifacts=tuple(
            replace(one, local_path=of_node(one.local_path, rank), upload=None)
            for one in (plan.artifacts if everything else ())
        ),
        # On a volume that all nodes have, it is there once the first node has it.
        staging=tuple(
            one for one in plan.staging if shared is None or not inside(one.destination, shared)
        ),
    )


async def _run_node(node: RunContext) -> None:
    """Run the job on a node to its end; one that fails there fails the run."""
    if node.leader is not None and not node.earlier.started:
        # A script that ends early must not let this node's watchdog end the others' work.
        await lease.hold(node)
    await execute.do(node)
    try:
        raise_verdict(node.job_end)
    except StepFailed as error:
        if node.leader is not None and error.cause in _BY_ITSELF:
            raise StepFailed(error.message, cause="node_failed", help=error.help) from error
        raise


async def _unwind(peer: RunContext) -> None:
    if peer.transport is None and {"run", "artifacts"} & set(peer.undo.names()):
        try:
            await connect.login(peer)
        except (StepFailed, TransportError) as error:
            peer.warn("not-reached", f"The node could not be reached again: {error}")
    while peer.undo.names():
        await peer.undo.pop(
            lambda name, error: peer.warn("undo-failed", f"Undoing {name} failed: {error!r}")
        )
    execute.settle_lost_start(peer, "the run was ended")


def _of(node: RunContext, error: RunpodDeployError) -> RunpodDeployError:
    if node.leader is not None:
        pod = f" (pod {node.pod.id})" if node.pod is not None else ""
        error.message = f"Node {node.rank}{pod}: {error.message}"
        error.args = (error.message,)
    return error
