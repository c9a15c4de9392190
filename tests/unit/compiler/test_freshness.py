"""Whether a saved plan still means what it says."""

from dataclasses import replace
from typing import Any

import pytest

from compiler_cases import OBSERVED, a_file, job, plan_file_of, plan_of
from runpod_deploy.compiler.freshness import (
    ALLOWABLE,
    Drift,
    ImageNow,
    Now,
    can_apply,
    check_allowed,
    is_stale,
    with_payload,
)
from runpod_deploy.compiler.observed import ObservedImage
from runpod_deploy.compiler.plan import GitFacts, LockfileFacts, Plan, PlanFile, Script
from runpod_deploy.compiler.planfile import dumps, loads
from runpod_deploy.errors import InvalidInput

STAGED = {"staging": [{"label": "code", "source": "src", "destination": "/x"}]}
PLANNED = {"code": (a_file("a"), a_file("b"), a_file("c"))}
COMMIT = GitFacts(sha="a" * 40, branch="main", dirty=False, prefix="")


def now(plan_file: PlanFile, **changes: Any) -> Now:
    """Return a world in which nothing changed but `changes`."""
    world = Now(
        payload=plan_file.payload,
        tool_version=plan_file.observed.tool_version,
        plan=plan_file.plan,
        git=plan_file.observed.git,
        lockfile=plan_file.observed.lockfile,
    )
    return replace(world, **changes)


def staged(payload: Any = None) -> PlanFile:
    """Return a plan with one staging entry."""
    return plan_file_of(job(STAGED), payload=PLANNED if payload is None else payload)


def test_an_unchanged_world_is_no_drift() -> None:
    """Nothing changed, nothing told."""
    assert () == can_apply(staged(), now(staged()))
    assert not is_stale(())


def test_each_file_that_was_added_removed_or_changed_is_named() -> None:
    """The reader learns which files differ and how."""
    here = {"code": (a_file("a"), a_file("b", exec=True), a_file("d", size=3))}

    drifts = can_apply(staged(), now(staged(), payload=here))

    assert ["payload.code.b", "payload.code.c", "payload.code.d"] == [d.field for d in drifts]
    assert "executable" in (drifts[0].now or "")
    assert (None, None) == (drifts[1].now, drifts[2].planned)
    assert is_stale(drifts)


def test_a_lost_or_new_label_is_drift() -> None:
    """A staging that is not there any more, or that the plan does not know, makes it stale."""
    plan_file = staged({"code": (a_file("a"),)})
    more = {"code": (a_file("a"),), "more": (a_file("x"),)}

    assert is_stale(can_apply(plan_file, now(plan_file, payload={})))
    assert is_stale(can_apply(plan_file, now(plan_file, payload=more)))


def test_links_are_told_by_their_target() -> None:
    """A link's drift shows where it points."""
    link = a_file("l", type="link", target="a", size=1)
    plan_file = staged({"code": (link,)})

    assert "link to a" == can_apply(plan_file, now(plan_file, payload={"code": ()}))[0].planned


@pytest.mark.parametrize(
    ("change", "field", "planned", "is_now"),
    [
        ({"pod": {"gpu_order": ["NVIDIA L4"]}}, "candidates", "NVIDIA A40 ·", "NVIDIA L4 ·"),
        ({"pod": {"image": "runpod/base:2.0"}}, "image", "runpod/base:1.0", "runpod/base:2.0"),
        ({"run": {"body": "true\nfalse\n"}}, "scripts.run", "line 2: ", "line 2: false"),
        ({"setup": [{"command": "id"}]}, "scripts.setup-1", None, "there"),
        ({"budget": {"cost_cap_usd": 9.5}}, "budget.cost_cap_usd", None, "9.5"),
        ({"lifecycle": {"on_failure": "preserve"}}, "lifecycle.on_failure", "delete", "preserve"),
        ({"pod": {"env": {"A": "1"}}}, "pod.env.A", None, "1"),
    ],
)
def test_each_part_of_the_job_that_changed_is_named(
    change: dict[str, Any], field: str, planned: str | None, is_now: str
) -> None:
    """Field, what was planned and what is now; the plan is stale."""
    plan_file = plan_file_of(job())
    world = now(plan_file, plan=plan_of(job(change)))
    drift = next(d for d in can_apply(plan_file, world) if d.field == field)

    assert "refuse" == drift.verdict
    assert planned is None or (drift.planned or "").startswith(planned)
    assert (drift.now or "").startswith(is_now)


def test_an_item_that_came_or_went_hides_no_other() -> None:
    """`a` is gone in one line, and what changed about `a.b` is told all the same."""
    both = {
        "artifacts": [
            {"label": "a", "remote_path": "/root/a"},
            {"label": "a.b", "remote_path": "/root/b"},
        ]
    }
    one = {"artifacts": [{"label": "a.b", "remote_path": "/root/c"}]}
    plan_file = plan_file_of(job(both))
    drifts = can_apply(plan_file, now(plan_file, plan=plan_of(job(one))))

    told = {(d.field, d.planned, d.now) for d in drifts if d.part == "artifacts"}
    assert {
        ("artifacts.a.b.remote_path", "/root/b", "/root/c"),
        ("artifacts.a", "there", None),
    } == told


def test_a_job_file_that_gives_no_plan_is_drift() -> None:
    """Broken since: refused with the reason. Not there at all: the plan stands by itself."""
    plan_file = plan_file_of(job())
    broken = can_apply(plan_file, now(plan_file, plan=None, problem="job.yaml:3:1: no"))
    gone = can_apply(plan_file, now(plan_file, plan=None))

    assert [("job", "job.yaml:3:1: no", "refuse")] == [(d.field, d.now, d.verdict) for d in broken]
    assert [("job", None, "note")] == [(d.field, d.now, d.verdict) for d in gone]


def other_supervisor(plan: Plan) -> Plan:
    """Return `plan` as a version with another supervisor makes it."""

    def other(script: Script) -> Script:
        return replace(script, text="#!/bin/sh\n", sha256="0" * 64)

    scripts = tuple(other(s) if s.name == "supervisor" else s for s in plan.scripts)
    return replace(plan, scripts=scripts)


def test_another_version_applies_with_the_saved_scripts() -> None:
    """Our own scripts may differ from ours of today when another version made the plan, only then."""
    plan_file = plan_file_of(job())
    plan = other_supervisor(plan_file.plan)
    same = can_apply(plan_file, now(plan_file, plan=plan))
    newer = can_apply(plan_file, now(plan_file, plan=plan, tool_version="9.9"))

    assert [("scripts.supervisor", "refuse")] == [(d.field, d.verdict) for d in same]
    assert not is_stale(newer)
    assert ["scripts.supervisor", "tool_version"] == [d.field for d in newer]


def test_commit_and_lock_file_are_told_and_stop_nothing() -> None:
    """A plan that was merged has another commit, and is what was approved all the same."""
    plan_file = replace(plan_file_of(job()), observed=replace(OBSERVED, git=COMMIT))
    dirty = replace(COMMIT, sha="b" * 40, dirty=True, patch_sha256="c" * 64)
    lock = LockfileFacts(name="uv.lock", sha256="d" * 64)
    drifts = can_apply(plan_file, now(plan_file, git=dirty, lockfile=lock))

    assert ["git.commit", "git.changes", "lockfile"] == [d.field for d in drifts]
    assert not is_stale(drifts)


def test_only_what_is_named_is_allowed() -> None:
    """`--allow image` lets the image differ and nothing else."""
    plan_file = plan_file_of(job())
    change = {"pod": {"image": "runpod/base:2.0", "container_disk_gb": 99}}
    world = now(plan_file, plan=plan_of(job(change)))

    told = {d.field: d.verdict for d in can_apply(plan_file, world, allow={"image"})}
    assert {"image": "allowed", "pod.container_disk_gb": "refuse"} == told
    assert not is_stale(can_apply(plan_file, world, allow={"image", "pod"}))


def test_names_that_no_plan_has_are_refused() -> None:
    """A typing error must not be taken for consent."""
    assert {"payload", "pod"} == check_allowed(["pod", "payload"])
    assert {"payload", "price", "image", "candidates", "scripts"} <= set(ALLOWABLE)
    with pytest.raises(InvalidInput, match="--allow prise") as caught:
        check_allowed(["prise"])
    assert "price" in (caught.value.help or "")


def test_an_allowed_payload_travels_as_it_is_under_another_hash() -> None:
    """The planned bytes are gone; the plan that is carried out says what travels instead."""
    plan_file = staged()
    here = {"code": (a_file("a"), a_file("d", size=3))}
    changed = with_payload(plan_file, here)

    assert here == changed.payload
    assert changed.plan_hash != plan_file.plan_hash
    assert changed.plan_id == plan_file.plan_id
    assert changed == loads(dumps(changed), "plan.json")


def test_what_is_allowed_is_the_first_part_of_a_field() -> None:
    """The refusal's own words can be used."""
    drift = Drift(field="payload.code.a", planned=None, now=None, verdict="refuse")

    assert "payload" == drift.part


def imaged(digest: str | None) -> PlanFile:
    """Return a plan that shows this digest of its image."""
    seen = None if digest is None else ObservedImage(digest=digest, read_at="2026-01-02T03:04:05Z")
    return replace(staged(), observed=replace(OBSERVED, image=seen))


@pytest.mark.parametrize(
    ("planned", "here", "told"),
    [
        ("sha256:aa", ImageNow(digest="sha256:aa", why="answered"), None),
        ("sha256:aa", ImageNow(digest="sha256:bb", why="answered"), "sha256:bb"),
        (
            "sha256:aa",
            ImageNow(digest=None, why="r answered HTTP 404"),
            "not known: r answered HTTP 404",
        ),
        ("sha256:aa", None, None),
        (None, ImageNow(digest="sha256:bb", why="answered"), None),
    ],
    ids=["same", "moved", "not-known", "not-asked", "not-seen"],
)
def test_a_moved_tag_makes_a_plan_stale(
    planned: str | None, here: ImageNow | None, told: str | None
) -> None:
    """The image that was reviewed is the one that runs; one of which nothing is known is not."""
    plan_file = imaged(planned)

    drifts = can_apply(plan_file, now(plan_file, image=here))

    if told is None:
        assert () == drifts
        return
    assert (Drift(field="image.digest", planned=planned, now=told, verdict="refuse"),) == drifts
    (allowed,) = can_apply(plan_file, now(plan_file, image=here), allow=["image"])
    assert "allowed" == allowed.verdict
