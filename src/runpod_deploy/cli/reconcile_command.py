"""`reconcile`: what runs say they cost against what RunPod billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.account import with_account
from runpod_deploy.cli.amounts import count, usd
from runpod_deploy.cli.arguments import Cloud, Quiet, Verbose
from runpod_deploy.cli.history import AsJson, Root, folders_in
from runpod_deploy.cli.layout import INDENT, table
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.executor.ports import Account, Bill
    from runpod_deploy.executor.reconcile import Reconciled
    from runpod_deploy.forensics.load import Manifest

_LONG_AGO = "2000-01-01T00:00:00Z"


def reconcile_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run folder, a run id, or `last`.", show_default=False
        ),
    ] = None,
    root: Root = None,
    cloud: Cloud = None,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing into the manifests.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Compare planned, accrued and billed cost pod by pod, and keep what was billed in the manifests.

    With --root, pods that were billed and belong to no run there are told as well.
    """
    from runpod_deploy.executor.reconcile import reconcile, record_billed, sharing  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    manifests = _manifests(run, root)
    # A pod that was kept for the next run is on the bill once, for all runs that had it.
    others = {} if run is None else sharing(manifests, _beside(manifests))
    everyone = {**manifests, **others}
    since = min((_started(one) for one in everyone.values()), default=_LONG_AGO)

    async def work(account: Account) -> list[Bill]:
        return await account.billed(since)

    whole = reconcile(everyone, with_account(cloud, terminal, work))
    whole = replace(whole, runs=tuple(one for one in whole.runs if one.folder in manifests))
    if not dry_run:
        for one in whole.runs:
            try:
                record_billed(one)
            except (OSError, ValueError) as error:
                terminal.alert(f"warning: {one.folder}: what was billed was not written: {error}")
    if as_json:
        _print_json(whole, with_unknown=run is None, terminal=terminal)
    else:
        _tell(whole, with_unknown=run is None, terminal=terminal)


def _manifests(run: str | None, root: Path | None) -> dict[Path, Manifest]:
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.load import load_manifest  # noqa: PLC0415 - likewise

    if run is None and root is None:
        raise InvalidInput(
            "no run was named",
            help="Name a run or `last`, or all runs of a project with --root DIR.",
        )
    place = root if root is not None else Path()
    folders = folders_in(root) if run is None else [find_run(run, place)]
    found = {folder: load_manifest(folder) for folder in folders}
    if run is not None and not any(found.values()):
        raise InvalidInput(f"{folders[0]} holds no manifest, so its pods are not known")
    return {folder: manifest for folder, manifest in found.items() if manifest is not None}


def _beside(manifests: Mapping[Path, Manifest]) -> dict[Path, Manifest]:
    """Return the manifests of the runs that lie beside one run."""
    from runpod_deploy.forensics.load import load_manifest  # noqa: PLC0415 - not for `--help`

    found = {}
    for folder in {one.parent for one in manifests}:
        for other in sorted(folder.iterdir()):
            manifest = load_manifest(other) if other.is_dir() else None
            if manifest is not None:
                found[other] = manifest
    return found


def _started(manifest: Mapping[str, Any]) -> str:
    stamp = manifest.get("started_at_utc") or manifest.get("pulled_at_utc")
    return f"{stamp[:10]}T00:00:00Z" if isinstance(stamp, str) and len(stamp) >= 10 else _LONG_AGO


def _money(amount: float | None) -> str:
    return "?" if amount is None else usd(amount)


def _tell(whole: Reconciled, *, with_unknown: bool, terminal: Terminal) -> None:
    rows = [
        [
            one.folder.name,
            ", ".join(one.pod_ids) or "no pod",
            _money(one.planned_usd),
            _money(one.accrued_usd),
            _money(one.billed_usd),
        ]
        for one in whole.runs
    ]
    if not rows:
        terminal.print("no runs")
    else:
        head = ["RUN", "PODS", "PLANNED", "ACCRUED", "BILLED"]
        terminal.print("\n".join(table(rows, terminal.out, head=head, right="..rrr")))
        accrued = sum(one.accrued_usd or 0.0 for one in whole.runs)
        billed = sum(one.billed_usd or 0.0 for one in whole.runs)
        terminal.print(f"{INDENT}TOTAL  accrued {usd(accrued)}, billed {usd(billed)}")
    if with_unknown and whole.unknown:
        amount = usd(sum(whole.unknown.values()))
        terminal.alert(
            f"{count(len(whole.unknown), 'pod')} billed ({amount}) and known to no run there: "
            + ", ".join(sorted(whole.unknown))
        )


def _print_json(whole: Reconciled, *, with_unknown: bool, terminal: Terminal) -> None:
    data = {
        "runs": [
            {
                "run_dir": str(one.folder),
                "run_id": one.run_id,
                "pod_ids": list(one.pod_ids),
                "planned_usd": one.planned_usd,
                "accrued_usd": one.accrued_usd,
                "billed_usd": one.billed_usd,
                "difference_usd": one.difference_usd,
            }
            for one in whole.runs
        ],
        "unknown_pods": dict(whole.unknown) if with_unknown else {},
    }
    terminal.document(data)
