"""Whether a saved plan still means what it says."""

from compiler_cases import a_file, job, plan_file_of
from runpod_deploy.compiler.freshness import can_apply, is_stale

STAGED = {"staging": [{"label": "code", "source": "src", "destination": "/x"}]}
PLANNED = {"code": (a_file("a"), a_file("b"), a_file("c"))}


def test_an_unchanged_payload_is_no_drift() -> None:
    """Nothing changed, nothing told."""
    assert () == can_apply(plan_file_of(job(STAGED), payload=PLANNED), PLANNED)
    assert not is_stale(())


def test_each_file_that_was_added_removed_or_changed_is_named() -> None:
    """The reader learns which files differ and how."""
    now = {"code": (a_file("a"), a_file("b", exec=True), a_file("d", size=3))}

    drifts = can_apply(plan_file_of(job(STAGED), payload=PLANNED), now)

    assert ["payload.code.b", "payload.code.c", "payload.code.d"] == [d.field for d in drifts]
    assert "executable" in (drifts[0].now or "")
    assert (None, None) == (drifts[1].now, drifts[2].planned)
    assert is_stale(drifts)


def test_a_lost_or_new_label_is_drift() -> None:
    """A staging that is not there any more, or that the plan does not know, makes it stale."""
    plan_file = plan_file_of(job(STAGED), payload={"code": (a_file("a"),)})

    assert is_stale(can_apply(plan_file, {}))
    assert is_stale(can_apply(plan_file, {"code": (a_file("a"),), "more": (a_file("x"),)}))


def test_links_are_told_by_their_target() -> None:
    """A link's drift shows where it points."""
    link = a_file("l", type="link", target="a", size=1)
    plan_file = plan_file_of(job(STAGED), payload={"code": (link,)})

    assert "link to a" == can_apply(plan_file, {"code": ()})[0].planned
