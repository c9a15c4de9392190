"""Runs under one schedule: begun, killed, carried on to their end, and held against what must be so."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from runpod_deploy.cli.planning import Planned, PlannedSweep, prepare_any
from runpod_deploy.executor.releasing import CONFIRM_WITHIN_SEC
from runpod_deploy.executor.resuming import read_begun, resume
from runpod_deploy.executor.run import Listeners, Outcome, execute
from runpod_deploy.executor.sweep_run import (
    SweepListeners,
    SweepOutcome,
    SweepWishes,
    continue_sweep,
    execute_sweep,
)
from runpod_deploy.executor.sweep_run import World as SweepWorld
from runpod_deploy.executor.waking import BILL_IS_LATE_SEC
from runpod_deploy.record.kept_pods import KeptPods
from runpod_deploy.record.run import Run, RunState, fold
from support.command import small_job
from support.scheduled_world import GPUS, LOG, Ending, World, now
from support.schedules import Schedule
from support.virtual_process import run_campaign

MOST_TRIES = 14
BILLING_TICK_SEC = 300.0
BOOT_GRACE_SEC = 20 * 60.0
# How long a watchdog leaves a pod to whoever has just been heard of once its money is spent.
COLLECTING_SEC = 15 * 60.0
SMALL_MONEY_USD = 0.002
# Of a running pod: container and persistent disk.
DISKS_USD_PER_HOUR = (20 + 10) * 0.10 / 720
RESTLESS = frozenset({"LEAKED", "KEPT", "UNKNOWN"})


def run_schedule(schedule: Schedule, place: Path, seed: str) -> Ending:
    """Carry a schedule out, in a folder of its own."""
    random.seed(seed)
    world = World(schedule, place)
    world.project.mkdir(parents=True)
    (world.project / "payload").mkdir()
    (world.project / "payload" / "data").write_bytes(b"x")
    file = world.project / "job.yaml"
    file.write_text(json.dumps(_job(schedule)), "utf-8")
    planned = prepare_any(file, {}, (), None)
    with world.rules():
        run_campaign(_all_of_it(world, planned))
    return world.ending


async def _all_of_it(world: World, planned: Planned | PlannedSweep) -> None:
    dark = world.begin()
    if isinstance(planned, PlannedSweep):
        await _sweep(world, planned)
    else:
        for _ in range(2 if world.schedule.shape == "recycle" else 1):
            await _one_run(world, planned)
        _state_file(world)
    dark.cancel()
    machines = [pod.machine for pod in world.account.pods.started]
    world.ending.watchdogs = sum(one.acted for one in machines)
    if any(one.began_without for one in machines):
        world.ending.problems.append("a job began without its payload")


async def _one_run(world: World, planned: Planned) -> None:
    """Carry one run on, executor after executor, to its end."""
    folder: Path | None = None

    def opened(claimed: Path, run_id: str) -> None:
        nonlocal folder
        folder = claimed
        world.opened(claimed, run_id)

    outcome: Outcome | None = None
    ended: Outcome | None = None
    tries = 0
    for tries in range(1, MOST_TRIES + 1):
        if tries > 4 or (outcome is not None and tries > 2):
            world.mend()
        if world.begun(folder):
            assert folder is not None
            work = resume(
                read_begun(folder),
                project_root=planned.project_root,
                target=world.target,
                environ=world.environ,
            )
        else:
            work = execute(
                planned.plan_file,
                project_root=planned.project_root,
                target=world.target,
                environ=world.environ,
                listeners=Listeners(opened=opened),
            )
        ended, by_itself = await world.executor(work)
        if ended is not None:
            outcome = ended
            _hold(world, ended)
        # What is left is done once more, without faults.
        done = outcome is not None and (outcome.run.state not in RESTLESS or tries > 7)
        if by_itself and done:
            break
        if ended is None and folder is not None and _told_of_no_money(world):
            if _rests_for_good(world, folder):
                break
            # The bill may say that the pod cost less than it can have; it comes some hours late.
            await world.nobody(BILL_IS_LATE_SEC)
    if folder is not None and ended is None and _rests_for_good(world, folder):
        world.ending.state, world.ending.cause = "KEPT", "no_money"
        world.left_for_good |= world.pods_of(folder)
        return
    if outcome is None or folder is None:
        said = f"it came to no end in {tries} tries: {world.ending.journal}"
        world.ending.problems.append(said)
        return
    _judge(world, folder, outcome.run)
    if world.schedule.shape == "run" and world.account.cloud.fleet.max_simultaneous > 1:
        world.ending.problems.append("two pods at a time")


def _told_of_no_money(world: World) -> bool:
    """Return whether the last executor said that a pod is stopped with results, and no money to start it."""
    return world.ending.journal.startswith("Kept: ") and "would go beyond" in world.ending.journal


def _rests_for_good(world: World, folder: Path) -> bool:
    """Return whether that is so: a bill is only known to the billing tick."""
    pods = world.account.cloud.fleet.history
    prices = [pods[one].price for one in world.pods_of(folder) if one in pods]
    tick = max(prices, default=0.0) * BILLING_TICK_SEC / 3600
    least = world.schedule.cap_usd - 0.02 - tick
    return _told_of_no_money(world) and world.spent_usd(folder) >= least


async def _sweep(world: World, planned: PlannedSweep) -> None:
    """Carry a sweep on, executor after executor, to its end; then each of its runs is judged."""
    folder: Path | None = None

    def opened(claimed: Path) -> None:
        nonlocal folder
        folder = claimed

    listeners = SweepListeners(
        opened=opened, of_run=lambda _plan, _mailbox: Listeners(opened=world.opened)
    )
    there = SweepWorld(
        project_root=planned.project_root,
        target=world.target,
        environ=world.environ,
        allow_paths=(),
        listeners=listeners,
    )
    outcome: SweepOutcome | None = None
    for tries in range(1, MOST_TRIES + 1):
        if tries > 4:
            world.mend()
        if world.begun(folder, "sweep_started"):
            assert folder is not None
            work = continue_sweep(
                planned.sweep_file,
                folder,
                world=there,
                wishes=SweepWishes(),
                interrupts=_nobody(),
            )
        else:
            work = execute_sweep(
                planned.sweep_file,
                project_root=planned.project_root,
                target=world.target,
                environ=world.environ,
                listeners=listeners,
            )
        ended, by_itself = await world.executor(work)
        outcome = ended or outcome
        if by_itself and ended is not None:
            break
    if outcome is None:
        world.ending.problems.append(f"the sweep came to no end: {world.ending.journal}")
        return
    await _its_runs(world, planned, outcome)


async def _its_runs(world: World, planned: PlannedSweep, outcome: SweepOutcome) -> None:
    """Judge each run of a sweep that has come to its end; what one left is seen to by `resume`."""
    world.mend()
    for name, shard in outcome.run.shards.items():
        if shard.run_dir is None:
            continue
        folder = planned.project_root / shard.run_dir
        run = fold(world.events(folder))
        if str(run.state) != shard.state and shard.state not in {"LEAKED", "FAILED", "KEPT"}:
            world.ending.problems.append(f"{name} is {shard.state}, and its run {run.state}")
        for _ in range(3):
            work = resume(
                read_begun(folder),
                project_root=planned.project_root,
                target=world.target,
                environ=world.environ,
            )
            ended, _by_itself = await world.executor(work)
            if ended is not None:
                _hold(world, ended)
                run = ended.run
                if run.state not in RESTLESS:
                    break
        _judge(world, folder, run)


def _hold(world: World, outcome: Outcome) -> None:
    """Hold what an executor says that it is done against the world."""
    leaked = world.check_manifest(outcome.folder, outcome)
    state = str(outcome.run.state)
    _pods_are_told(world, outcome.folder, state, leaked)
    if state == "SUCCEEDED":
        _truly_succeeded(world, outcome.folder)


def _pods_are_told(world: World, folder: Path, state: str, leaked: set[str]) -> None:
    fleet = world.account.cloud.fleet
    mine = world.pods_of(folder) if world.schedule.shape != "run" else set(fleet.tenants)
    left = {
        pod_id
        for pod_id, tenant in fleet.tenants.items()
        if pod_id in mine and not (tenant.pod.power != "on" and world.has_disk)
    }
    if left - leaked and state not in {"KEPT", "UNKNOWN"}:
        world.ending.problems.append(f"{state}, and pods are left that are not told: {left}")
    if (state == "LEAKED") is not bool(leaked):
        world.ending.problems.append(f"{state}, and leaked are {leaked}")


def _truly_succeeded(world: World, folder: Path) -> None:
    began = world.jobs_of(folder)
    if not began or began[-1].exit_code != 0 or now() < began[-1].ends_at():
        world.ending.problems.append("wrongly succeeded: the job did not")
    if not world.is_home(folder):
        world.ending.problems.append("wrongly succeeded: the result is not home")


def _judge(world: World, folder: Path, run: Run) -> None:
    ending, events = world.ending, world.events(folder)
    found = ending.problems
    ending.state, ending.cause = str(run.state), run.cause
    ending.journal += "\n".join(f"{e.ts_utc} {e.event} {dict(e.fields)}" for e in events)
    if open_ones := fold(events).open_intents:
        found.append(f"open effects: {sorted(open_ones)}")
    began = world.jobs_of(folder)
    if len(began) > 1 and world.schedule.survivable:
        found.append(f"the job began {len(began)} times")
    _money(world, folder, sum(event.fields.get("outcome") == "leaked" for event in events))
    if run.state is RunState.SUCCEEDED:
        _log(world, folder)
    _right_end(world, run)


def _money(world: World, folder: Path, leaks: int) -> None:
    fleet, schedule = world.account.cloud.fleet, world.schedule
    pods = world.pods_of(folder)
    rate = max((pod.price for pod_id, pod in fleet.history.items() if pod_id in pods), default=0.0)
    rate += DISKS_USD_PER_HOUR
    # Whoever tells of a pod that cannot be ended, or was killed meanwhile, asked for three minutes.
    asking = CONFIRM_WITHIN_SEC * (leaks + world.ending.kills)
    alone = world.away_sec
    if _watched(world, pods):
        alone = min(alone, (1 + len(schedule.kills)) * (BOOT_GRACE_SEC + COLLECTING_SEC))
    unwatched = rate * (BILLING_TICK_SEC + alone + asking) / 3600
    spent, most = world.spent_usd(folder), schedule.cap_usd + unwatched
    if spent > most + SMALL_MONEY_USD + _rest_usd(world):
        world.ending.problems.append(f"${spent:.4f} spent, at most ${most:.4f} may be")


def _watched(world: World, pods: set[str]) -> bool:
    """Return whether each pod came up, so that its watchdog could end it, and the API let it."""
    stuck = {"delete-lies", "delete-fails", "server-error", "lost-answer"}
    up = {pod.pod_id for pod in world.account.pods.started}
    return pods <= up and not stuck & set(world.schedule.kinds)


def _rest_usd(world: World) -> float:
    """Return what a stopped pod's disk of 10 GB costs while nobody is there."""
    return 10 * 0.20 / 720 * (world.away_sec / 3600 + 1) if world.has_disk else 0.0


def _log(world: World, folder: Path) -> None:
    """A run that succeeded has the whole log, and each marker of it once."""
    log = (folder / "run.log").read_bytes()
    if log != b"".join(LOG):
        world.ending.problems.append(f"the log is {log!r}")
    marks = [one.event for one in world.events(folder) if one.event.startswith("remote_step_")]
    if marks != ["remote_step_started", "remote_step_completed"]:
        world.ending.problems.append(f"the markers in the journal are {marks}")


def _right_end(world: World, run: Run) -> None:
    """A run that had no fault but those that it must survive ends as its job does.

    One that was left alone for longer than its pod may be is ended by that.
    """
    schedule = world.schedule
    if not schedule.survivable or schedule.cap_usd < 1 or world.away_sec > 1800:
        return
    wanted = {0: "SUCCEEDED", 3: "FAILED", None: "UNKNOWN"}[schedule.exit_code]
    if str(run.state) != wanted:
        world.ending.problems.append(f"{run.state} ({run.cause}), and its job should have {wanted}")


def _state_file(world: World) -> None:
    """A pod that waits for the next run is there, stopped, free, and named; none waits unnamed."""
    if world.schedule.shape != "recycle":
        return
    file = world.project / ".runpod-deploy" / "small.json"
    entries = KeptPods(file=file).read() if file.exists() else ()
    fleet = world.account.cloud.fleet
    resting = {one for one, tenant in fleet.tenants.items() if tenant.pod.power != "on"}
    named = {entry.pod_id for entry in entries}
    taken = [entry.pod_id for entry in entries if entry.claimed_by is not None]
    if taken:
        world.ending.problems.append(f"pods are claimed for ever: {taken}")
    told = world.left_for_good | {
        str(event.fields.get("pod_id"))
        for folder in world.opened_at
        for event in world.events(folder)
        if event.fields.get("outcome") in {"leaked", "stopped"}
    }
    if resting - named - told:
        world.ending.problems.append(f"pods wait that no file names: {resting - named - told}")


def _nobody() -> Any:
    from runpod_deploy.executor.interrupts import Interrupts  # noqa: PLC0415 - within the loop

    return Interrupts()


def _job(schedule: Schedule) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "lifecycle": {"on_failure": schedule.on_failure},
        "lease": {"boot_grace_minutes": BOOT_GRACE_SEC / 60, "silence_minutes": 15},
    }
    if schedule.on_failure == "stop" or schedule.shape == "recycle":
        parts["storage"] = {"mode": "ephemeral", "volume_gb": 10}
    if schedule.shape == "recycle":
        parts["lifecycle"]["on_success"] = "recycle"
    if schedule.shape == "sweep":
        parts["matrix"] = {"axes": {"seed": [1, 2, 3]}, "max_parallel": 2}
    return small_job(
        pod={"gpu_order": list(GPUS), "datacenters": "any", "max_price_per_hour_usd": 3.0},
        budget={
            "cost_cap_usd": schedule.cap_usd,
            "ssh_ready_timeout_sec": 90,
            "poll_interval_sec": 30,
        },
        setup=[{"command": "true # setup", "timeout_sec": 120}],
        staging=[{"label": "data", "source": "payload", "destination": "/root/data"}],
        artifacts=[{"label": "out", "remote_path": "/workspace/out"}],
        telemetry={"enabled": False},
        **parts,
    )
