"""However large a plan is, its Markdown fits into a comment and says the most important."""

import hashlib
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runpod_deploy.cli.diff_markdown import markdown_diff
from runpod_deploy.cli.markdown_limit import Part, fitted, weight
from runpod_deploy.cli.plan_markdown import markdown_plan
from runpod_deploy.cli.sweep_diff_view import markdown_sweep_diff
from runpod_deploy.cli.sweep_plan import markdown_sweep
from runpod_deploy.compiler.plan import Observed, PayloadEntry, PlanFile, PlanShard, PlanStaging
from runpod_deploy.compiler.plan_diff import compare
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.compiler.sweep_diff import compare_sweeps
from runpod_deploy.compiler.sweepfile import SweepFile, make_sweep_file
from support.plans import artifact, script, small_plan

GITHUB = 65_536
SEEN = Observed(compiled_at="2026-05-14T02:12:00Z", tool_version="1")
TEXTS = st.sampled_from(
    [
        "a",
        "x\n",
        "`" * 7 + "\n",
        "😀|",
        "é<b>@you\n",
        "\u202e",
        "| | |\n",
        "</details>\n",
        "#" * 90 + "\n",
        "&\\*_",
        "日本\n",
    ]
)
LONG = st.builds(lambda unit, times, rest: unit * times + rest, TEXTS, st.integers(0, 8_000), TEXTS)


def longest_count(text: str) -> int:
    """Return the most that anybody's way of counting characters can come to."""
    breaks = text.count("\n")
    ways = (len(text), len(text.encode("utf-16-le")) // 2, len(text.encode()))
    return max(ways) + breaks


def plan_of(texts: list[str], names: list[str], files: int, cap: float) -> PlanFile:
    """Return a plan that is large where it can be."""
    plan = small_plan()
    entries = tuple(
        PayloadEntry(
            path=f"{names[0]}/{number:06}",
            type="file",
            size=number,
            exec=False,
            sha256=hashlib.sha256(f"{number}{cap}".encode()).hexdigest(),
        )
        for number in range(files)
    )
    staging = PlanStaging(
        label=names[0],
        source=names[-1],
        destination="/root/src",
        excludes=tuple(names),
        gitignore=True,
        delete=False,
        tree_sha256="sha256:" + "0" * 64,
        files=files,
        bytes=sum(range(files)),
    )
    every: dict[str, Any] = {f"{name}-{index}": name for index, name in enumerate(names)}
    return make_plan_file(
        replace(
            plan,
            job=replace(plan.job, name=names[0], file=names[-1], variables=every),
            pod=replace(plan.pod, env=every, image=names[0], start_command=names[-1]),
            budget=replace(plan.budget, cost_cap_usd=cap),
            staging=(staging,),
            artifacts=tuple(map(artifact, every)),
            scripts=tuple(
                script(f"{name}-{number}", "run", text)
                for number, (name, text) in enumerate(zip(names * 9, texts, strict=False))
            ),
        ),
        {names[0]: entries},
        SEEN,
        "0" * 32,
    )


@settings(max_examples=20, deadline=None)
@given(
    st.lists(LONG, min_size=2, max_size=6),
    st.lists(st.builds(lambda unit, times: unit * times, TEXTS, st.integers(1, 800)), min_size=1,
             max_size=20),
    st.integers(0, 3000),
)  # fmt: skip
def test_the_limit_holds_for_any_input(texts: list[str], names: list[str], files: int) -> None:
    """By every way of counting the text is short enough, and cost and hardware are always there."""
    before = plan_of(texts[:1], names[:1], files // 2, 3.0)
    after = plan_of(texts, names, files, 11.0)
    difference = compare(before, after)
    for text in (markdown_plan(after), markdown_diff(difference, names[0])):
        assert longest_count(text) < GITHUB
        assert "#### Cost" in text
        assert "$11.00" in text
        assert "#### Hardware" in text
        assert "NVIDIA L4, NVIDIA RTX A4000" in text


def sweep_of(unit: str, first: int) -> SweepFile:
    """Return a sweep of fourteen runs, everything in it long and made of one piece of text."""
    shards = []
    for number in range(first, first + 14):
        long = f"{unit * 900}{number}"
        made = plan_of([f"{long}\n" * 40], [long], 30, float(number))
        shard = PlanShard(
            name=long, values={long: long}, max_parallel=1, fail_fast=False, cap_usd=None
        )
        plan = replace(made.plan, matrix=shard)
        shards.append(make_plan_file(plan, made.payload, made.observed, made.plan_id))
    return make_sweep_file(shards, "0" * 32)


@pytest.mark.parametrize("unit", ["a", "😀|", "&\\*_@", "`", "\u202e"])
def test_the_limit_holds_for_sweeps(unit: str) -> None:
    """However long and odd names, values and scripts of all runs are, and whatever became of them."""
    before, after = sweep_of(unit, 1), sweep_of(unit, 9)
    single = make_plan_file(
        replace(before.first.plan, matrix=None), before.first.payload, SEEN, "0" * 32
    )
    texts = [markdown_sweep(after)]
    for one, two in ((before, after), (single, after), (after, single)):
        texts.append(markdown_sweep_diff(compare_sweeps(one, two), unit * 900, [unit * 900] * 9))
    for text in texts:
        assert longest_count(text) < GITHUB
        assert "All runs together" in text
        assert "#### Cost" in text


def test_a_large_script_and_many_files() -> None:
    """A 2 MB script and 50,000 files: under the limit, with cost, hardware and what was cut."""
    script_text = "".join(f"echo step {number} of many\n" for number in range(90_000))
    assert len(script_text) > 2_000_000
    after = plan_of([script_text], ["code"], 50_000, 11.0)
    before = plan_of(["echo\n"], ["code"], 0, 3.0)
    for text in (markdown_plan(after), markdown_diff(compare(before, after), "main")):
        assert 40_000 < longest_count(text) < GITHUB
        assert "$11.00" in text
        assert "NVIDIA L4" in text
        cut = text[text.index("**Cut to fit") :]
        assert re.search(r"script `code-0`: 8\d,\d{3} of 90,00\d lines cut", cut)
        assert re.search(r"payload `code`: 4\d,\d{3} of 50,000 (changed )?files cut", cut)
        assert 0 == text.count("```") % 2
        assert text.count("<details") == text.count("</details>")


def test_one_gigantic_line() -> None:
    """A script that is one line of two megabytes is cut within the line, and that is told."""
    text = markdown_plan(plan_of(["x" * 2_000_000], ["code"], 1, 11.0))
    assert longest_count(text) < GITHUB
    assert "1,999,000 more characters" in text


def test_room_goes_round() -> None:
    """What a short part leaves is given to a long one, and each long one gets something."""
    parts = [
        Part(name="head", head=["h"], kept=True),
        Part(name="short", body=["s"]),
        Part(name="long", body=["l" * 50] * 1000),
        Part(name="longer", body=["m" * 50] * 1000, noun="row"),
    ]
    text = fitted(parts, 20_000)
    assert weight([text]) <= 20_000
    assert 100 < text.count("l" * 50) <= text.count("m" * 50)
    assert "- longer: " in text
    assert "of 1,000 rows cut" in text
