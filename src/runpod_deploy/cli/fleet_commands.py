"""`reap`, `ls-stale` and `cleanup`: the pods that are left of earlier runs, and their end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.account import known_owner, with_account
from runpod_deploy.cli.amounts import count, usd
from runpod_deploy.cli.arguments import Cloud, Quiet, Verbose
from runpod_deploy.cli.known_ends import KnownEnds
from runpod_deploy.cli.layout import table
from runpod_deploy.cli.named_pods import named_pods
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.questions import says_yes
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_CHANGED, EXIT_OK, InvalidInput, JobFailed, Leaked

if TYPE_CHECKING:
    from runpod_deploy.executor.ownership import Owned
    from runpod_deploy.executor.ports import Account
    from runpod_deploy.executor.releasing import Ending
    from runpod_deploy.executor.runpod.account import WholeAccount

Owner = Annotated[
    str | None,
    typer.Option(
        "--owner", metavar="OWNER", help="Whose pods; by default yours.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it.")]


class Mode(StrEnum):
    """What `cleanup` does with a pod."""

    PRESERVE = "preserve"
    STOP = "stop"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    owned: Owned
    verdict: str
    reason: str

    def plain(self) -> dict[str, Any]:
        pod = self.owned.pod
        return {
            "pod_id": pod.id,
            "name": pod.name,
            "status": pod.status,
            "run_id": self.owned.run_id,
            "gpu_id": pod.gpu,
            "datacenter_id": pod.datacenter,
            "cost_per_hour_usd": pod.cost,
            "volume_gb": self.owned.persistent_gb,
            "storage_usd_per_day": _per_day(self.owned),
            "age_hours": _age_hours(self.owned),
            "dead_after": self.owned.dead_after,
            "verdict": self.verdict,
            "reason": self.reason,
        }


def _per_day(owned: Owned) -> float:
    """Return USD per day for the disk of a stopped pod; one that runs pays by its own rate."""
    from runpod_deploy.compiler.rates import stopped_disk_per_day  # noqa: PLC0415 - not for `--help`

    if owned.pod.status != "EXITED":
        return round((owned.pod.cost or 0.0) * 24, 4)
    return round(stopped_disk_per_day(owned.persistent_gb), 4)


def _age_hours(owned: Owned) -> float | None:
    """Return the hours since a pod was started last; it cannot have been stopped for longer."""
    since = owned.last_seen_running()
    return None if since is None else round(max(0.0, time.time() - since) / 3600, 2)


async def _rows(account: Account, owner: str) -> list[_Row]:
    from runpod_deploy.executor.ownership import judge, look_at  # noqa: PLC0415 - not for `--help`

    rows, now = [], time.time()
    ends = KnownEnds(now)
    for pod in await account.pods():
        if pod.status != "TERMINATED":
            owned = look_at(pod, owner)
            verdict, reason = judge(owned, now)
            sooner = ends.told(owned.run_id, pod.id) if verdict == "wanted" else None
            if sooner is not None and pod.status == "RUNNING":
                reason = f"its run may still want it; {sooner}"
            rows.append(_Row(owned=owned, verdict=verdict, reason=reason))
    return rows


def reap_command(
    owner: Owner = None,
    yes: Yes = False,
    cloud: Cloud = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """List your pods that nobody can want any more; with --yes, delete them.

    Looks at the account alone: it works from cron, on a machine that never ran a job. A pod of
    somebody else is never touched.
    """
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    whose = known_owner(owner, terminal.environ)

    async def work(account: WholeAccount) -> tuple[list[_Row], dict[str, str | None], bool]:
        rows = await _rows(account, whose)
        over = [row for row in rows if row.verdict == "over"]
        if yes:
            _leave_word(over, "reap", terminal)
        ended = await _end_all(account, over, "delete") if yes else {}
        return rows, ended, account.unseen is None

    rows, ended, all_seen = with_account(cloud, terminal, work)
    _tell_ledger(ended, "gone", terminal)
    ours = [row for row in rows if row.owned.ours]
    if as_json:
        told = [{**row.plain(), **_ended(row, ended)} for row in ours]
        terminal.document({"owner": whose, "pods": told, "clusters_seen": all_seen})
    else:
        _tell(ours, len(rows) - len(ours), ended, terminal, all_seen=all_seen)
        if not yes and any(row.verdict == "over" for row in ours):
            terminal.say(
                "Nothing was deleted. To delete those that are over:\n  runpod-deploy reap --yes"
            )
    if any(ended.values()) or (not all_seen and _cluster_open(cloud, terminal)):
        return Leaked.exit_code
    return EXIT_OK


def _cluster_open(cloud: Cloud, terminal: Terminal) -> bool:
    """Tell whether a cluster of a run on this machine was not seen to end, as far as the ledger knows."""
    from runpod_deploy.cli.target import choose_cloud  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.ledger import Ledger, ledger_file  # noqa: PLC0415 - likewise

    try:
        accounts = Ledger(ledger_file(terminal.environ)).accounts().pods.values()
    except OSError:
        return False
    here = choose_cloud(cloud, terminal.environ)
    return any(one.cluster and one.open and one.cloud == here for one in accounts)


def _leave_word(rows: Sequence[_Row], by: str, terminal: Terminal) -> None:
    """Let the runs whose pods are about to be ended rent no others."""
    from runpod_deploy.cli.word_left import leave_word  # noqa: PLC0415 - not for `--help`

    for run_id in leave_word((row.owned.run_id for row in rows), time.time(), by=by):
        terminal.say(
            f"{line(run_id)} is carried on by a process here: it was asked to end as well."
        )


async def _end_all(account: Account, rows: Sequence[_Row], how: Ending) -> dict[str, str | None]:
    """Return pod id to what stood in the way of its end, None when it is confirmed."""
    from runpod_deploy.executor.clock import SystemClock  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.executor.releasing import end_pod  # noqa: PLC0415 - likewise

    clock = SystemClock()
    return {row.owned.pod.id: await end_pod(account, clock, row.owned.pod.id, how) for row in rows}


def _tell_ledger(ended: dict[str, str | None], how: str, terminal: Terminal) -> None:
    """Note in the user's ledger that pods have ended, so that no month counts them further."""
    from runpod_deploy.executor.spending import tell  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.ledger import Ledger, ledger_file  # noqa: PLC0415 - likewise

    done = [pod for pod, error in ended.items() if error is None]
    if not done:
        return
    try:
        tell(Ledger(ledger_file(terminal.environ)), done, how, time.time())
    except OSError as error:
        terminal.alert(f"The ledger of your runs cannot be kept: {error.strerror or error}")


def _ended(row: _Row, ended: dict[str, str | None]) -> dict[str, Any]:
    if row.owned.pod.id not in ended:
        return {"ended": None, "error": None}
    error = ended[row.owned.pod.id]
    return {"ended": error is None, "error": error}


def _tell(
    rows: Sequence[_Row],
    foreign: int,
    ended: dict[str, str | None],
    terminal: Terminal,
    *,
    all_seen: bool = True,
) -> None:
    shown = []
    for row in rows:
        pod = row.owned.pod
        price = f"{usd(_per_day(row.owned))}/day"
        done = ended.get(pod.id, "") if pod.id in ended else ""
        what = "gone" if done is None else f"NOT gone: {done}" if done else row.verdict
        shown.append([pod.id, pod.status, price, what, row.reason])
    if shown:
        head = ["POD", "STATUS", "COST", "VERDICT", "BECAUSE"]
        terminal.print("\n".join(table(shown, terminal.out, head=head)))
    else:
        terminal.print("no pods of yours" + ("" if all_seen else "; clusters could not be seen"))
    if foreign:
        terminal.say(f"{count(foreign, 'pod')} of others in this account: not touched.")


def ls_stale_command(
    owner: Owner = None,
    cloud: Cloud = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """List your stopped pods, whose disks go on costing."""
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    whose = known_owner(owner, terminal.environ)

    async def work(account: Account) -> list[_Row]:
        return await _rows(account, whose)

    rows = with_account(cloud, terminal, work)
    stale = [row for row in rows if row.owned.ours and row.owned.pod.status == "EXITED"]
    if as_json:
        terminal.document([row.plain() for row in stale])
        return
    shown = [
        [
            row.owned.pod.id,
            row.owned.run_id or row.owned.pod.name,
            f"{row.owned.persistent_gb} GB",
            f"{usd(_per_day(row.owned))}/day",
            "?" if (age := _age_hours(row.owned)) is None else f"≤ {age:.1f} h",
        ]
        for row in stale
    ]
    if not shown:
        terminal.print("no stopped pods of yours")
        return
    head = ["POD", "RUN", "DISK", "COST", "STOPPED FOR"]
    terminal.print("\n".join(table(shown, terminal.out, head=head, right="..rrr")))
    total = sum(_per_day(row.owned) for row in stale)
    terminal.say(
        f"{count(len(stale), 'pod')}, {usd(total)} a day. To end one:\n"
        f"  runpod-deploy cleanup {stale[0].owned.pod.id}{'' if cloud is None else f' --cloud {cloud}'}"
    )


def cleanup_command(
    pods: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="POD", help="Pod ids, run folders, run ids, or `last`.", show_default=False
        ),
    ] = None,
    state_file: Annotated[
        Path | None,
        typer.Option(
            "--state-file",
            metavar="FILE",
            help="The pods that a state file names: those kept for the next run, or of an earlier release.",
            show_default=False,
        ),
    ] = None,
    all_stopped: Annotated[
        bool, typer.Option("--all-stopped", help="Every stopped pod of yours.")
    ] = False,
    mode: Annotated[Mode, typer.Option("--mode", help="What becomes of them.")] = Mode.DELETE,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    owner: Owner = None,
    cloud: Cloud = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Stop or delete pods of yours that are left; exits 1 after a no, 2 when some did not end."""
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    wanted = named_pods(pods or [], state_file)
    if bool(wanted) == all_stopped:
        raise InvalidInput(
            "which pods are meant was not said"
            if not wanted
            else "pods and --all-stopped exclude each other",
            help="Name pods, a --state-file, or all stopped ones with --all-stopped.",
        )
    whose = known_owner(owner, terminal.environ)

    async def look(account: Account) -> list[_Row]:
        return await _rows(account, whose)

    chosen = _chosen(with_account(cloud, terminal, look), wanted)
    for pod_id in sorted(wanted.keys() - {one.owned.pod.id for one in chosen}):
        terminal.alert(f"{line(pod_id)}: this account has no such pod: it is gone, or never was")
    if not chosen:
        terminal.print("no such pods of yours")
        return EXIT_OK
    _tell(chosen, 0, {}, terminal)
    if dry_run or mode is Mode.PRESERVE:
        terminal.say("Nothing was done.")
        return EXIT_OK
    if not yes and not _confirmed(chosen, mode, terminal):
        terminal.say("Nothing was done.")
        return JobFailed.exit_code

    async def work(account: Account) -> dict[str, str | None]:
        _leave_word(chosen, "cleanup", terminal)
        return await _end_all(account, chosen, mode.value)  # type: ignore[arg-type]  # not preserve

    ended = with_account(cloud, terminal, work)
    _tell_ledger(ended, "gone" if mode is Mode.DELETE else "stopped", terminal)
    for pod_id, error in ended.items():
        done = "deleted" if mode is Mode.DELETE else "stopped"
        if error is None:
            terminal.print(f"{pod_id}: {terminal.out.good(done)}")
        else:
            terminal.alert(f"{pod_id}: {terminal.err.bad('NOT ' + done)}: {error}")
    return EXIT_CHANGED if any(ended.values()) else EXIT_OK


def _chosen(rows: Sequence[_Row], wanted: Mapping[str, str | None]) -> list[_Row]:
    """Return the rows that were asked for.

    Raises:
        InvalidInput: One of them is not the owner's, or another run has it now than the one named.
    """
    if not wanted:
        return [row for row in rows if row.owned.ours and row.owned.pod.status == "EXITED"]
    by_id = {row.owned.pod.id: row for row in rows}
    foreign = [one for one in wanted if one in by_id and not by_id[one].owned.ours]
    if foreign:
        raise InvalidInput(
            f"{', '.join(foreign)}: not a pod of yours, so it is not touched",
            help="Whose it is stands in its name; act for that owner with --owner.",
        )
    for pod_id, run_id in wanted.items():
        has_it = by_id[pod_id].owned.run_id if pod_id in by_id else None
        if run_id is not None and has_it is not None and has_it != run_id:
            raise InvalidInput(
                f"{pod_id} was kept by {run_id}, and {has_it} has it now: it is not touched",
                help=f"If that is the run you mean, or the pod whatever it does:\n"
                f"  runpod-deploy cleanup {has_it}\n  runpod-deploy cleanup {pod_id}",
            )
    return [by_id[one] for one in wanted if one in by_id]


def _confirmed(rows: Sequence[_Row], mode: Mode, terminal: Terminal) -> bool:
    if not terminal.asks:
        raise InvalidInput(
            f"there is nobody to ask whether to {mode.value} {count(len(rows), 'pod')}",
            help="Say yes beforehand, with --yes.",
        )
    lost = " and everything on them" if mode is Mode.DELETE else ""
    question = f"{mode.value.capitalize()} {count(len(rows), 'pod')}{lost}?"
    return says_yes(question, terminal)
