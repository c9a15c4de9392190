"""A whole plan as Markdown, for a pull request or a page: cost and hardware first, cut last."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import zip_longest

from runpod_deploy.cli import plan_rows
from runpod_deploy.cli.amounts import count, size
from runpod_deploy.cli.layout import Row
from runpod_deploy.cli.markdown import LONGEST_CELL, cell, code, fence, html_code, table, unfolded
from runpod_deploy.cli.markdown_limit import MOST, Part, fitted
from runpod_deploy.cli.market_words import UNKNOWN, chance, estimate_rows, per_hour
from runpod_deploy.cli.plan_rows import secret_source, with_names
from runpod_deploy.compiler.line_diff import lines_of
from runpod_deploy.compiler.observed import CandidateOffer
from runpod_deploy.compiler.payload_files import LARGEST
from runpod_deploy.compiler.plan import Candidate, Plan, PlanFile, Script

_NAME = 50


def markdown_plan(plan_file: PlanFile, *, note: str = "", most: int = MOST) -> str:
    """Return the whole plan as Markdown.

    Args:
        note: A sentence about the plan, such as that the job is new; not foreign text.
        most: The longest that the text may be, in bytes with line breaks counted twice.
    """
    return fitted(list(parts_of(plan_file, note)), most)


def parts_of(plan_file: PlanFile, note: str = "") -> Iterator[Part]:
    """Return the stretches of the document, what matters most first."""
    plan = plan_file.plan
    yield _headline(plan_file, note)
    yield _rows("Cost", [*_price(plan_file), *plan_rows.money(plan)], kept=True)
    yield _rows(
        "Hardware", [_gpus(plan_file), *plan_rows.pod(plan, plan_file.observed.image)], kept=True
    )
    yield _candidates(plan_file)
    yield _rows("Storage", plan_rows.storage(plan))
    if plan.secrets:
        rows = [
            (
                cell(one.name),
                cell(secret_source(one)),
                cell(with_names(one.destination)),
            )
            for one in plan.secrets
        ]
        yield part_of_table("Secrets", ("name", "from", "on the pod"), rows, "secret")
    yield from (_command(*one) for one in _commands(plan) if len(one[1]) > LONGEST_CELL)
    yield from (_script(one) for one in plan.scripts if one.phase != "pod")
    yield from (_payload(plan_file, one.label) for one in plan.staging)
    if plan.artifacts:
        results = [
            (
                cell(one.label),
                cell(with_names(one.remote_path)),
                cell(
                    with_names(one.local_path)
                    + ("" if one.upload is None else f" and {plan_rows.upload_place(one.upload)}")
                ),
                "required" if one.required else "optional",
            )
            for one in plan.artifacts
        ]
        head = ("label", "on the pod", "here", "")
        yield part_of_table("Artifacts", head, results, "artifact")
    yield _rows("Run", plan_rows.run(plan))
    yield _rows("Afterwards", [*plan_rows.ending(plan), plan_rows.telemetry(plan)])
    if plan.job.variables:
        yield _rows("Variables", plan_rows.variables(plan), foreign_labels=True)
    rows = [
        (cell(one.name), f"{len(lines_of(one.text)):,}", code(one.sha256, 64))
        for one in plan.scripts
        if one.phase == "pod"
    ]
    title = "Scripts of runpod-deploy"
    yield part_of_table(title, ("name", "lines", "sha256"), rows, "script", align=".r")


def _headline(plan_file: PlanFile, note: str) -> Part:
    job = plan_file.plan.job
    lines = [f"### Plan of {code(job.name, 100)}", "", code(job.file), ""]
    if note:
        lines += [note, ""]
    lines += [f"Plan {code(plan_file.plan_hash, 80)}", ""]
    return Part(name="headline", head=lines, kept=True)


def _price(plan_file: PlanFile) -> Iterator[Row]:
    seen, made = plan_file.observed.catalog, plan_file.observed.estimate
    if seen is None or made is None:
        yield Row(label="price now", text="unknown: planned without asking the catalog")
    else:
        yield from estimate_rows(plan_file.plan, seen, made)


def _gpus(plan_file: PlanFile) -> Row:
    names = list(dict.fromkeys(one.gpu for one in plan_file.plan.candidates))
    more = f" and {len(names) - LARGEST} more" if len(names) > LARGEST else ""
    plan, pod = plan_file.plan, plan_file.plan.pod
    nodes = "" if plan.cluster is None else f"{plan.nodes} nodes × "
    text = f"{nodes}{pod.units} × {', '.join(names[:LARGEST])}{more}"
    return Row(label="GPU" if pod.cpu is None else "vCPU", text=text)


def _rows(
    title: str, rows: Iterable[Row], *, kept: bool = False, foreign_labels: bool = False
) -> Part:
    shown = [
        (cell(row.label, 100) if foreign_labels else row.label, cell(row.text)) for row in rows
    ]
    return part_of_table(title, ("", ""), shown, "row", kept=kept)


def part_of_table(
    title: str,
    head: tuple[str, ...],
    rows: Iterable[Sequence[str]],
    noun: str,
    *,
    kept: bool = False,
    align: str = "",
) -> Part:
    """Return a headed table whose rows are cells already; `noun` is what a row is."""
    lines = table(head, rows, align)
    first = len(lines) if kept else 2
    return Part(
        name=title,
        head=[f"#### {title}", "", *lines[:first]],
        body=lines[first:],
        foot=[""],
        noun=noun,
        kept=kept,
    )


def _candidates(plan_file: PlanFile) -> Part:
    catalog = plan_file.observed.catalog
    all_of_them = plan_file.plan.candidates
    offers = () if catalog is None else catalog.candidates
    rows = [
        (f"{number}", *_candidate(one), *(() if catalog is None else _offer(offer)))
        for number, (one, offer) in enumerate(zip_longest(all_of_them, offers), 1)
    ]
    head = ("", "GPU", "datacenter", "cloud", *(() if catalog is None else ("price", "stock")))
    part = part_of_table("Candidates", head, rows, "candidate", align="r...r")
    if catalog is None:
        return part
    when = f"Prices and stock as of {code(catalog.read_at)}."
    return Part(name=part.name, head=part.head, body=part.body, foot=["", when, ""], noun=part.noun)


def _candidate(one: Candidate) -> tuple[str, str, str]:
    place = one.datacenter
    where = "any" if place is None else "where the volume is" if place == "@volume" else cell(place)
    return cell(one.gpu), where, one.cloud


def _offer(offer: CandidateOffer | None) -> tuple[str, str]:
    if offer is None:
        return UNKNOWN, UNKNOWN
    return per_hour(offer.price_per_hour_usd), chance(offer)


def _script(script: Script) -> Part:
    lines = [line.removesuffix("\n") for line in lines_of(script.text)]
    opening, shown, closing = fence(lines, "sh")
    told = f"{count(len(lines), 'line')}, sha256 {script.sha256[:12]}"
    return Part(
        name=f"script {code(script.name, _NAME)}",
        head=[
            f"<details><summary>script {html_code(script.name, 100)}: {told}</summary>",
            "",
            opening,
        ],
        body=shown,
        foot=[closing, "", "</details>", ""],
    )


def _commands(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield what the plan runs on the reader's machine: what it is for, and the command."""
    for secret in plan.secrets:
        if secret.command is not None:
            yield f"secret {code(secret.name, _NAME)}", secret.command
    if plan.notify is not None and plan.notify.command is not None:
        yield "`notify`", with_names(plan.notify.command)


def _command(what: str, command: str) -> Part:
    """Return a command that runs on the reader's machine whole: it is what they agree to."""
    opening, shown, closing = fence(unfolded(command), "sh")
    head = [f"Command of {what}, run on the machine that applies this:", "", opening]
    return Part(name=f"command of {what}", head=head, body=shown, foot=[closing, ""])


def _payload(plan_file: PlanFile, label: str) -> Part:
    entries = plan_file.payload.get(label, ())
    staging = next(one for one in plan_file.plan.staging if one.label == label)
    largest = nlargest(LARGEST, entries, key=lambda one: one.size)
    first = {one.path for one in largest}
    ordered = [*largest, *(one for one in entries if one.path not in first)]
    lines = [f"{size(one.size):>8}  {one.path or '(the file itself)'}" for one in ordered]
    opening, shown, closing = fence(lines)
    told = f"{count(staging.files, 'file')}, {size(staging.bytes)}, the largest first"
    where = f"{html_code(staging.source, 100)} → {html_code(with_names(staging.destination), 100)}"
    return Part(
        name=f"payload {code(label, _NAME)}",
        head=[
            f"<details><summary>payload {html_code(label, 100)} ({where}): {told}</summary>",
            "",
            opening,
        ],
        body=shown,
        foot=[closing, "", "</details>", ""],
        noun="file",
    )
