"""The end of a run: words, data, and what is said about pods that are left."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.cli.style import Style
from runpod_deploy.cli.views import summary
from runpod_deploy.cli.views.summary import Ending
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.record.events import Event

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Style(color=False)
NOW = "2026-05-14T02:13:00.000000Z"


def ended(watch: Watch, events: Sequence[Event], status: int = 0) -> Ending:
    """Return the end of a run that was told by `events`."""
    watch.opened(Path("/project/artifacts/runpod/20260514T021200Z"), "sample-1")
    for event in events:
        watch.event(event)
    return Ending(watch=watch, status=status, cost_usd=watch.spent_usd(NOW), now=NOW)


def test_a_success_reads_as_agreed(watch: Watch, events: Sequence[Event]) -> None:
    """State, time, money, place, artifacts and folder: exactly the golden text."""
    text = summary.render(ended(watch, events), PLAIN, width=80)
    assert (GOLDEN / "summary.txt").read_text() == text + "\n"


def test_no_pod_left_is_nothing_to_say(watch: Watch, events: Sequence[Event]) -> None:
    """Refused creates and deleted pods leave nothing to remove."""
    assert summary.remaining(ended(watch, events), PLAIN) is None


def test_a_leak_names_the_pod_and_the_one_command(watch: Watch, events: Sequence[Event]) -> None:
    """The pod, its price, the command that removes it, the console; never the key."""
    leak = replace(events[-2], fields={**events[-2].fields, "outcome": "leaked"})
    ending = ended(watch, [*events[:-2], leak], status=7)
    text = summary.remaining(ending, PLAIN)
    assert text is not None
    assert "LEAKED: pod k3j5h2 may still be running and costing $0.69/h." in text
    assert (
        '  curl -X DELETE -H "Authorization: Bearer $RUNPOD_API_KEY" '
        "https://api.runpod.io/v2/pods/k3j5h2" in text.splitlines()
    )
    assert "https://console.runpod.io/pods" in text
    assert "rpa_SECRET" not in text
    assert ["k3j5h2"] == summary.result(ending)["pods_left"]


def test_a_pod_of_the_emulator_is_removed_by_this_program(
    watch: Watch, events: Sequence[Event]
) -> None:
    """No key of RunPod's opens the emulator, so the command needs none."""
    watch = replace(watch, target=replace(watch.target, label="emulator"))
    leak = replace(events[-2], fields={**events[-2].fields, "outcome": "leaked"})
    text = summary.remaining(ended(watch, [*events[:-2], leak], status=7), PLAIN)
    assert text is not None
    assert "  runpod-deploy cleanup k3j5h2 --cloud emulator" in text.splitlines()
    assert "curl" not in text


def test_warnings_are_shown_in_full(watch: Watch, events: Sequence[Event]) -> None:
    """The first three with all their words, the others by their number."""
    told = [Event(event="warning", ts_utc=NOW, fields={"message": f"word {n}"}) for n in range(5)]
    text = summary.render(ended(watch, [*events, *told]), PLAIN, width=80)
    shown = text.split("warnings")[1].splitlines()[:4]
    assert ["word 0", "word 1", "word 2", "and 2 more"] == [one.strip() for one in shown]


def test_results_of_a_job_that_was_left_alone_are_not_missing(
    watch: Watch, events: Sequence[Event]
) -> None:
    """They come when somebody comes back for them."""
    left = Event(event="state_changed", ts_utc=NOW, fields={"state": "DETACHED", "cause": "asked"})
    text = summary.render(ended(watch, [*events[:11], left]), PLAIN, width=80)
    assert "not pulled yet" in text
    assert "✗" not in text


def test_the_end_of_a_failed_log_is_shown(watch: Watch, events: Sequence[Event]) -> None:
    """What the job said last stands in the summary, unless a line of it proves the cause."""
    ending = replace(ended(watch, events), log_tail=("Traceback", "ValueError: no rate"))
    lines = summary.render(ending, PLAIN, width=80).splitlines()
    at = next(i for i, text in enumerate(lines) if "its log ends" in text)
    assert ["Traceback", "ValueError: no rate"] == [
        lines[at].split("its log ends")[1].strip(),
        lines[at + 1].strip(),
    ]
    proof = {"text": "Out of memory", "evidence": {"file": "run.log", "line": 1, "text": "OOM"}}
    assert "its log ends" not in summary.render(replace(ending, failure=proof), PLAIN, width=80)
    # An error of no known kind is one line of what was said last; a signal may have no line at all.
    for kind, evidence in (("exit_code", proof["evidence"]), ("killed", None)):
        failure = {"kind": kind, "text": "It ended.", "evidence": evidence}
        told = summary.render(replace(ending, failure=failure), PLAIN, width=80)
        assert "because         It ended." in told
        assert "its log ends    Traceback" in told


def test_a_pod_known_only_by_name_is_to_be_looked_for(
    watch: Watch, events: Sequence[Event]
) -> None:
    """A create whose answer was lost leaves a name instead of an id."""
    lost = replace(events[6], fields={"op_id": "rd-1", "outcome": "unknown", "error": "timeout"})
    text = summary.remaining(ended(watch, [*events[:6], lost]), PLAIN)
    assert text is not None
    assert "look for the name rd-1" in text
    assert "curl" not in text


def test_a_kept_pod_that_is_stopped_says_how_to_its_results(
    watch: Watch, events: Sequence[Event]
) -> None:
    """`resume` starts it again and brings them home, as it does with one that runs."""
    pod = {"op_id": "stop-k3j5h2", "pod_id": "k3j5h2"}
    told = [
        Event(event="pod_action_intended", ts_utc=NOW, fields={**pod, "action": "stop"}),
        Event(event="pod_action_settled", ts_utc=NOW, fields={**pod, "outcome": "stopped"}),
        Event(event="state_changed", ts_utc=NOW, fields={"state": "KEPT", "cause": "not_verified"}),
    ]
    text = summary.remaining(ended(watch, [*events[:-3], *told]), PLAIN)
    assert text is not None
    assert "Pod k3j5h2 is stopped; its disk is still billed." in text
    assert "runpod-deploy resume" in text


def test_in_the_emulator_the_emulator_can_be_ended(watch: Watch, events: Sequence[Event]) -> None:
    """Nobody is sent to RunPod's console for an emulated pod."""
    watch.target = replace(watch.target, label="emulator", api_url="http://127.0.0.1:1")
    text = summary.remaining(ended(watch, events[:11]), PLAIN)
    assert text is not None
    assert "runpod-deploy emulator down" in text
    assert "console.runpod.io" not in text


def test_the_result_as_data_says_where_everything_is(watch: Watch, events: Sequence[Event]) -> None:
    """The last JSON line carries the tool's status beside the job's own, folder and manifest."""
    result = summary.result(ended(watch, events, status=0))
    folder = "/project/artifacts/runpod/20260514T021200Z"
    expected = {
        "event": "result",
        "state": "SUCCEEDED",
        "exit_code": 0,
        "job_exit_code": 0,
        "run_dir": folder,
        "manifest": f"{folder}/runpod_deploy_pull_manifest.json",
        "pods_left": [],
    }
    assert expected == {key: result[key] for key in expected}


def test_a_run_that_never_began_has_no_folder(watch: Watch) -> None:
    """Nothing is invented for a plan that was refused."""
    ending = Ending(watch=watch, status=6, cost_usd=0.0, now=NOW, error="stale")
    result = summary.result(ending)
    assert (None, None, None, 6, "stale") == (
        result["state"],
        result["run_dir"],
        result["manifest"],
        result["exit_code"],
        result["error"],
    )


def test_missing_artifacts_are_marked(watch: Watch, events: Sequence[Event]) -> None:
    """A required artifact that did not come shows a cross and why."""
    failed = Event(
        event="artifact_pull_failed",
        ts_utc=NOW,
        fields={"label": "model", "duration_sec": 1.0, "error": "not there on the pod"},
    )
    text = summary.render(ended(watch, [*events[:12], failed]), PLAIN, width=80)
    assert "✗  model" in text
    assert "not there on the pod" in text
