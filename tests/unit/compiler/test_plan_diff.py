"""What differs between two plans: every field of it, and nothing when nothing does."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import (
    Observed,
    PayloadEntry,
    Plan,
    PlanCluster,
    PlanForward,
    PlanNotify,
    PlanStaging,
)
from runpod_deploy.compiler.plan_diff import SECTIONS, PlanDiff, compare
from runpod_deploy.compiler.plan_fields import ABSENT, leaves, section_of
from runpod_deploy.compiler.planfile import make_plan_file, plan_hash
from runpod_deploy.schema.plain import from_plain, to_plain
from support.plans import artifact, script, small_plan

SEEN = Observed(compiled_at="2026-05-14T02:12:00Z", tool_version="1")


def file(path: str, text: str = "x", **changes: Any) -> PayloadEntry:
    """Return a file of the payload."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    made = PayloadEntry(path=path, type="file", size=len(text), exec=False, sha256=sha256)
    return replace(made, **changes)


def full_plan() -> Plan:
    """Return a plan with something in every list."""
    staging = PlanStaging(
        label="code",
        source="src",
        destination="/root/src",
        excludes=(".git",),
        gitignore=True,
        delete=False,
        tree_sha256="sha256:" + "0" * 64,
        files=1,
        bytes=1,
    )
    plan = small_plan()
    return replace(
        plan,
        staging=(staging,),
        required_paths=("data",),
        pod=replace(plan.pod, env={"MODE": "fast"}),
        job=replace(plan.job, variables={"seed": "7"}),
        forward=(PlanForward(local=8080, pod=8888),),
        notify=PlanNotify(webhook_env="HOOK", webhook_file="hook", command="tell", on=("failed",)),
    )


def diff(before: Plan, after: Plan, *files: tuple[PayloadEntry, ...]) -> PlanDiff:
    """Compare two plans, with the files of `code` on either side."""
    old, new = files or ((), ())
    return compare(
        make_plan_file(before, {"code": old}, SEEN, "0" * 32),
        make_plan_file(after, {"code": new}, SEEN, "1" * 32),
    )


def mutations(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    """Return every way to change one leaf of plain data, as its place and the whole changed."""
    if isinstance(value, dict):
        return [
            (place, {**value, key: changed})
            for key, item in value.items()
            for place, changed in mutations(item, f"{pointer}/{key}")
        ]
    if isinstance(value, list) and value:
        return [
            (place, [*value[:index], changed, *value[index + 1 :]])
            for index, item in enumerate(value)
            for place, changed in mutations(item, f"{pointer}/{index}")
        ]
    return [(pointer, other) for other in (not value, f"{value}x", 77, 77.5, None, ["x"])]


def test_no_change_of_the_hash_goes_unnoticed() -> None:
    """Each change of one leaf that gives a sound plan of another hash is told, and none besides."""
    plan = full_plan()
    own = plan_hash(plan)
    told = set()
    for place, data in mutations(to_plain(plan)):
        if place.endswith(("/tree_sha256", "/files", "/bytes", "/sha256")):
            continue  # sums of what is compared itself
        try:
            other = from_plain(Plan, data)
        except ValueError:
            continue
        assert (own == plan_hash(other)) is diff(plan, other).same, place
        if own != plan_hash(other):
            told.add(place.split("/")[1])
    assert {"cluster", "matrix", "secrets"} == to_plain(plan).keys() - told


def test_nodes_are_told_as_hardware() -> None:
    """More nodes, and whose artifacts come home, are changes of the hardware."""
    before = replace(full_plan(), cluster=PlanCluster(nodes=2, type="TRAINING", collect="first"))
    after = replace(before, cluster=PlanCluster(nodes=4, type="TRAINING", collect="all"))
    assert {"cluster.nodes", "cluster.collect"} == {
        one.field for one in diff(before, after).fields_of("hardware")
    }
    assert not diff(full_plan(), before).same


def test_sections_come_in_the_order_of_importance() -> None:
    """Cost leads, whatever the order in the plan, and the price ceiling is cost."""
    before = full_plan()
    after = replace(
        before,
        pod=replace(before.pod, image="other", max_price_per_hour_usd=2.0),
        budget=replace(before.budget, cost_cap_usd=99.0),
        artifacts=(artifact("more"),),
    )
    sections = [one.section for one in diff(before, after).fields]
    assert sections == sorted(sections, key=SECTIONS.index)
    assert {"pod.max_price_per_hour_usd", "budget.cost_cap_usd"} == {
        one.field for one in diff(before, after).fields_of("cost")
    }
    assert all(section_of(field) in SECTIONS for field in leaves(before))


def test_named_items_are_compared_by_name() -> None:
    """An artifact put in front makes one addition; turning the order alone is told as that."""
    before = replace(full_plan(), artifacts=(artifact("a"), artifact("b")))
    more = replace(before, artifacts=(artifact("c"), artifact("a"), artifact("b")))
    turned = replace(before, artifacts=(artifact("b"), artifact("a")))
    assert {"artifacts.c"} == {
        one.field.rpartition(".")[0] for one in diff(before, more).fields if one.before is ABSENT
    }
    assert ["artifacts.order"] == [one.field for one in diff(before, turned).fields]


def test_scripts_are_told_by_their_text_the_jobs_own_first() -> None:
    """Changed, added and removed texts; what a tool's version changes comes last."""
    before = replace(
        full_plan(), scripts=(script("supervisor", "pod", "1\n"), script("run", "run", "a\n"))
    )
    after = replace(
        before, scripts=(script("supervisor", "pod", "2\n"), script("setup-1", "setup", "b\n"))
    )
    told = [(one.name, one.kind) for one in diff(before, after).scripts]
    assert [("run", "removed"), ("setup-1", "added"), ("supervisor", "changed")] == told


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ([file("a")], [file("a"), file("b", "y")], [("b", "added")]),
        ([file("a")], [file("a", "y")], [("a", "changed")]),
        ([file("a")], [file("a", exec=True)], [("a", "changed")]),
        ([file("a")], [], [("a", "removed")]),
        ([file("a")], [file("b")], [("b", "moved")]),
        ([file("a"), file("b")], [file("c")], [("b", "removed"), ("c", "moved")]),
        ([file("a", "")], [file("b", "")], [("a", "removed"), ("b", "added")]),
    ],
)
def test_files_of_the_payload(
    old: list[PayloadEntry], new: list[PayloadEntry], kinds: list[tuple[str, str]]
) -> None:
    """Added, changed, removed; the same content at another path counts as moved."""
    plan = full_plan()
    told = diff(plan, plan, tuple(old), tuple(new)).files
    assert kinds == [(one.path, one.kind) for one in told]


def test_a_new_job_differs_from_nothing() -> None:
    """Without another side there is nothing to list, and it is not the same."""
    new = compare(None, make_plan_file(full_plan(), {}, SEEN, "0" * 32))
    assert (False, ()) == (new.same, new.fields)
