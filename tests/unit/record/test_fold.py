"""The fold: where a run stands after its events."""

from typing import Any

import pytest

from record_cases import event
from runpod_deploy.record.events import EVENT_TYPES, Event
from runpod_deploy.record.run import PodRecord, Run, RunState, fold

LATER = "2026-03-01T13:00:00.000000Z"
PLACE = {"gpu_id": "A40", "datacenter_id": "EU-1", "cloud_type": "SECURE"}


def intended(name: str = "rd-1") -> Event:
    """Return the intent to create a pod."""
    return event("pod_create_intended", op_id=name, name=name, **PLACE)


def settled(outcome: str, pod_id: str | None = None, name: str = "rd-1", **more: Any) -> Event:
    """Return the outcome of a create."""
    fields = {"cost_per_hour_usd": 0.5, "error": None, **more}
    return event("pod_create_settled", op_id=name, outcome=outcome, pod_id=pod_id, **fields)


def deleted(outcome: str, pod_id: str = "p1") -> Event:
    """Return the outcome of a delete."""
    return event("pod_delete_settled", LATER, op_id="d", outcome=outcome, pod_id=pod_id, error=None)


def only(run: Run) -> PodRecord:
    """Return the one pod of a run."""
    (pod,) = run.pods.values()
    return pod


def test_a_run_without_events_is_new() -> None:
    """Nothing happened, so nothing is known."""
    assert fold([]) == Run()
    assert fold([]).state is RunState.NEW


def test_a_start_sets_the_run_to_work() -> None:
    """The fields of the start are kept, and its time."""
    run = fold([event("run_started", run_id="r")])

    assert (run.state, run.started["run_id"], run.started_at) == (
        RunState.WORKING,
        "r",
        "2026-03-01T12:00:00.000000Z",
    )


def test_a_second_start_keeps_the_time_of_the_first() -> None:
    """A resumed run has been going on since it began."""
    first = event("run_started", pid=1)
    left = event("state_changed", state="DETACHED", cause="asked")
    run = fold([first, left, event("run_started", LATER, pid=2)])

    assert (first.ts_utc, None, 2) == (run.started_at, run.ended_at, run.started["pid"])
    assert run.state is RunState.WORKING


@pytest.mark.parametrize("state", ["UNDOING", "LEAKED", "KEPT", "FAILED"])
def test_a_run_that_was_being_undone_is_not_set_to_work_again(state: str) -> None:
    """Whoever carries it on may be killed at once: it must not then look like one that works."""
    before = event("state_changed", state=state, cause="cancelled")
    run = fold([event("run_started", pid=1), before, event("run_started", LATER, pid=2)])

    assert (state, "cancelled", 2) == (run.state, run.cause, run.started["pid"])


@pytest.mark.parametrize("state", RunState)
def test_a_final_state_ends_the_run(state: RunState) -> None:
    """Only final states have an end."""
    run = fold([event("state_changed", LATER, state=state.value, cause="why")])

    assert (run.state, run.cause) == (state, "why")
    assert run.ended_at == (LATER if state.final else None)


def test_a_state_from_the_future_is_no_success() -> None:
    """A state that this version does not know is UNKNOWN, also after a success."""
    run = fold(
        [
            event("state_changed", state="SUCCEEDED", cause=None),
            event("state_changed", LATER, state="EXPIRED", cause=None),
        ]
    )

    assert run.state is RunState.UNKNOWN
    assert "EXPIRED" in (run.cause or "")


def test_an_intent_is_a_pod_that_may_exist() -> None:
    """Before the answer the pod has a name, and the effect is open."""
    run = fold([intended()])

    assert only(run).status == "intended"
    assert set(run.open_intents) == {"rd-1"}
    assert run.pod is None


@pytest.mark.parametrize(
    ("outcome", "pod_id", "status"),
    [
        ("created", "p1", "alive"),
        ("adopted", "p1", "alive"),
        ("refused", None, "refused"),
        ("none", None, "refused"),
        ("unknown", None, "leaked"),
        ("sandwich", None, "intended"),
    ],
)
def test_the_outcome_of_a_create(outcome: str, pod_id: str | None, status: str) -> None:
    """Each outcome gives the pod its status and closes the effect; one not known settles nothing."""
    run = fold([intended(), settled(outcome, pod_id)])

    assert (status, pod_id, 0.5) == (
        only(run).status,
        only(run).pod_id,
        only(run).cost_per_hour_usd,
    )
    assert run.open_intents == {}


def test_a_pod_without_its_intent_is_not_lost() -> None:
    """When the intent's line is damaged, the pod that was created is still known."""
    run = fold([settled("created", "p1")])

    assert (only(run).pod_id, only(run).status) == ("p1", "alive")


def test_a_settlement_without_price_keeps_the_pod() -> None:
    """An older writer's line without fields that came later still names the pod."""
    run = fold(
        [intended(), event("pod_create_settled", op_id="rd-1", outcome="created", pod_id="p")]
    )

    assert (only(run).pod_id, only(run).cost_per_hour_usd) == ("p", None)


def test_a_deleted_pod_is_gone() -> None:
    """Its end is when the API confirmed it."""
    run = fold([intended(), settled("created", "p1"), deleted("gone")])

    assert (only(run).status, only(run).ended_at) == ("gone", LATER)
    assert run.leaked == ()


def test_a_pod_that_is_not_confirmed_gone_is_leaked() -> None:
    """It has no end and stands in `leaked`."""
    run = fold([intended(), settled("created", "p1"), deleted("leaked")])

    assert (only(run),) == run.leaked
    assert only(run).ended_at is None


def test_a_leaked_duplicate_is_known_by_its_id() -> None:
    """A second pod of one create call, which no event introduced, is not lost."""
    run = fold([intended(), settled("adopted", "p1"), deleted("leaked", "p2")])

    assert [pod.pod_id for pod in run.leaked] == ["p2"]


def test_the_end_of_another_pod_changes_nothing() -> None:
    """An id that is not ours, or none, touches no pod: not those that never had an id either."""
    refused = fold([intended(), settled("refused")])

    for pod_id in ("other", None):
        one = event("pod_delete_settled", op_id="d", outcome="gone", pod_id=pod_id, error=None)
        assert fold([one], refused) == refused


def test_a_stopped_pod_ends_at_its_stop() -> None:
    """A delete afterwards does not move the end of what was paid for compute."""
    stopped = event("pod_action_settled", op_id="s", outcome="stopped", pod_id="p1", error=None)
    run = fold([intended(), settled("created", "p1"), stopped, deleted("gone")])

    assert (only(run).status, only(run).ended_at) == ("gone", stopped.ts_utc)


def test_a_stop_that_is_not_confirmed_leaks() -> None:
    """A pod that could not be stopped may bill."""
    leaked = event("pod_action_settled", op_id="s", outcome="leaked", pod_id="p1", error="no")

    assert fold([intended(), settled("created", "p1"), leaked]).leaked


def test_a_pod_of_an_earlier_run_is_resumed() -> None:
    """It is the run's pod, and the run says so."""
    run = fold([event("pod_resumed", pod_id="p9", gpu_id="A40", datacenter_id=None)])

    assert run.pod_resumed
    assert run.pod is not None
    assert (run.pod.pod_id, run.pod.status, run.pod.gpu_id) == ("p9", "alive", "A40")


def test_the_place_had_is_that_of_the_living_pod() -> None:
    """`gpu_selected` tells where the pod is, and never rewrites one that has ended."""
    selected = event("gpu_selected", gpu_id="H100", datacenter_id="US-1")
    alive = [intended(), settled("created", "p1")]

    assert only(fold([*alive, selected])).gpu_id == "H100"
    assert only(fold([*alive, deleted("gone"), selected])).gpu_id == "A40"


def test_steps_keep_the_order_of_their_first_start() -> None:
    """A step that is begun again replaces its record where it stands."""
    run = fold(
        [
            event("step_started", step="check"),
            event("step_failed", step="check", duration_sec=1.0, cause="c", error="e"),
            event("step_started", step="setup"),
            event("step_started", step="check"),
            event("step_completed", step="check", duration_sec=2.0),
        ]
    )

    assert [(one.name, one.state, one.duration_sec, one.error) for one in run.steps] == [
        ("check", "completed", 2.0, None),
        ("setup", "started", None, None),
    ]


def test_a_step_that_another_executor_goes_on_with_began_with_the_first() -> None:
    """One that failed and is done again begins anew."""
    again = event("step_started", LATER, step="execute")
    begun = event("step_started", step="execute")
    failed = event("step_failed", step="execute", duration_sec=1.0, cause="c", error="e")

    assert [one.started_at for one in fold([begun, again]).steps] == [begun.ts_utc]
    assert [one.started_at for one in fold([begun, failed, again]).steps] == [LATER]


@pytest.mark.parametrize(
    ("state", "left"),
    [
        ("CANCELLED", "failed"),
        ("UNDOING", "failed"),
        ("DETACHED", "started"),
        ("WORKING", "started"),
    ],
)
def test_a_step_does_not_outlive_its_run(state: str, left: str) -> None:
    """What was being done when its executor was killed is not still going on after the run's end."""
    done = event("step_completed", step="check", duration_sec=2.0)
    begun = event("step_started", step="execute")
    run = fold([done, begun, event("state_changed", state=state, cause="cancelled")])

    assert [one.state for one in run.steps] == ["completed", left]


def test_an_artifact_goes_from_pulling_to_its_end() -> None:
    """The record of a label is that of its last event."""
    began = event("artifact_pull_started", label="model")
    ended = event(
        "artifact_pull_completed", label="model", duration_sec=1, files=2, bytes=3, sha256="x"
    )

    assert fold([began]).artifacts["model"].status == "pulling"
    done = fold([began, ended]).artifacts["model"]
    assert (done.status, done.files, done.bytes, done.sha256) == ("success", 2, 3, "x")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [("succeeded", "succeeded"), ("failed", "failed"), ("great", "unknown"), (None, "unknown")],
)
def test_the_end_of_the_job_is_never_guessed(said: str | None, outcome: str) -> None:
    """An outcome that is not known is unknown."""
    end = fold([event("job_ended", outcome=said, exit_code="0")]).job_end

    assert end is not None
    assert (end.outcome, end.exit_code, end.failure_markers_seen) == (outcome, None, ())


def test_the_log_offset_only_grows() -> None:
    """Resuming starts after the highest offset, whatever came later or is no offset."""
    events = [event("log_progress", log_offset=offset) for offset in (5, 9, 7, -1, "x", True)]

    assert fold([*events, event("remote_step_started", name="a")]).log_offset == 9


def test_warnings_and_secrets_are_collected() -> None:
    """Warnings in order, each secret once."""
    run = fold(
        [
            event("warning", code="a", message="one"),
            event("warning", code="b", message="two"),
            event("secret_delivered", name="hf"),
            event("secret_delivered", name="hf"),
            event("host_key_enrolled", pod_id="p", fingerprint="SHA256:x"),
        ]
    )

    assert (run.warnings, run.secrets_delivered, run.host_key_fingerprint) == (
        ("one", "two"),
        ("hf",),
        "SHA256:x",
    )


@pytest.mark.parametrize("name", [*EVENT_TYPES, "sandwich_made", "lunch_intended"])
def test_a_known_event_with_spoilt_fields_does_no_harm(name: str) -> None:
    """Missing fields, or one wrong value in all of them, neither raise nor make up a pod."""
    keys = EVENT_TYPES[name].fields if name in EVENT_TYPES else ("op_id",)
    spoilt: tuple[Any, ...] = (None, [], {}, float("nan"), 10**400, "", True)

    for fields in ({}, *(dict.fromkeys(keys, value) for value in spoilt)):
        run = fold([event(name, **fields)])
        assert (run.pods, run.open_intents) == ({}, {})
        assert run.state is not RunState.SUCCEEDED
