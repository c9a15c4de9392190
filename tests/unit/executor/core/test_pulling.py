"""Results that come home while the job runs."""

from __future__ import annotations

from dataclasses import replace

from runpod_deploy.compiler.plan import PlanArtifact
from runpod_deploy.errors import ConnectionLost, StepFailed
from support.fakes import FakeJob
from support.plans import small_plan
from support.rig import Rig, RigMaker

ARTIFACT = PlanArtifact(
    label="model",
    remote_path="/workspace/out",
    local_path="@@rd:run_dir@@/model",
    required=True,
    excludes=(),
    delete=False,
    every_minutes=1.0,
)


def running(make_rig: RigMaker, minutes: float, **changes: object) -> Rig:
    """Return a run whose job lasts some minutes and whose artifact is asked for."""
    artifact = replace(ARTIFACT, **changes)
    plan = replace(small_plan(), artifacts=(artifact,))
    return make_rig(plan, job=FakeJob(lasts=minutes * 60))


def test_results_come_home_at_their_pace(make_rig: RigMaker) -> None:
    """Every minute of a job of three and a half, and once more at its end, proven."""
    rig = running(make_rig, 3.5)
    assert "SUCCEEDED" == rig.run().state
    assert ["/workspace/out"] * 4 == rig.downloads.tried
    assert [False, False, False, True] == rig.downloads.final
    assert 3 == len(rig.names("artifact_synced"))
    assert 1 == len(rig.names("artifact_pull_completed"))


def test_results_come_at_the_end_only_when_nothing_was_said(make_rig: RigMaker) -> None:
    """Without `every_minutes` there is one pull."""
    rig = running(make_rig, 10, every_minutes=None)
    rig.run()
    assert [True] == rig.downloads.final


def test_a_pull_that_fails_meanwhile_does_not_fail_the_run(make_rig: RigMaker) -> None:
    """The same failure is told once, the run goes on, and the last pull counts."""
    rig = running(make_rig, 4.5)
    broken = StepFailed("the image lacks GNU tar", cause="missing_tool")
    rig.downloads.outcomes["/workspace/out"] = [broken, broken, ConnectionLost("reset"), "verified"]
    assert "SUCCEEDED" == rig.run().state
    errors = [event["error"] for event in rig.events if event.event == "artifact_synced"]
    assert ["the image lacks GNU tar", "reset", None] == errors


def test_what_is_not_there_yet_is_no_news(make_rig: RigMaker) -> None:
    """A folder that the job has not made yet is looked for again without a word."""
    rig = running(make_rig, 2.5)
    rig.downloads.outcomes["/workspace/out"] = ["missing", "verified", "verified"]
    assert "SUCCEEDED" == rig.run().state
    assert 1 == len(rig.names("artifact_synced"))
