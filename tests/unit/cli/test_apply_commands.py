"""`apply` and `run`: what is asked, what is handed to the executor, and how it ends."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.cli import applying, terminal
from runpod_deploy.emulator import client
from runpod_deploy.emulator.contact import EmulatorInfo
from runpod_deploy.errors import (
    InvalidInput,
    JobFailed,
    PlanRefused,
    RunpodDeployError,
    StepFailed,
    StockOut,
    UnknownOutcome,
)
from runpod_deploy.executor.endings import Detached
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.executor.run import Listeners, Outcome, Saved
from runpod_deploy.record.events import Event
from runpod_deploy.record.manifest import Manifest
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_folder import claim_plan

Call = Callable[..., tuple[int, str, str]]


@dataclass
class Executor:
    """Stands in for the executor: tells the events it was given and ends as it was told."""

    events: Sequence[Event]
    failure: BaseException | None = None
    raises: Exception | None = None
    signal: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, plan_file: object, **rest: Any) -> Outcome:
        """Play the run."""
        self.calls.append({"plan_file": plan_file, **rest})
        listeners = rest["listeners"]
        assert isinstance(listeners, Listeners)
        folder = rest["project_root"] / "artifacts/runpod/20260514T021200Z"
        if not isinstance(self.raises, RunpodDeployError):
            listeners.opened(folder, "small-1")
            for event in self.events:
                for sink in listeners.sinks:
                    sink(event)
        if self.raises is not None:
            raise self.raises
        rest["interrupts"].signal = self.signal
        run = fold(self.events)
        return Outcome(run=run, manifest=Manifest({}), folder=folder, failure=self.failure)


@pytest.fixture
def executor(project: Path, monkeypatch: pytest.MonkeyPatch, events: Sequence[Event]) -> Executor:
    """An executor whose run succeeds, and an account to run it on."""
    stand_in = Executor(events)
    monkeypatch.setattr("tempfile.tempdir", str(project))  # where tracebacks of bugs would be kept
    monkeypatch.setattr(applying, "execute", stand_in)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRETSECRET")
    return stand_in


def final(events: Sequence[Event], state: str) -> list[Event]:
    """Return the run with another end."""
    return [*events[:-1], replace(events[-1], fields={"state": state, "cause": None})]


def test_run_plans_and_applies_without_a_question(executor: Executor, call: Call) -> None:
    """The job's own folder is the project, the plan is no saved one, the account's key is used."""
    status, out, err = call("run", "-c", "job.yaml", "--var", "seed=9")
    (given,) = executor.calls
    assert (0, "") == (status, err)
    assert "SUCCEEDED" in out
    assert {"seed": "9"} == given["plan_file"].plan.job.variables
    assert Path.cwd() == given["project_root"]
    assert given["saved"] is None
    assert ("runpod", "rpa_SECRETSECRET") == (given["target"].label, given["target"].api_key)
    assert "rpa_SECRET" not in out


def test_a_saved_plan_is_for_one_use(executor: Executor, call: Call) -> None:
    """It is known by its content, and its project is found."""
    call("plan", "job.yaml", "-o", "saved.txt")
    assert 0 == call("apply", "saved.txt", "--yes")[0]
    (given,) = executor.calls
    assert Saved(file="saved.txt") == given["saved"]
    assert Path.cwd() == given["project_root"]


def test_a_saved_plan_finds_its_project_by_flag(
    executor: Executor, call: Call, project: Path
) -> None:
    """--project says where the job file lies; without it an error names both."""
    call("plan", "job.yaml", "-o", "plan.json")
    (project / "elsewhere").mkdir()
    (project / "job.yaml").rename(project / "elsewhere" / "job.yaml")
    status, _, err = call("apply", "plan.json", "--yes")
    assert 4 == status
    assert "--project DIR" in err
    assert 0 == call("apply", "plan.json", "--yes", "--project", "elsewhere")[0]
    assert [project / "elsewhere"] == [given["project_root"] for given in executor.calls]


@pytest.mark.parametrize(
    "args",
    [
        ("plan.json", "--var", "seed=1"),
        ("job.yaml", "--project", "."),
        ("job.yaml", "--json", "--print-run-dir"),
        (),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    executor: Executor, call: Call, args: tuple[str, ...]
) -> None:
    """Nothing is silently dropped."""
    call("plan", "job.yaml", "-o", "plan.json")
    status, _, _ = call("apply", *args, "--yes")
    assert 4 == status
    assert [] == executor.calls


def test_without_a_terminal_apply_needs_a_yes(executor: Executor, call: Call) -> None:
    """Nobody can be asked: status 4, and the flag is named."""
    status, out, err = call("apply", "job.yaml", answer="y\n")
    assert (4, "") == (status, out)
    assert "--yes" in err
    assert [] == executor.calls


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at the terminal."""
    original = terminal.open_terminal

    def opened(**flags: bool) -> terminal.Terminal:
        return replace(original(**flags), asks=True)

    monkeypatch.setattr("runpod_deploy.cli.apply_commands.open_terminal", opened)


@pytest.mark.usefixtures("person")
def test_at_a_terminal_the_plan_is_shown_and_asked_about(executor: Executor, call: Call) -> None:
    """The cap stands in the question; a yes starts the run."""
    status, out, err = call("apply", "job.yaml", answer="yes\n")
    assert 0 == status
    assert "Plan sha256:" in out
    assert "for at most $0.25? [y/N]" in err
    assert 1 == len(executor.calls)


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("answer", ["\n", "n\n", "ja\n", ""])
def test_anything_but_a_yes_does_nothing(executor: Executor, call: Call, answer: str) -> None:
    """Status 1, nothing created."""
    status, _, err = call("apply", "job.yaml", answer=answer)
    assert 1 == status
    assert "Nothing was done." in err
    assert [] == executor.calls


@pytest.mark.usefixtures("person")
def test_a_used_plan_is_told_before_anybody_is_asked(
    executor: Executor, call: Call, project: Path
) -> None:
    """Nobody reads a plan and says yes to what cannot be; the command that can be copied names it."""
    call("plan", "job.yaml", "-o", "saved.json")
    claim_plan(project, json.loads(Path("saved.json").read_text())["plan_id"], "10:00")
    status, _, err = call("apply", "saved.json", answer="y\n")
    assert 6 == status
    assert "applied already" in err
    assert "runpod-deploy apply saved.json --again" in err
    assert "[y/N]" not in err
    assert [] == executor.calls


@pytest.mark.usefixtures("executor", "person")
def test_a_plan_to_be_asked_about_leaves_json_alone(call: Call) -> None:
    """With --json the plan's view goes to stderr, and stdout stays JSON lines."""
    status, out, err = call("apply", "job.yaml", "--json", answer="y\n")
    assert 0 == status
    assert "Plan sha256:" in err
    assert "result" == [json.loads(line) for line in out.splitlines()][-1]["event"]


@pytest.mark.usefixtures("executor")
def test_json_ends_with_the_result(call: Call, events: list[Event]) -> None:
    """Every event is a line, the result is the last one."""
    status, out, err = call("run", "job.yaml", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [event.event for event in events] == [line["event"] for line in lines[:-1]]
    assert (0, "SUCCEEDED", 0) == (status, lines[-1]["state"], lines[-1]["exit_code"])
    assert "small-1 in artifacts/runpod/20260514T021200Z\n" == err


@pytest.mark.usefixtures("executor")
def test_print_run_dir_leaves_stdout_to_the_folder(call: Call) -> None:
    """A script gets the absolute path and nothing else."""
    _, out, err = call("run", "job.yaml", "--print-run-dir")
    assert f"{Path.cwd()}/artifacts/runpod/20260514T021200Z\n" == out
    assert "SUCCEEDED" in err


@pytest.mark.usefixtures("executor")
def test_quiet_leaves_one_line(call: Call) -> None:
    """Beside warnings only the end is told."""
    _, out, err = call("run", "job.yaml", "-q")
    assert "SUCCEEDED after 16s" in out.splitlines()[-1]
    assert 2 == len(out.splitlines())
    assert "" == err


ENDS: list[tuple[str, BaseException | None, str | None, int]] = [
    ("FAILED", StepFailed("The run ended with exit code 3.", cause="exit_code"), None, 1),
    ("FAILED", JobFailed("no"), None, 1),
    ("FAILED", StockOut("no GPU"), None, 3),
    ("FAILED", InvalidInput("no secret"), None, 4),
    ("FAILED", OSError(28, "No space left on device"), None, 1),
    ("FAILED", ZeroDivisionError("oops"), None, 70),
    ("UNKNOWN", UnknownOutcome("no exit code"), None, 9),
    ("KEPT", StepFailed("not verified", cause="not_verified"), None, 8),
    ("DETACHED", Detached(), None, 8),
    ("CANCELLED", asyncio.CancelledError(), "SIGINT", 130),
    ("CANCELLED", asyncio.CancelledError(), "SIGTERM", 143),
    ("CANCELLED", asyncio.CancelledError(), "SIGHUP", 143),
    ("LEAKED", StepFailed("x", cause="x"), None, 7),
    ("LEAKED", None, None, 7),
    ("LEAKED", asyncio.CancelledError(), "SIGINT", 7),
]


@pytest.mark.parametrize(("state", "failure", "signal", "status"), ENDS)
def test_every_end_has_its_status(
    executor: Executor,
    call: Call,
    events: list[Event],
    state: str,
    failure: BaseException | None,
    signal: str | None,
    status: int,
) -> None:
    """State and failure decide; a leak outranks everything."""
    executor.events, executor.failure = final(events, state), failure
    executor.signal = signal
    found, out, err = call("run", "job.yaml", "-q")
    assert status == found
    assert state in out.splitlines()[-1]
    assert "Traceback" not in err


def test_a_refused_plan_ends_before_a_run(executor: Executor, call: Call) -> None:
    """Nothing was created, so there is no summary; as JSON the result says so all the same."""
    executor.raises = PlanRefused("This plan was applied already.", help="Make a new one.")
    status, out, err = call("run", "job.yaml")
    assert (6, "") == (status, out)
    assert "error: This plan was applied already.\nhelp: Make a new one.\n" == err
    result = json.loads(call("run", "job.yaml", "--json")[1])
    assert (6, None, None) == (result["exit_code"], result["state"], result["run_dir"])


def test_a_run_that_breaks_apart_names_the_pod_it_left(
    executor: Executor, call: Call, events: list[Event]
) -> None:
    """An exception past every safeguard is still told with the pod and how to remove it."""
    executor.events, executor.raises = events[:11], OSError(5, "I/O error")
    status, _, err = call("run", "job.yaml")
    assert 7 == status
    assert "/v2/pods/k3j5h2" in err


def test_a_leak_is_the_last_word(executor: Executor, call: Call, events: list[Event]) -> None:
    """Also with --quiet the pod and the command stand on stderr."""
    leak = replace(events[-2], fields={**events[-2].fields, "outcome": "leaked"})
    executor.events = [*events[:-2], leak, *final(events, "LEAKED")[-1:]]
    status, _, err = call("run", "job.yaml", "-q")
    assert 7 == status
    assert "LEAKED: pod k3j5h2" in err
    assert "https://console.runpod.io/pods" == err.splitlines()[-1].strip()


def test_without_a_key_nothing_is_planned_away(
    executor: Executor, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 5 and the emulator's name, before anything is asked."""
    monkeypatch.delenv("RUNPOD_API_KEY")
    status, out, err = call("run", "job.yaml")
    assert (5, "") == (status, out)
    assert "RUNPOD_API_KEY" in err
    assert "--cloud emulator" in err
    assert [] == executor.calls


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_emulator_is_named_as_what_it_is(
    executor: Executor, call: Call, monkeypatch: pytest.MonkeyPatch, by_flag: bool
) -> None:
    """By flag or environment the run goes there, with its own key, and nothing is billed."""
    info = EmulatorInfo(
        url="http://127.0.0.1:4711",
        api_key="rpa_EMULATED",
        pid=1,
        version="1",
        started_at="",
        state_dir="",
    )
    monkeypatch.setattr(client, "ensure_running", lambda _env: info)
    if not by_flag:
        monkeypatch.setenv("RUNPOD_DEPLOY_CLOUD", "emulator")
    status, _, err = call("run", "job.yaml", *(["--cloud", "emulator"] if by_flag else []))
    assert 0 == status
    assert "This is the emulator at http://127.0.0.1:4711: nothing is billed." in err
    target = executor.calls[0]["target"]
    assert ("emulator", "rpa_EMULATED") == (target.label, target.api_key)


def test_an_emulator_that_does_not_start_is_told(
    executor: Executor, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1 and its own words."""

    def fail(_: object) -> None:
        raise client.EmulatorError("no namespaces here")

    monkeypatch.setattr(client, "ensure_running", fail)
    status, _, err = call("run", "job.yaml", "--cloud", "emulator")
    assert (1, "error: no namespaces here\n") == (status, err)
    assert [] == executor.calls


def test_a_job_file_that_is_json_is_no_saved_plan(
    executor: Executor, call: Call, project: Path
) -> None:
    """JSON is YAML: only the format key makes a plan of it."""
    job = {
        "schema_version": 3,
        "name": "small",
        "pod": {
            "image": "runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204",
            "gpu_order": ["NVIDIA L4"],
        },
        "run": {"body": 'echo \'"format": "runpod-deploy.plan/1"\''},
    }
    (project / "job.json").write_text(json.dumps(job))
    assert 0 == call("run", "job.json")[0]
    assert executor.calls[0]["saved"] is None


def test_allowed_folders_reach_the_executor(executor: Executor, call: Call, project: Path) -> None:
    """What may be touched outside is said to the command, for a job file and for a saved plan."""
    outside = project / "outside"
    call("plan", "job.yaml", "-o", "plan.json")
    call("run", "job.yaml", "--allow-path", str(outside))
    call("apply", "plan.json", "--yes", "--allow-path", str(outside))
    call("apply", "plan.json", "--yes")
    assert [(outside,), (outside,), ()] == [given["allow_paths"] for given in executor.calls]


@pytest.fixture
def with_command(project: Path) -> None:
    """The job's secret is what a command prints."""
    text = (project / "job.yaml").read_text("utf-8")
    entry = "secrets: [{name: hub, destination: /root/hub, command: 'pass show hub | head -1'}]\n"
    (project / "job.yaml").write_text(f"{text}{entry}", "utf-8")


@pytest.mark.usefixtures("with_command")
def test_a_jobs_own_commands_need_leave(executor: Executor, call: Call) -> None:
    """Neither `--yes` nor `run` allows them: status 4 shows the command and names the flag."""
    for words in (("run", "job.yaml"), ("apply", "job.yaml", "--yes")):
        status, _, err = call(*words)
        assert 4 == status
        assert "pass show hub | head -1" in err
        assert "--allow-commands" in err
    assert [] == executor.calls
    assert 0 == call("run", "job.yaml", "--allow-commands")[0]
    assert isinstance(executor.calls[0]["commands"], LocalCommands)


@pytest.mark.usefixtures("person", "with_command")
def test_a_yes_to_the_plan_is_leave_for_its_commands(executor: Executor, call: Call) -> None:
    """The plan that is asked about shows the command word for word."""
    status, out, _ = call("apply", "job.yaml", answer="yes\n")
    assert 0 == status
    assert "command pass show hub | head -1" in out
    assert isinstance(executor.calls[0]["commands"], LocalCommands)


def test_without_commands_there_is_no_leave(executor: Executor, call: Call) -> None:
    """The flag gives nothing to a job that wants nothing."""
    call("run", "job.yaml", "--allow-commands")
    assert executor.calls[0]["commands"] is None
