"""The emulator as a process: one per place, found by its file, gone when nobody needs it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.emulator import client
from runpod_deploy.emulator.client import EmulatorError, EmulatorInfo, EmulatorOptions
from runpod_deploy.emulator.contact import process_exists
from runpod_deploy.emulator.place import place_from
from runpod_deploy.emulator.wire import WireError, call

pytestmark = pytest.mark.emulated

HOLLOW = EmulatorOptions(pods="none")


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with a place of its own; whatever runs there is killed afterwards."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RUNPOD_DEPLOY_EMULATOR_DIR": str(tmp_path / "emulator"),
    }
    yield variables
    info = client.find(variables)
    if info is not None:
        os.kill(info.pid, signal.SIGKILL)
        wait_for(lambda: not process_exists(info.pid))


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def create(info: EmulatorInfo) -> dict[str, Any]:
    """Create a pod."""
    body = {"name": "a", "image": "a/b:1", "gpu": {"id": "NVIDIA L4"}, "env": {"A": "1"}}
    pod: dict[str, Any] = call(info, "POST", "/v2/pods", body)
    return pod


def test_nobody_there(env: dict[str, str]) -> None:
    """Without an emulator nothing is found, and nothing is to be stopped."""
    assert client.find(env) is None
    assert not client.stop(env)
    assert {"running": False} == client.status(env)
    assert [] == client.list_pods(env)


def test_start_use_and_stop(env: dict[str, str]) -> None:
    """Started, found again, asked, stopped; the file comes and goes, readable by its owner."""
    env["RUNPOD_API_KEY"] = "rpa_MINE"
    info = client.ensure_running(env, options=HOLLOW)
    contact = place_from(env).contact
    assert 0o600 == contact.stat().st_mode & 0o777
    assert 0o700 == contact.parent.stat().st_mode & 0o777
    assert info == client.find(env) == client.ensure_running(env)
    assert ("rpa_MINE", False) == (info.api_key, "rpa_MINE" in repr(info))
    pod = create(info)
    listed = client.list_pods(env)
    assert [pod["id"]] == [row["id"] for row in listed]
    assert {"A": "<redacted>"} == listed[0]["env"]
    status = client.status(env)
    assert (True, "none", 1, info.pid) == tuple(
        status[key] for key in ("running", "pod_host", "pods", "pid")
    )
    assert client.stop(env)
    assert client.find(env) is None
    assert not contact.exists()
    assert not process_exists(info.pid)


def test_random_key(env: dict[str, str]) -> None:
    """Without a key of its own the emulator makes one up."""
    info = client.ensure_running(env, options=HOLLOW)
    assert info.api_key.startswith("rpa_")
    assert len(info.api_key) > 40


def test_two_starts_make_one_daemon(env: dict[str, str]) -> None:
    """Callers that start at the same moment all get the same daemon."""
    found: list[EmulatorInfo] = []

    def start() -> None:
        found.append(client.ensure_running(env, options=HOLLOW))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 3 == len(found)
    assert 1 == len({info.pid for info in found})


def test_own_session(env: dict[str, str]) -> None:
    """The daemon has a session of its own and is nobody's child here."""
    info = client.ensure_running(env, options=HOLLOW)
    assert os.getsid(info.pid) != os.getsid(0)
    parent = Path(f"/proc/{info.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    assert str(os.getpid()) != parent.split()[1]


def test_survives_its_client(env: dict[str, str]) -> None:
    """SIGKILL of the process that started it leaves the emulator and its pods alone."""
    script = (
        "import os, signal\n"
        "from runpod_deploy.emulator.client import *\n"
        "from runpod_deploy.emulator.wire import call\n"
        "info = ensure_running(os.environ, options=EmulatorOptions(pods='none'))\n"
        "call(info, 'POST', '/v2/pods',"
        " {'name': 'a', 'image': 'a/b', 'gpu': {'id': 'NVIDIA L4'}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], env=env, check=False, timeout=30)
    assert -signal.SIGKILL == ended.returncode
    assert 1 == len(client.list_pods(env))


def test_sigterm(env: dict[str, str]) -> None:
    """SIGTERM takes the pods down and the file away."""
    info = client.ensure_running(env, options=HOLLOW)
    create(info)
    os.kill(info.pid, signal.SIGTERM)
    wait_for(lambda: not process_exists(info.pid))
    assert not place_from(env).contact.exists()
    history = (place_from(env).state / "pods.jsonl").read_text(encoding="utf-8").splitlines()
    assert "shutdown" == json.loads(history[-1])["pod"]["ended_by"]


def test_sigkill_and_again(env: dict[str, str]) -> None:
    """After SIGKILL the stale file is seen through; the next daemon knows the pods as lost."""
    first = client.ensure_running(env, options=HOLLOW)
    pod = create(first)
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not process_exists(first.pid))
    assert place_from(env).contact.exists()
    assert client.find(env) is None
    second = client.ensure_running(env, options=HOLLOW)
    assert first.pid != second.pid
    assert [] == client.list_pods(env)
    history = client.admin(second, "GET", "history")["pods"]
    assert [(pod["id"], "lost")] == [(row["id"], row["ended_by"]) for row in history]


def test_file_of_another_process(env: dict[str, str]) -> None:
    """A file whose process number went to another process is stale."""
    info = client.ensure_running(env, options=HOLLOW)
    contact = place_from(env).contact
    raw = json.loads(contact.read_text(encoding="utf-8"))
    for change in ({"pid": os.getpid()}, {"pid_birth": "1"}, {"url": "http://127.0.0.1:9"}):
        contact.write_text(json.dumps(raw | change), encoding="utf-8")
        assert client.find(env) is None
    contact.write_text("{", encoding="utf-8")
    assert client.find(env) is None
    contact.write_text(json.dumps(raw), encoding="utf-8")
    assert info == client.find(env)


def test_idle_end(env: dict[str, str]) -> None:
    """Without pods and clients it ends by itself; a pod keeps it."""
    info = client.ensure_running(env, options=EmulatorOptions(pods="none", idle_seconds=0.5))
    pod = create(info)
    time.sleep(1.0)
    assert process_exists(info.pid)
    call(info, "DELETE", f"/v2/pods/{pod['id']}")
    wait_for(lambda: not process_exists(info.pid))
    assert not place_from(env).contact.exists()


def test_lost_file_comes_back(env: dict[str, str]) -> None:
    """A contact file that is taken away, as at logout, is written again: no second daemon."""
    info = client.ensure_running(env, options=HOLLOW)
    place_from(env).contact.unlink()
    wait_for(lambda: client.find(env) is not None)
    assert info == client.ensure_running(env)


def test_lost_state_ends_it(env: dict[str, str]) -> None:
    """Without its state folder an emulator ends, whatever pods it has."""
    info = client.ensure_running(env, options=HOLLOW)
    create(info)
    shutil.rmtree(place_from(env).runtime)
    wait_for(lambda: not process_exists(info.pid))


def test_relative_place(env: dict[str, str], tmp_path: Path) -> None:
    """A relative place means the caller's folder."""
    relative = os.path.relpath(tmp_path / "near")
    info = client.ensure_running(env | {"RUNPOD_DEPLOY_EMULATOR_DIR": relative}, options=HOLLOW)
    absolute = env | {"RUNPOD_DEPLOY_EMULATOR_DIR": str(tmp_path / "near")}
    assert info == client.find(absolute)
    assert client.stop(absolute)


def test_stop_of_a_deaf_daemon(env: dict[str, str]) -> None:
    """One that does not answer is ended by signal."""
    info = client.ensure_running(env, options=HOLLOW)
    contact = place_from(env).contact
    raw = json.loads(contact.read_text(encoding="utf-8"))
    contact.write_text(json.dumps(raw | {"url": "http://127.0.0.1:9"}), encoding="utf-8")
    assert client.stop(env)
    assert not process_exists(info.pid)


def test_bad_fault_is_reported(env: dict[str, str]) -> None:
    """A start that fails says why, with the end of the log."""
    with pytest.raises(EmulatorError, match="did you mean 'slow'") as caught:
        client.ensure_running(env, options=EmulatorOptions(pods="none", faults=("slwo",)))
    assert str(place_from(env).log) in str(caught.value)


def test_taken_port_is_reported(env: dict[str, str]) -> None:
    """A port that is taken is the reason given."""
    info = client.ensure_running(env, options=HOLLOW)
    port = int(info.url.rpartition(":")[2])
    other = env | {"RUNPOD_DEPLOY_EMULATOR_DIR": env["RUNPOD_DEPLOY_EMULATOR_DIR"] + "2"}
    with pytest.raises(EmulatorError, match="Address already in use"):
        client.ensure_running(other, options=EmulatorOptions(pods="none", port=port))


def test_faults_at_runtime(env: dict[str, str]) -> None:
    """Faults can be added and taken away while it runs."""
    info = client.ensure_running(env, options=HOLLOW)
    client.add_faults(info, ["balance-too-low", {"kind": "slow", "seconds": 0}])
    with pytest.raises(WireError, match="402"):
        create(info)
    client.clear_faults(info)
    create(info)
    with pytest.raises(EmulatorError, match="unknown fault kind"):
        client.add_faults(info, ["nothing"])


def test_foreground(env: dict[str, str]) -> None:
    """In the foreground it says where it listens, and a second one refuses."""
    command = [sys.executable, "-m", "runpod_deploy.emulator", "--pods=none"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        info = client.find(env)
        assert info is not None
        assert info.url in line
        second = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (1, True) == (second.returncode, "runs already" in second.stderr)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(10)


def test_place_by_xdg(tmp_path: Path) -> None:
    """The file lies in the runtime folder, or below the state folder where there is none."""
    state = {"HOME": "/home/me", "XDG_STATE_HOME": "/var/me"}
    runtime = state | {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert tmp_path / "runpod-deploy" / "emulator.json" == place_from(runtime).contact
    assert Path("/var/me/runpod-deploy/run/emulator.json") == place_from(state).contact
    assert Path("/var/me/runpod-deploy/emulator") == place_from(runtime).state
    home = place_from({"HOME": "/home/me"})
    assert Path("/home/me/.local/state/runpod-deploy/emulator") == home.state


def test_client_is_light() -> None:
    """Importing the client brings nothing of the server side along."""
    script = (
        "import sys, runpod_deploy.emulator.client\n"
        "print({'asyncssh', 'starlette', 'uvicorn', 'httpx', 'asyncio'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert "set()" == seen.stdout.strip()


def test_real_pod(env: dict[str, str]) -> None:
    """By default a pod has processes and an SSH server, which end with it."""
    info = client.ensure_running(env)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILXGDN/SclOozk1xsDztpmhGiKkkrfQB9SKoO8dSIQQZ me"
    body = {
        "name": "a",
        "image": "a/b:1",
        "gpu": {"id": "NVIDIA L4"},
        "ports": ["22/tcp"],
        "env": {"PUBLIC_KEY": key},
    }
    path = f"/v2/pods/{call(info, 'POST', '/v2/pods', body)['id']}"
    wait_for(lambda: call(info, "GET", path)["ssh"]["direct"] is not None)
    port = call(info, "GET", path)["ssh"]["direct"]["port"]
    assert banner(port).startswith(b"SSH-2.0-")
    call(info, "DELETE", path)
    with pytest.raises(OSError, match=r".+"):
        banner(port)


def banner(port: int) -> bytes:
    """Read the first bytes that a server sends."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        return stream.recv(32)
