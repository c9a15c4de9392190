"""`manifest-summary`: what a run was, did and brought back; its exit status is a gate."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.amounts import count, duration, size, usd
from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import AsJson, Root, cost, folders_in, is_lost, plain, run_table
from runpod_deploy.cli.layout import INDENT, LABEL, Row, flow, labelled, pad
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, JobFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runpod_deploy.forensics.summary import ArtifactSummary, RunSummary
    from runpod_deploy.forensics.totals import Totals


class SummaryFormat(StrEnum):
    """How a manifest is told."""

    TEXT = "text"
    JSON = "json"
    INTOTO = "intoto"


def manifest_summary_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|RUN]",
            help="A manifest, a run folder, a run id, or `last`, which is the default.",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    output: Annotated[
        SummaryFormat,
        typer.Option("--format", help="For people, for programs, or as an in-toto statement."),
    ] = SummaryFormat.TEXT,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Tell how a run ended and what came back; exits 0 only if it succeeded.

    With --root and no run: one line for each run and their sums, 0 only if all succeeded.
    """
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if as_json:
        output = SummaryFormat.JSON
    if run is None and root is not None:
        return _many(folders_in(root), output, terminal)
    return _one(run or "last", root, output, terminal)


def _one(name: str, root: Path | None, output: SummaryFormat, terminal: Terminal) -> int:
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.load import load_manifest  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.summary import summarise  # noqa: PLC0415 - likewise
    from runpod_deploy.record.sweep import SWEEP_MANIFEST_NAME  # noqa: PLC0415 - likewise

    path = Path(name)
    place = root if root is not None else Path()
    alone = path.is_file() and path.name != SWEEP_MANIFEST_NAME
    where = path if alone else find_run(name, place)
    manifest = load_manifest(where)
    if manifest is None and where.is_file():
        raise InvalidInput(f"{where} is no manifest: it holds no JSON object")
    summary = summarise(where)
    if output is SummaryFormat.INTOTO:
        from runpod_deploy.forensics.intoto import statement  # noqa: PLC0415 - few need it

        if manifest is None:
            raise InvalidInput(f"the run in {where} left no manifest to make a statement about")
        terminal.document(statement(manifest))
    elif output is SummaryFormat.JSON:
        terminal.document(plain(summary))
    elif not terminal.quiet:
        terminal.print("\n".join(_told(summary, terminal)))
    return EXIT_OK if summary.succeeded else JobFailed.exit_code


def _many(folders: list[Path], output: SummaryFormat, terminal: Terminal) -> int:
    from runpod_deploy.forensics.summary import iter_summaries  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.totals import total  # noqa: PLC0415 - likewise

    if output is SummaryFormat.INTOTO:
        raise InvalidInput("an in-toto statement is about one run", help="Name the run.")
    runs = list(iter_summaries(folders))
    sums = total(runs)
    if output is SummaryFormat.JSON:
        totals = {name: getattr(sums, name) for name in sums.__slots__}
        terminal.document({"runs": [plain(run) for run in runs], "totals": totals})
    elif runs:
        terminal.print("\n".join((*run_table(runs, terminal), *_totals(sums, runs, terminal))))
    else:
        terminal.print("no runs")
    return EXIT_OK if sums.succeeded == sums.runs else JobFailed.exit_code


def _totals(sums: Totals, runs: list[RunSummary], terminal: Terminal) -> Iterator[str]:
    rehearsed = sum(run.cloud == "emulator" for run in runs)
    unreal = " (emulated)" if rehearsed == len(runs) else " (in part emulated)"
    unknown = f" and {sums.unpriced} of unknown cost" if sums.unpriced else ""
    yield terminal.out.bold(
        f"{INDENT}TOTAL  {count(sums.runs, 'run')}, {sums.succeeded} succeeded · "
        f"{duration(sums.wall_time_sec)} · {usd(sums.cost_usd)}{unreal * (rehearsed > 0)}{unknown} · "
        f"{size(sums.artifact_bytes)} of results"
    )
    if sums.leaked:
        yield terminal.out.bad(f"{INDENT}{count(sums.leaked, 'pod')} may still be billing")


def _told(run: RunSummary, terminal: Terminal) -> Iterator[str]:
    tone = terminal.out.good if run.succeeded else terminal.out.bad
    name = line(run.job_name or "a run without a name")
    yield f"{terminal.out.bold(name)}  {tone(run.state)}"
    yield from labelled(_rows(run, terminal.width), terminal.out, terminal.width)
    yield from _artifact_lines(run.artifacts, terminal)
    room = terminal.width - len(INDENT) - 16
    for number, text in enumerate(flow(run.telemetry_files, room)):
        if text:
            yield f"{INDENT}{pad('' if number else 'files', 16)}{text}"
    if run.read_from != "manifest":
        yield terminal.out.warn(f"{INDENT}No manifest: this is what the events tell.")


def _rows(run: RunSummary, width: int) -> Iterator[Row]:
    yield Row(label="run", text=run.run_id or run.folder.name)
    if run.cause or run.exit_code is not None:
        parts = [f"exit code {run.exit_code}" if run.exit_code is not None else "no exit code"]
        if run.cause and run.cause != "exit_code":
            parts.append(run.cause.replace("_", " "))
        yield Row(label="ended", text=", ".join(parts))
    if run.carried_on is False:
        from runpod_deploy.cli.views.watch import shown  # noqa: PLC0415 - few runs are left alone

        left = "gone" if is_lost(run) else "none: the run was left alone"
        word = "resume" if is_lost(run) else "attach"
        go_on = f"runpod-deploy {word} {shlex.quote(shown(run.folder))}"
        yield Row(label="executor", text=f"{left}; go on with:\n{go_on}")
    if run.failure:
        yield Row(label="because", text=_because(run.failure))
    pod = run.pod_id or "none"
    state = f", {run.pod_final_state}" if run.pod_final_state and run.pod_id else ""
    yield Row(label="pod", text=f"{pod}{state}")
    place = (run.gpus, run.datacenter_id, run.cloud_type, run.cloud)
    yield Row(label="ran on", text=" · ".join(str(one) for one in place if one) or "nothing")
    if run.wall_time_sec is not None:
        yield Row(label="wall time", text=duration(run.wall_time_sec))
    rate = "unknown" if run.price_per_hour_usd is None else f"{usd(run.price_per_hour_usd)}/h"
    source = _PRICES.get(run.price_source or "", run.price_source)
    yield Row(label="price", text=f"{rate} ({source})" if source else rate)
    cap = "" if run.cost_cap_usd is None else f" of {usd(run.cost_cap_usd)}"
    yield Row(label="cost", text=f"{cost(run).replace(' em.', ' (emulated)')}{cap}")
    if run.plan_hash:
        fits = len(INDENT) + LABEL + len(run.plan_hash) <= width
        yield Row(label="plan", text=run.plan_hash if fits else f"{run.plan_hash[:39]}…")
    dirty = ", with changes" if run.git_dirty else ""
    branch = f" ({run.git_branch})" if run.git_branch else ""
    yield Row(label="git", text=f"{run.git_sha}{branch}{dirty}" if run.git_sha else "none")
    lock = f"{run.lockfile}  {(run.lockfile_sha256 or '')[:16]}".rstrip()
    yield Row(label="lock file", text=lock if run.lockfile else "none")
    for pod_id in run.leaked_pods:
        yield Row(label="LEAKED", text=f"pod {pod_id} could not be confirmed gone")


_PRICES = {
    "pod_cost": "as the pod was rented",
    "pod_describe": "as RunPod told of the pod",
    "assumed_rate": "assumed by the job file",
}


def _because(failure: Mapping[str, Any]) -> str:
    proof = failure.get("evidence")
    text = str(failure.get("text") or failure.get("kind"))
    if not isinstance(proof, Mapping):
        return text
    return f"{text}\n{proof.get('file')}:{proof.get('line')}: {proof.get('text')}"


def _artifact_lines(artifacts: tuple[ArtifactSummary, ...], terminal: Terminal) -> Iterator[str]:
    from runpod_deploy.cli.layout import table  # noqa: PLC0415 - not for `--help`

    rows = []
    for one in artifacts:
        files = "" if one.files is None else count(one.files, "file")
        amount = "" if one.bytes is None else size(one.bytes)
        why = (one.error or "").partition("\n")[0]
        told = one.status + ("" if one.required else " (optional)") + (f": {why}" if why else "")
        rows.append([one.label, files, amount, told])
    for number, text in enumerate(table(rows, terminal.out, right=".rr") if rows else ()):
        yield f"{INDENT}{pad('' if number else 'artifacts', 16)}{text.removeprefix(INDENT)}"
