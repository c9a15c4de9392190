"""The lease as it lies on a pod, run by the shells that pods have, against an API on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runpod_deploy.compiler.lease import BOOT_ENV
from support.shell_pod import LIMIT, SHELLS, Pod, running, wait_until
from support.stub_api import StubApi, stub_api

pytestmark = pytest.mark.interop

# Sixty pod seconds in one, so that minutes of silence pass in seconds.
SPEED = 60.0
WAYS = ("curl", "python3", "wget")


@pytest.fixture
def api() -> Iterator[StubApi]:
    """Return an API that knows one pod."""
    with stub_api() as made:
        yield made


@pytest.fixture(params=SHELLS)
def pod(
    request: pytest.FixtureRequest, tmp_path: Path, api: StubApi, ssh: tuple[str, ...] | None
) -> Iterator[Pod]:
    """Return a pod whose sh is one of the shells, with fast time, over OpenSSH where that is."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    made = Pod(tmp_path, request.param, speed=SPEED, ssh=ssh)
    made.container_env |= api.container_env
    yield made
    made.clean()


def lease(pod: Pod, *words: str) -> str:
    """Call the lease script."""
    return pod.call(*words, script="lease").strip()


def keeper(pod: Pod) -> int:
    """Return the process that watches."""
    return int((pod.home / "lease" / "keeper.pid").read_text("ascii"))


def beats(pod: Pod, seconds: float) -> None:
    """Give signs of life for so many real seconds, as `beat` gives one: however busy this machine is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        os.kill(keeper(pod), signal.SIGUSR1)
        time.sleep(0.2)


def test_silence_before_the_job_ends_the_pod(pod: Pod, api: StubApi) -> None:
    """Nobody gives a sign of life: after the minutes of the lease the pod asks for its end, and again."""
    pod.install("exit 0\n", lease={"silence_sec": 120})
    armed = time.monotonic()
    assert "armed curl" == lease(pod, "arm", "0")
    wait_until(lambda: len(api.actions()) > 1, "the pod did not ask for its end again")
    assert {"terminate"} == set(api.actions())
    first = next(at for at, method, *_ in api.asked if method == "POST")
    assert first - armed >= 120 / SPEED


def test_signs_of_life_keep_the_pod(pod: Pod, api: StubApi) -> None:
    """As long as somebody is heard of, nothing is done, and afterwards the minutes count anew."""
    pod.install("exit 0\n", lease={"silence_sec": 300, "action": "stop"})
    lease(pod, "arm", "0")
    beats(pod, 8.0)
    assert [] == api.actions()
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    assert "stop" == api.actions()[0]


def test_running_job_outlives_silence_and_an_idle_pod_does_not(pod: Pod, api: StubApi) -> None:
    """Silence counts from the end of the job, which is told whole."""
    pod.install("sleep 9; echo done\n", lease={"silence_sec": 360})
    lease(pod, "arm", "0")
    pod.call("start", "0", "max_runtime")
    assert "exited 0 5 -\n" == pod.call("wait")
    ended = time.monotonic()
    before = [at for at, method, *_ in api.asked if method == "POST" and at < ended - 0.5]
    assert [] == before
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")


def test_silence_stops_a_running_job_where_that_was_asked_for(pod: Pod, api: StubApi) -> None:
    """With `while_running: stop` the job is ended first, and its end is told with the reason.

    It waits where the stop wipes nothing: on a disk that is new, it is found again, once.
    """
    mount = pod.root / "a mount"
    mount.mkdir()
    terms = {"silence_sec": 60, "while_running": "stop", "action": "stop", "mount": str(mount)}
    pod.install("echo words; sleep 60\n", lease=terms)
    lease(pod, "arm", "0")
    pod.call("start", "0", "max_runtime")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    wait_until(lambda: pod.call("status").startswith("exited"), "the job was not ended")
    before = pod.call("status")
    state, _, size, reason = before.split()
    words = pod.log.read_text()
    assert ("exited", "orphaned", str(len(words))) == (state, reason, size)
    saved = mount / ".runpod-deploy" / pod.home.name
    assert 0o700 == saved.stat().st_mode & 0o777
    lease(pod, "disarm")

    shutil.rmtree(pod.job)
    pod.log.unlink()
    assert "lost - 0 -\n" == pod.call("status")
    lease(pod, "restore")
    assert (before, words) == (pod.call("status"), pod.log.read_text())
    assert [] == list(mount.iterdir())
    lease(pod, "restore")
    assert before == pod.call("status")


def test_results_on_a_disk_that_would_be_wiped_wait_for_the_money(pod: Pod, api: StubApi) -> None:
    """After the job silence does nothing where acting would wipe results; the end of the money does."""
    pod.install("exit 0\n", lease={"silence_sec": 240, "spares_results": 1})
    armed = time.monotonic()
    lease(pod, "arm", "900")
    pod.call("start", "0", "max_runtime")
    pod.call("wait")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    assert time.monotonic() - armed > 600 / SPEED
    assert "cost_cap\n" == (pod.home / "lease" / "acting").read_text("ascii")


def test_money_ends_a_running_job_that_nobody_watches(pod: Pod, api: StubApi) -> None:
    """The money's end acts also while the job runs, which is ended first."""
    pod.install("sleep 60\n", lease={"silence_sec": 6000})
    lease(pod, "arm", "240")
    pod.call("start", "0", "max_runtime")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    assert "cost_cap" == pod.call("status").split()[3]


def test_whoever_is_there_may_bring_the_results_home(pod: Pod, api: StubApi) -> None:
    """At the end of the money, somebody who is heard of has some minutes, and no more."""
    pod.install("exit 0\n", lease={"silence_sec": 6000})
    armed = time.monotonic()
    lease(pod, "arm", "60")
    beats(pod, 5.0)
    assert [] == api.actions()
    while not api.actions():
        assert time.monotonic() - armed < LIMIT, "the pod was kept for ever"
        beats(pod, 0.1)
    assert time.monotonic() - armed > 600 / SPEED


def test_held_pod_waits_for_the_money(pod: Pod, api: StubApi) -> None:
    """A pod that holds what is nowhere else is let be until its money is spent."""
    pod.install("exit 0\n", lease={"silence_sec": 240})
    armed = time.monotonic()
    lease(pod, "arm", "900")
    lease(pod, "hold")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    assert time.monotonic() - armed > 600 / SPEED


def test_disarmed_pod_stays(pod: Pod, api: StubApi) -> None:
    """A pod that is to stay on purpose has no watch any more, and a sign of life does not begin one."""
    pod.install("exit 0\n", lease={"silence_sec": 900})
    lease(pod, "arm", "0")
    lease(pod, "disarm")
    watching = keeper(pod)
    wait_until(lambda: not running(watching), "the watch goes on")
    lease(pod, "beat")
    assert watching == keeper(pod)
    assert [] == api.actions()


def test_armed_again_there_is_one_watch_with_the_new_terms(pod: Pod, api: StubApi) -> None:
    """Whoever takes a run over arms again: the old watch ends, and the new money counts."""
    pod.install("exit 0\n", lease={"silence_sec": 600000})
    lease(pod, "arm", "600000")
    first = keeper(pod)
    assert "armed curl" == lease(pod, "arm", "1")
    wait_until(lambda: not running(first), "two watches")
    assert running(keeper(pod))
    wait_until(lambda: bool(api.actions()), "the new money did not count")


def test_killed_watch_begins_again(pod: Pod, api: StubApi) -> None:
    """The supervisor of a running job sees to it that there is a watch, and so does a sign of life."""
    pod.install("sleep 60\n", lease={"silence_sec": 120, "while_running": "stop"})
    lease(pod, "arm", "0")
    first = keeper(pod)
    os.kill(first, signal.SIGKILL)
    lease(pod, "beat")
    second = keeper(pod)
    assert first != second
    pod.call("start", "0", "max_runtime")
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: bool(api.actions()), "nobody watched")


def test_refusals_are_asked_again(pod: Pod, api: StubApi) -> None:
    """An API that fails is asked again until it grants the end."""
    pod.install("exit 0\n", lease={"silence_sec": 30})
    lease(pod, "arm", "0")
    api.refuse += [500] * 7
    wait_until(lambda: bool(api.actions()), "the pod gave up")
    assert [] == api.refuse


def test_watch_does_not_follow_the_date(pod: Pod, api: StubApi) -> None:
    """A date that jumps ahead by years is no silence."""
    pod.speed = 1.0
    pod.install("exit 0\n", lease={"silence_sec": 3000})
    jumping = pod.root / "bin" / "date"
    jumping.write_text("#!/bin/sh\necho $(($$ * 100000))\n", encoding="utf-8")
    jumping.chmod(0o755)
    lease(pod, "arm", "3000")
    time.sleep(6)
    assert running(keeper(pod))
    assert [] == api.actions()


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_the_api_works_alone(pod: Pod, api: StubApi, way: str) -> None:
    """With one program only, the pod tests itself, says by which, and ends itself; no key is an argument."""
    if shutil.which(way) is None:
        pytest.skip(f"{way} is not installed")
    pod.tools = (way,)
    pod.install("exit 0\n", lease={"silence_sec": 30, "action": "stop"})
    assert f"armed {way}" == lease(pod, "arm", "0")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
    assert "stop" == api.actions()[0]
    assert {"GET", "POST"} == {method for _, method, *_ in api.asked}
    assert all(headers["user-agent"].startswith("runpod-deploy-pod/") for *_, headers in api.asked)


SMALL_WGET = """\
#!/bin/sh
for word in "$@"; do
  case "$word" in
    -q | -O | -T | -U | --header | --post-data | --) ;;
    -*) echo "wget: unrecognized option: $word" >&2; exit 1 ;;
  esac
done
exec {real} "$@"
"""


def test_small_wget_is_enough(pod: Pod, api: StubApi) -> None:
    """BusyBox's wget knows neither methods nor tries: only options that it has are used."""
    if shutil.which("wget") is None:
        pytest.skip("wget is not installed")
    pod.tools = ()
    pod.install("exit 0\n", lease={"silence_sec": 30})
    wget = pod.root / "bin" / "wget"
    wget.write_text(SMALL_WGET.format(real=shutil.which("wget")), encoding="utf-8")
    wget.chmod(0o755)
    assert "armed wget" == lease(pod, "arm", "0")
    wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")


@pytest.mark.parametrize("words", ["new", "old"])
def test_runpodctl_is_the_last_way(pod: Pod, words: str) -> None:
    """Where RunPod's own program is all there is, it is called by its words of either version."""
    pod.tools = ()
    pod.install("exit 0\n", lease={"silence_sec": 30})
    said = pod.root / "said"
    known = {"new": "pod:get pod:delete", "old": "get:pod remove:pod"}[words]
    stub = pod.root / "bin" / "runpodctl"
    stub.write_text(
        f'#!/bin/sh\ncase " {known} " in *" $1:$2 "*) ;; *) exit 1 ;; esac\n'
        f'echo "$RUNPOD_API_KEY $*" >>"{said}"\n',
        encoding="utf-8",
    )
    stub.chmod(0o755)
    assert "armed runpodctl" == lease(pod, "arm", "0")
    wait_until(lambda: said.read_text("utf-8").count("\n") > 1, "it was not asked")
    check, act = {
        "new": ("pod get pod1", "pod delete pod1"),
        "old": ("get pod pod1", "remove pod pod1"),
    }[words]
    assert [f"pod-key {check}", f"pod-key {act}"] == said.read_text("utf-8").splitlines()[:2]


@pytest.mark.parametrize("lacking", ["programs", "key", "permission"])
def test_watch_that_cannot_act_says_so(pod: Pod, api: StubApi, lacking: str) -> None:
    """Without a program, a key or the right to, arming says that nothing on the pod ends it."""
    if lacking == "programs":
        pod.tools = ()
    elif lacking == "key":
        del pod.container_env["RUNPOD_API_KEY"]
    else:
        api.key = "another"
    pod.install("exit 0\n")
    assert "armed -" == lease(pod, "arm", "0")


def test_usage_is_an_error(pod: Pod) -> None:
    """An unknown word is refused."""
    pod.install("exit 0\n")
    process = pod.start_process("begin", script="lease")
    _, err = process.communicate(timeout=LIMIT)
    assert 2 == process.returncode
    assert "usage" in err


def container(pod: Pod, command: str, **env: str) -> subprocess.Popen[str]:
    """Start the container's command as the create call asks for it."""
    text = (pod.home / "bin" / "boot.sh").read_text("utf-8")
    # With it dash ends before it reads a command: such a container has no shell at all.
    environ = {name: value for name, value in pod.container_env.items() if name != "OPTIND"}
    wrapped = ["-c", f'sh -c "${BOOT_ENV}" </dev/null & exec "$@"', "sh", "sh", "-c", command]
    return subprocess.Popen(
        ["sh", *wrapped],
        env={
            **pod.session_env,
            **environ,
            BOOT_ENV: text,
            "PATH": pod.session_env["PATH"],
            **env,
        },
        executable=str(pod.root / "bin" / "sh"),
        cwd=pod.root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    )


def test_boot_watch_ends_a_pod_that_nobody_comes_for(pod: Pod, api: StubApi) -> None:
    """After the grace it asks for the pod's end, again and again, and says so in the container's log."""
    pod.install("exit 0\n", lease={"boot_grace_sec": 120, "action": "stop"})
    with container(pod, "echo original; exec sleep 600") as process:
        began = time.monotonic()
        wait_until(lambda: len(api.actions()) > 1, "the pod did not ask for its end")
        assert time.monotonic() - began >= 120 / SPEED
        pod.clean()
        out, _ = process.communicate(timeout=LIMIT)
    assert {"stop"} == set(api.actions())
    assert "original\n" in out
    assert 1 == out.count("nobody came within 120 s")


def test_boot_watch_leaves_to_the_lease(pod: Pod, api: StubApi, tmp_path: Path) -> None:
    """Whoever arms the run's own lease within the last wait came in time; then the watch is over."""
    pod.install("exit 0\n", lease={"boot_grace_sec": 120, "silence_sec": 100_000})
    asleep, awake = tmp_path / "asleep", tmp_path / "awake"
    wait = f"#!/bin/sh\n: >{asleep}\nwhile ! test -e {awake}; do sleep 0.05; done\n"
    date = f"#!/bin/sh\nif test -e {awake}; then echo 9000; else echo 1000; fi\n"
    for name, text in (("wait", wait), ("date", date)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    gated = {"RD_SLEEP": str(tmp_path / "wait"), "RD_DATE": str(tmp_path / "date")}
    with container(pod, "exec sleep 600", **gated) as process:
        wait_until(asleep.exists, "the watch did not begin")
        watch = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        lease(pod, "arm", "0")
        awake.touch()
        wait_until(lambda: not running(watch), "the watch did not end")
        assert [] == api.actions()
        process.kill()
        pod.clean()


def test_watch_of_an_earlier_start_does_not_count(pod: Pod, api: StubApi) -> None:
    """A container that was started again has no watch but this one, whatever its disk says."""
    pod.install("exit 0\n", lease={"boot_grace_sec": 60})
    (pod.home / "lease").mkdir()
    (pod.home / "lease" / "keeper.pid").write_text("1\n", encoding="ascii")
    with container(pod, "exec sleep 600") as process:
        wait_until(lambda: bool(api.actions()), "the pod did not ask for its end")
        process.kill()
        pod.clean()


def test_original_command_is_the_first_process(pod: Pod) -> None:
    """The container's command takes the place of the shell that began the watch, words unchanged."""
    pod.install("exit 0\n")
    with container(pod, "echo $$; exec sleep 600") as process:
        assert process.stdout is not None
        assert process.pid == int(process.stdout.readline())
        process.kill()
        pod.clean()
