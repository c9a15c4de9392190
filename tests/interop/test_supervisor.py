"""The supervisor as it lies on a pod, run by the shells that pods have."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pod_scripts import lease_context, render, run_context
from support.shell_pod import CONTAINER_ENV, LIMIT, SHELLS, Pod, running, wait_until

pytestmark = pytest.mark.interop

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(params=[f"{shell}-{way}" for shell in SHELLS for way in ("direct", "sshd")])
def pod(
    request: pytest.FixtureRequest, tmp_path: Path, ssh: tuple[str, ...] | None
) -> Iterator[Pod]:
    """Return a pod whose sh is one of the shells, reached directly or as the executor does, over SSH."""
    shell, _, way = request.param.partition("-")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    if way == "sshd" and ssh is None:
        pytest.skip("OpenSSH is not installed")
    made = Pod(tmp_path, shell, ssh=ssh if way == "sshd" else None)
    yield made
    made.clean()


@pytest.fixture
def unreaped() -> Iterator[None]:
    """Orphans become children of this process, which does not wait for them."""
    if sys.platform != "linux":
        pytest.skip("needs Linux's PR_SET_CHILD_SUBREAPER")
    libc = ctypes.CDLL(None)
    assert 0 == libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    assert 0 == libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_started_twice_it_begins_once_and_says_how_it_ended(pod: Pod) -> None:
    """Start is asked twice, the script runs once, and its exit code and whole log are there."""
    pod.install("echo begun\nsleep 0.3\necho to-stderr >&2\nexit 7\n")
    first = pod.start_process("start", "0", "max_runtime")
    second = pod.start_process("start", "0", "max_runtime")
    for process in (first, second):
        out, err = process.communicate(timeout=LIMIT)
        assert 0 == process.returncode, err
        assert out.split()[0] in {"running", "exited"}
    size = len("begun\nto-stderr\n")
    assert f"exited 7 {size} -\n" == pod.call("wait")
    assert f"exited 7 {size} -\n" == pod.call("status")
    assert f"exited 7 {size} -\n" == pod.call("start", "0", "max_runtime")
    assert "begun\nto-stderr\n" == pod.log.read_text("utf-8")


def test_log_is_whole_when_the_end_is_told(pod: Pod) -> None:
    """The size that is told with the end is that of all the script ever printed."""
    pod.install("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done\nprintf tail\n")
    pod.call("start", "0", "max_runtime")
    answer = pod.call("wait")
    whole = "".join(f"line {n}\n" for n in range(2000)) + "tail"
    assert f"exited 0 {len(whole)} -\n" == answer
    assert whole == pod.log.read_text("utf-8")


def test_before_the_start_there_is_an_answer_too(pod: Pod) -> None:
    """Asked before anything was started, it answers in its four words and never with success."""
    pod.install("exit 0\n")
    assert "lost - 0 -\n" == pod.call("status")
    assert "lost - 0 -\n" == pod.call("stop", "cancelled")
    assert "lost - 0 -\n" == pod.call("wait")


def test_limit_ends_the_run(pod: Pod) -> None:
    """After its seconds the run is ended, because of the reason given."""
    pod.install("echo on\nsleep 60\n")
    pod.call("start", "1", "cost_cap")
    began = time.monotonic()
    state, code, size, reason = pod.call("wait").split()
    assert ("exited", "3", "cost_cap") == (state, size, reason)
    assert code != "0"
    assert time.monotonic() - began < 15


def test_stop_ends_a_run_that_ignores_being_asked(pod: Pod) -> None:
    """A script that ignores SIGTERM is killed, and the reason of the stop is told."""
    pod.install("trap '' TERM\necho on\nwhile :; do sleep 0.2; done\n")
    pod.call("start", "0", "max_runtime")
    wait_until(lambda: pod.log.exists() and pod.log.read_text("utf-8") == "on\n", "no log")
    state, code, size, reason = pod.call("stop", "cancelled").split()
    assert ("exited", "137", "cancelled") == (state, code, reason)
    # BusyBox's shell tells of a command that is killed a moment before the shell itself.
    assert pod.log.read_bytes() in {b"on\n", b"on\nKilled\n"}
    assert pod.log.stat().st_size == int(size)


def test_stop_lets_a_script_clean_up(pod: Pod) -> None:
    """A script that handles SIGTERM has the time to, and what it prints then is in the log."""
    pod.install("trap 'echo saved; exit 5' TERM\necho on\nwhile :; do sleep 0.1; done\n")
    pod.call("start", "0", "max_runtime")
    wait_until(lambda: pod.log.exists() and pod.log.read_text("utf-8") == "on\n", "no log")
    state, code, _, reason = pod.call("stop", "cancelled").split()
    assert ("exited", "5", "cancelled") == (state, code, reason)
    assert pod.log.read_text("utf-8").endswith("saved\n")


def test_stop_after_the_end_changes_nothing(pod: Pod) -> None:
    """A run that ended by itself is not told to have been stopped."""
    pod.install("exit 0\n")
    pod.call("start", "0", "max_runtime")
    pod.call("wait")
    assert "exited 0 0 -\n" == pod.call("stop", "cancelled")


def test_supervisor_that_is_killed_is_lost(pod: Pod) -> None:
    """Without its supervisor a run has no end that could be taken for success."""
    pod.install("sleep 60\n")
    pod.call("start", "0", "max_runtime")
    waiting = pod.start_process("wait")
    os.kill(int((pod.job / "supervisor.pid").read_text("ascii")), signal.SIGKILL)
    out, _ = waiting.communicate(timeout=LIMIT)
    assert "lost - 0 -\n" == out
    assert "lost - 0 -\n" == pod.call("status")
    assert not (pod.job / "exit_code").exists()


def test_supervisor_left_as_a_zombie_is_lost(pod: Pod, unreaped: None) -> None:  # noqa: ARG001 - a setting
    """Where nobody reaps it, as in containers with a plain first process, a dead supervisor is lost too."""
    pod.install("sleep 60\n")
    pod.call("start", "0", "max_runtime")
    supervisor = int((pod.job / "supervisor.pid").read_text("ascii"))
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not running(supervisor), "the supervisor still runs")
    assert Path(f"/proc/{supervisor}").exists()
    assert "lost - 0 -\n" == pod.call("wait")


def test_stop_without_a_supervisor_ends_the_script(pod: Pod) -> None:
    """A script whose supervisor was killed can still be ended: it would go on using the GPU."""
    pod.install("echo $$ >../pid\nsleep 60\n", workdir=str(pod.root / "work"))
    (pod.root / "work").mkdir()
    pod.call("start", "0", "max_runtime")
    wait_until((pod.root / "pid").exists, "the script did not start")
    os.kill(int((pod.job / "supervisor.pid").read_text("ascii")), signal.SIGKILL)
    script = int((pod.job / "run.pid").read_text("ascii"))
    assert "lost - 0 -\n" == pod.call("stop", "cancelled")
    wait_until(lambda: not running(script), "the script still runs")


def test_background_children_end_with_the_script(pod: Pod) -> None:
    """What a script leaves running in its session ends with it, also when it ignores SIGTERM."""
    pod.install(
        "sh -c \"trap '' TERM; while :; do sleep 0.2; done\" &\necho $!\nsleep 60 &\necho $!\nexit 0\n"
    )
    pod.call("start", "0", "max_runtime")
    assert "exited 0" == pod.call("wait")[:8]
    children = [int(line) for line in pod.log.read_text("utf-8").split()]
    assert 2 == len(children)
    for child in children:
        wait_until(lambda child=child: not running(child), "a child still runs")


DETACHED = """\
(setsid sh -c 'trap "" TERM; echo $$ >"$1"; while :; do sleep 0.2; done' sh "$PWD/double" &) &
(env -i PATH="$PATH" sh -c 'echo $$ >"$1"; while :; do sleep 0.2; done' sh "$PWD/bare" &) &
until [ -s double ] && [ -s bare ]; do sleep 0.1; done
"""


@pytest.mark.parametrize("ending", ["by itself", "stopped"])
def test_whole_tree_ends_with_the_script(pod: Pod, ending: str) -> None:
    """A child forked twice into a session of its own ends too, and one without its environment."""
    pod.install(
        DETACHED + ("exit 4\n" if ending == "by itself" else "echo on\nsleep 60\n"),
        workdir=str(pod.root),
    )
    pod.call("start", "0", "max_runtime")
    if ending == "stopped":
        wait_until(lambda: pod.log.exists() and pod.log.read_text("utf-8") == "on\n", "no log")
        assert pod.call("stop", "cancelled").startswith("exited ")
    else:
        assert pod.call("wait").startswith("exited 4 ")
    for name in ("double", "bare"):
        left = int((pod.root / name).read_text("ascii"))
        wait_until(lambda left=left: not running(left), f"{name} still runs")


@pytest.mark.parametrize("ending", ["by itself", "stopped"])
def test_without_setsid_the_tree_ends_as_well(pod: Pod, ending: str) -> None:
    """Where no session can be made, the script's mark tells whose processes they are."""
    pod.tools = ()
    body = "sh -c \"trap '' TERM; while :; do sleep 0.2; done\" &\necho $!\n"
    pod.install(body + ("exit 4\n" if ending == "by itself" else "sleep 60\n"))
    pod.call("start", "0", "max_runtime")
    wait_until(lambda: pod.log.exists() and pod.log.read_text("utf-8").endswith("\n"), "no log")
    child = int(pod.log.read_text("utf-8"))
    if ending == "stopped":
        assert pod.call("stop", "cancelled").startswith("exited ")
    else:
        assert pod.call("wait").startswith("exited 4 ")
    wait_until(lambda: not running(child), "the child still runs")


def test_others_are_left_alone(pod: Pod) -> None:
    """What runs beside the script on the pod, as a server that setup started, is not its tree."""
    pod.install("exit 0\n")
    bystander = subprocess.Popen(
        ["sleep", "60"], env={"SAME": str(pod.root), "RUNPOD_DEPLOY_JOB": f"{pod.job}-other"}
    )
    try:
        pod.call("start", "0", "max_runtime")
        pod.call("wait")
        assert None is bystander.poll()
    finally:
        bystander.kill()
        bystander.wait()


def test_limit_does_not_follow_the_date(pod: Pod) -> None:
    """A clock that is set back an hour again and again neither ends a run early nor keeps it."""
    pod.install("echo on\nsleep 60\n")
    jumping = pod.root / "bin" / "date"
    jumping.write_text("#!/bin/sh\necho $(($$ * 100000))\n", encoding="utf-8")
    jumping.chmod(0o755)
    began = time.monotonic()
    pod.call("start", "3", "max_runtime")
    answer = pod.call("wait").split()
    assert ("exited", "max_runtime") == (answer[0], answer[3])
    assert 2 <= time.monotonic() - began < LIMIT


def test_fast_time_reaches_the_limit_early(pod: Pod) -> None:
    """An emulator's clock decides where there is one: two minutes pass in seconds."""
    pod.speed = 60.0
    pod.install("echo on\nsleep 60\n")
    pod.call("start", "120", "max_runtime")
    assert "max_runtime" == pod.call("wait").split()[3]


def test_exit_code_is_written_on_a_full_disk(pod: Pod) -> None:
    """Where no byte can be added any more, the end of the run is told all the same."""
    pod.install("exit 9\n")
    pod.call("start", "0", "max_runtime")
    pod.call("wait")
    (pod.job / "exit_code").rename(pod.job / "exit_code.room")
    (pod.job / "exit_code.room").write_text(" " * 16 + "\n", encoding="ascii")
    script = "\n".join(
        (
            (pod.home / "bin" / "supervisor.sh").read_text("utf-8").partition("\ncase ")[0],
            'put() { echo full >&2; return 1; }\nput_reserved "$job/exit_code" 9\nreport\n',
        )
    )
    (pod.home / "bin" / "full.sh").write_text(script, encoding="utf-8")
    assert "exited 9 0 -\n" == pod.call(script="full")


def test_heartbeat_is_written(pod: Pod) -> None:
    """While the script runs its heartbeat holds the time."""
    pod.install("sleep 60\n")
    pod.call("start", "0", "max_runtime")
    wait_until((pod.job / "heartbeat").exists, "no heartbeat")
    assert abs(time.time() - int((pod.job / "heartbeat").read_text("ascii"))) < 60


def test_script_has_the_environment_of_container_and_job(pod: Pod) -> None:
    """Values reach the script byte for byte; what belongs to the pod's keepers does not; nothing is run."""
    pod.install(
        'printf "%s\\n" "$IMAGE_VALUE" "$MANY_LINES" "${INJECTED-none}" "$EXPORTED" "$OWN" "$BYTES" '
        '"$STARS" '
        '"${RUNPOD_API_KEY-none}" "${PUBLIC_KEY-none}" "$HOME"\n',
        env={"OWN": "a 'b' $(c)"},
    )
    pod.call("start", "0", "max_runtime")
    answer = pod.call("wait")
    shown = pod.log.read_bytes()
    assert answer.startswith("exited 0 "), shown
    expected = [
        CONTAINER_ENV["IMAGE_VALUE"],
        CONTAINER_ENV["MANY_LINES"],
        *("none", "x y", "a 'b' $(c)", CONTAINER_ENV["BYTES"]),
        *(CONTAINER_ENV["STARS"], "none", "none", str(pod.root)),
    ]
    assert os.fsencode("\n".join(expected) + "\n") == shown
    assert not list(pod.root.rglob("pwned"))


def test_working_directory_that_is_not_there_fails_the_run(pod: Pod) -> None:
    """A script is never run in another folder than the one asked for."""
    pod.install("echo ran\n", workdir=str(pod.root / "no such"))
    pod.call("start", "0", "max_runtime")
    assert pod.call("wait").startswith("exited 1 ")
    assert "ran" not in pod.log.read_text("utf-8").split()


def test_usage_is_an_error(pod: Pod) -> None:
    """An unknown word is refused."""
    pod.install("exit 0\n")
    process = pod.start_process("begin")
    _, err = process.communicate(timeout=LIMIT)
    assert 2 == process.returncode
    assert "usage" in err


@pytest.mark.parametrize("shell", SHELLS)
def test_step_runs_a_command_with_and_without_the_jobs_environment(
    tmp_path: Path, shell: str
) -> None:
    """`step.sh 1` brings the exports, `step.sh 0` does not; arguments and status pass through."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    pod = Pod(tmp_path, shell)
    pod.install("exit 0\n")
    for with_env, seen in (("1", "x y"), ("0", "none")):
        done = subprocess.run(
            [
                *("sh", str(pod.home / "bin" / "step.sh"), with_env),
                *("sh", "-c", 'echo "${EXPORTED-none}" "$1"; exit 3', "sh", "two  words"),
            ],
            executable=str(pod.root / "bin" / "sh"),
            env=pod.session_env,
            capture_output=True,
            check=False,
            timeout=LIMIT,
        )
        assert (3, f"{seen} two  words\n".encode()) == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_step_ends_what_was_left_of_the_same_command(tmp_path: Path, shell: str) -> None:
    """A command that outlived its executor does not run beside its second time; others are left alone."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    pod = Pod(tmp_path, shell)
    pod.install("exit 0\n")

    def begin(name: str, script: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*("sh", str(pod.home / "bin" / "step.sh"), "0"), *("sh", "-c", script)],
            executable=str(pod.root / "bin" / "sh"),
            env={**pod.session_env, "RUNPOD_DEPLOY_STEP": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    began = "echo began; exec sleep 300"
    left, other = begin("setup-1", began), begin("setup-2", began)
    try:
        for one in (left, other):
            assert one.stdout is not None
            assert b"began\n" == one.stdout.readline()
        again = begin("setup-1", "echo second")
        out, err = again.communicate(timeout=LIMIT)
        assert (0, b"second\n") == (again.returncode, out), err
        assert b"left running" in err
        assert 0 != left.wait(LIMIT)
        assert other.poll() is None
    finally:
        for one in (left, other):
            one.kill()
            one.communicate()


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        *((name, False) for name in ("supervisor", "env", "base-env", "step", "lease", "boot")),
        *(("sampler", False), ("upload", False), ("lease", True), ("boot", True)),
    ],
)
def test_shellcheck_finds_nothing(tmp_path: Path, name: str, cluster: bool) -> None:
    """The scripts are POSIX sh without a finding."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    file = tmp_path / f"{name}.sh"
    text = render(
        name,
        exports={"A": "it's"},
        source_files=["/a b"],
        secret_files=["/root/.s"],
        late_bound={"RUN_ID": "demo"},
        run=run_context(workdir="/w", env={"E": "1"}),
        telemetry={"interval_sec": 30, "mount": "/workspace", "idle_sec": 900},
        lease=lease_context(cluster=cluster),
    )
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC1091,SC2016", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert "" == done.stdout
    assert 0 == done.returncode
