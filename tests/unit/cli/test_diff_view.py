"""How a difference looks on a terminal, and in a comment where prices are known."""

import re
from dataclasses import replace

import pytest

from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.diff_markdown import markdown_diff
from runpod_deploy.cli.diff_view import MOST_FILES, render_diff
from runpod_deploy.cli.plan_markdown import markdown_plan
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.observed import CandidateOffer, Estimate, ObservedCatalog, Spend
from runpod_deploy.compiler.plan import PayloadEntry, PlanFile
from runpod_deploy.compiler.plan_diff import compare

PLAIN = Style(color=False)


def changed(plan_file: PlanFile) -> PlanFile:
    """Return a plan that differs in a bit of everything."""
    plan = plan_file.plan
    scripts = tuple(
        replace(one, text=f"{one.text}echo a line that is somewhat longer\n")
        for one in plan.scripts
    )
    files = plan_file.payload["code"]
    more = tuple(
        PayloadEntry(
            path=f"more/{number:03}", type="file", size=7, exec=False, sha256=f"{number:064}"
        )
        for number in range(40)
    )
    return replace(
        plan_file,
        plan_hash="sha256:" + "f" * 64,
        plan=replace(
            plan,
            budget=replace(plan.budget, cost_cap_usd=77.0),
            pod=replace(plan.pod, env={"MODE": "slow", "LONG": "word " * 40}),
            scripts=scripts,
            artifacts=(),
        ),
        payload={"code": (*more, *files[:-1])},
    )


def priced(plan_file: PlanFile, rate: float | None) -> PlanFile:
    """Return a plan that was made with the catalog at hand."""
    first, second = plan_file.plan.candidates
    offers = tuple(
        CandidateOffer(
            gpu=one.gpu,
            datacenter=one.datacenter,
            cloud=one.cloud,
            memory_gb=24,
            price_per_gpu_hour_usd=price,
            price_per_hour_usd=price,
            stock=stock,
            passed_over=None,
        )
        for one, price, stock in ((first, 0.49, "HIGH"), (second, None, None))
    )
    estimate = Estimate(
        candidate=0,
        price_source="catalog",
        compute_per_hour_usd=rate,
        disk_per_hour_usd=0.01,
        rate_per_hour_usd=rate,
        volume_per_month_usd=None,
        stopped_per_day_usd=None,
        typical=None,
        at_max_runtime=None if rate is None else Spend(seconds=900.0, usd=0.125),
        at_cap=None,
        ends_by=None,
    )
    catalog = ObservedCatalog(cloud="runpod", read_at="2026-05-14T02:12:00Z", candidates=offers)
    return replace(
        plan_file, observed=replace(plan_file.observed, catalog=catalog, estimate=estimate)
    )


@pytest.mark.parametrize("width", [60, 80, 100])
def test_values_fit_into_the_width(sample: PlanFile, width: int) -> None:
    """No line is longer than the terminal, but for words that are: hashes, images, and code."""
    view = render_diff(compare(sample, changed(sample)), "main", PLAIN, width=width, full=False)
    long = [one for one in view.splitlines() if cells(one) > width]
    assert [] == [one for one in long if not re.search("sha256:|echo|image", one)]


def test_ours_and_long_lists_are_folded(sample: PlanFile) -> None:
    """Our own scripts and files beyond thirty are shown with --scripts only."""
    diff = compare(sample, changed(sample))
    short = render_diff(diff, "main", PLAIN, width=80, full=False)
    full = render_diff(diff, "main", PLAIN, width=80, full=True)
    assert (1, 2) == (short.count("+echo a line"), full.count("+echo a line"))
    assert f"… and {41 - MOST_FILES} more" in short
    assert "- src/part_12.py" in full
    assert "… and" not in full


def test_what_is_the_same_says_so(sample: PlanFile) -> None:
    """No section is shown then."""
    view = render_diff(compare(sample, sample), "main", PLAIN, width=80, full=False)
    assert "No change" in view
    assert "Cost" not in view


def test_colour_marks_before_and_after(sample: PlanFile) -> None:
    """Red was, green is; without colour there is no escape."""
    diff = compare(sample, changed(sample))
    assert "\x1b[32m$77.00" in render_diff(diff, "main", Style(color=True), width=80, full=False)
    assert "\x1b" not in render_diff(diff, "main", PLAIN, width=80, full=True)


def test_hostile_text_cannot_reach_the_terminal(sample: PlanFile) -> None:
    """Names, values, scripts and paths show as escapes."""
    hostile = "a\x1b]0;owned\x07\x9b2J\u202eb"
    plan = sample.plan
    other = replace(
        sample,
        plan=replace(
            plan,
            job=replace(plan.job, name=hostile, variables={hostile: hostile}),
            pod=replace(plan.pod, image=hostile),
            scripts=tuple(replace(one, text=hostile) for one in plan.scripts),
        ),
        payload={
            hostile: tuple(
                replace(one, path=f"{hostile}{one.path}") for one in sample.payload["code"]
            )
        },
    )
    view = render_diff(compare(sample, other), hostile, PLAIN, width=80, full=True)
    assert {"\n"} >= {one for one in view if not one.isprintable()}


def test_prices_are_told_where_they_are_known(sample: PlanFile) -> None:
    """A price that is not known is called unknown, on either side."""
    before, after = priced(sample, None), priced(changed(sample), 0.5)
    view = render_diff(compare(before, after), "main", PLAIN, width=80, full=False)
    assert "price now       unknown → $0.50/h with its disks" in view
    assert "price now" not in render_diff(
        compare(sample, changed(sample)), "main", PLAIN, width=80, full=False
    )
    assert "| **price now** | `not looked up` | **`unknown`** |" in markdown_diff(
        compare(sample, priced(changed(sample), None)), "main"
    )


def test_markdown_shows_price_and_stock_of_candidates(sample: PlanFile) -> None:
    """What the catalog said stands beside each candidate, with its hour."""
    text = markdown_plan(priced(sample, 0.5))
    assert "| 1 | `NVIDIA L4` | any | SECURE | $0.49/h | high |" in text
    assert "| COMMUNITY | unknown | ? |" in text
    assert "Prices and stock as of `2026-05-14T02:12:00Z`." in text
    assert "| together | `$0.50/h` |" in text


def with_command(sample: PlanFile, command: str | None) -> PlanFile:
    """Return a plan whose secret is printed by that command."""
    secret = replace(sample.plan.secrets[0], command=command)
    return replace(
        sample,
        plan=replace(sample.plan, secrets=(secret,)),
        plan_hash=f"sha256:{len(command or ''):064}",
    )


@pytest.mark.parametrize("length", [345, 5000])
def test_a_command_stands_whole_in_the_comment(sample: PlanFile, length: int) -> None:
    """Both sides in full, however long: what is agreed to may hide nothing behind its start."""
    start = "pass show " + "x" * length
    before, after = (with_command(sample, f"{start}{end}") for end in ("/a", "; evil `|` /b"))
    shown = markdown_diff(compare(before, after), "main")
    block = shown[shown.index("```diff") :].split("\n")[1:]
    whole = {"-": "", "+": ""}
    for one in block[: block.index("```")]:
        whole[one[0]] += one[1:].removeprefix("↪ ")
    assert {"-": f"{start}/a", "+": f"{start}; evil `|` /b"} == whole
    assert "run on the machine that applies this" in shown
    view = markdown_plan(after)
    assert "evil `|` /b" in view
    assert "+pass show x" in markdown_diff(compare(with_command(sample, None), after), "main")


def test_long_values_are_shown_from_where_they_differ(sample: PlanFile) -> None:
    """A value of a table and a line of a script whose end alone differs; what is left out is told."""
    plan = sample.plan
    script = plan.scripts[0]
    sides = []
    for end in ("old end", "evil end"):
        text = f"first\n{'y' * 4000}{end}{'z' * 2000}\nlast\n"
        scripts = (replace(script, text=text), *plan.scripts[1:])
        pod = replace(plan.pod, env={"LONG": f"{'x' * 900}{end}"})
        changed_plan = replace(plan, pod=pod, scripts=scripts)
        sides.append(replace(sample, plan=changed_plan, plan_hash=f"sha256:{end}"))
    shown = markdown_diff(compare(*sides), "main")
    for end in ("old end", "evil end"):
        assert f"(850 characters the same) … `{'x' * 50}{end}`" in shown
    assert re.search(
        r"^-\(3,834 characters the same\) … y+old endz+ … \([\d,]+ more", shown, re.MULTILINE
    )
    assert re.search(
        r"^\+\(3,834 characters the same\) … y+evil endz+ … \([\d,]+ more", shown, re.MULTILINE
    )
