"""The whole of a run: order of events, ends, and what each leaves behind."""

from support.plans import STEPS
from support.rig import RigMaker


def test_happy_path_runs_every_step_in_order_and_leaves_no_pod(make_rig: RigMaker) -> None:
    """A run that succeeds goes through all steps once and its pod is confirmed gone."""
    rig = make_rig()
    run = rig.run()
    assert run.state == "SUCCEEDED"
    assert [step.name for step in STEPS] == [step.name for step in run.steps]
    assert {step.state for step in run.steps} == {"completed"}
    assert rig.engine.failure is None
    assert {} == rig.cloud.rented
    assert {} == dict(run.open_intents)
    assert b"hello\n" == rig.log()
