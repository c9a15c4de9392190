"""`schema` and `emulator`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.emulator import client
from runpod_deploy.emulator.contact import EmulatorInfo
from runpod_deploy.schema.documents import SCHEMA_NAMES
from runpod_deploy.schema.hover import published_schema

Call = Callable[..., tuple[int, str, str]]
INFO = EmulatorInfo(
    url="http://127.0.0.1:4711",
    api_key="rpa_EMULATED",
    pid=1,
    version="1",
    started_at="2026-05-14T02:12:00Z",
    state_dir="/tmp/x",
)


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_published_schema_can_be_had(name: str, call: Call) -> None:
    """The document is printed byte for byte."""
    assert (0, published_schema(name).decode(), "") == call("schema", name)


def test_a_schema_can_be_written_to_a_file(project: Path, call: Call) -> None:
    """`job` is meant when none is named."""
    status, out, _ = call("schema", "-o", "job.schema.json")
    assert (0, "") == (status, out)
    assert published_schema("job") == (project / "job.schema.json").read_bytes()


def test_an_unknown_schema_gets_its_near_miss(call: Call) -> None:
    """The ones there are, are listed."""
    status, _, err = call("schema", "jobs")
    assert 4 == status
    assert "Did you mean `job`?" in err


def test_up_says_how_the_emulator_is_used(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flags reach the emulator, and the answer can be pasted into a shell."""
    asked: list[client.EmulatorOptions] = []

    def start(_env: object, *, options: client.EmulatorOptions) -> EmulatorInfo:
        asked.append(options)
        return INFO

    monkeypatch.setattr(client, "find", lambda _env: None)
    monkeypatch.setattr(client, "ensure_running", start)
    status, out, _ = call(
        *("emulator", "up", "--fault", "stock-out", "--profile", "spec", "--idle-seconds", "5")
    )
    assert 0 == status
    assert [
        client.EmulatorOptions(faults=("stock-out",), profile="spec", idle_seconds=5.0)
    ] == asked
    assert "export RUNPOD_API_URL=http://127.0.0.1:4711" in out
    assert "export RUNPOD_API_KEY=rpa_EMULATED" in out


def test_up_warns_when_the_running_one_stays_as_it_is(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags for an emulator that runs already are not silently dropped."""
    monkeypatch.setattr(client, "find", lambda _env: INFO)
    status, _, err = call("emulator", "up", "--fault", "stock-out")
    assert 0 == status
    assert "was running already" in err
    assert "" == call("emulator", "up")[2]
    assert (0, "http://127.0.0.1:4711\n", "") == call("emulator", "up", "-q")


def test_an_emulator_that_does_not_start_says_why(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words are passed on, and the status is 1."""

    def fail(*_: object, **__: object) -> None:
        raise client.EmulatorError("unknown fault kind 'x'")

    monkeypatch.setattr(client, "find", lambda _env: None)
    monkeypatch.setattr(client, "ensure_running", fail)
    status, _, err = call("emulator", "up", "--fault", "x")
    assert (1, "error: unknown fault kind 'x'\n") == (status, err)


def test_down_tells_whether_there_was_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending what does not run is no error."""
    monkeypatch.setattr(client, "stop", lambda _env: True)
    assert (0, "The emulator has ended.\n") == (
        call("emulator", "down")[0],
        call("emulator", "down")[2],
    )
    monkeypatch.setattr(client, "stop", lambda _env: False)
    assert "No emulator is running.\n" == call("emulator", "down")[2]


def test_no_emulator_has_no_pods(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pods` says it in two words, for scripts as an empty list."""
    monkeypatch.setattr(client, "list_pods", lambda _env: [])
    assert (0, "no pods\n", "") == call("emulator", "pods")
    assert {"pods": []} == json.loads(call("emulator", "pods", "--json")[1])


def test_pods_are_listed_without_their_environment(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod's env may hold secrets and is in neither form."""
    pod = {
        "id": "abc",
        "status": "RUNNING",
        "gpu": {"id": "NVIDIA L4", "count": 1},
        "dataCenterId": "EU-RO-1",
        "cost": 0.43,
        "name": "rd-x",
        "env": {"TOKEN": "hunter2-hunter2"},
    }
    monkeypatch.setattr(client, "list_pods", lambda _env: [pod])
    text, data = call("emulator", "pods")[1], call("emulator", "pods", "--json")[1]
    assert "  abc  RUNNING  NVIDIA L4  EU-RO-1  $0.43/h  rd-x" == text.splitlines()[1]
    assert "hunter2" not in text + data
    assert "abc" == json.loads(data)["pods"][0]["id"]


def test_status_without_an_emulator_is_no_error(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same is told as words and as data."""
    monkeypatch.setattr(client, "status", lambda _env: {"running": False})
    assert (0, "No emulator is running.\n", "") == call("emulator", "status")
    assert {"running": False} == json.loads(call("emulator", "status", "--json")[1])
