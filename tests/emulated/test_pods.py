"""Emulated pods: what is isolated, what stays, and what ends when."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from emulated.pod_support import GPU, make_spec, processes_with, running_pod, until
from runpod_deploy.emulator.pods import availability, layout, open_pod_host
from runpod_deploy.emulator.pods.container import LineSplitter
from runpod_deploy.emulator.pods.host import LocalPodHost
from runpod_deploy.emulator.ports import GpuModel, PodHostUnavailable, PodStartError

pytestmark = pytest.mark.emulated

KINDS = ["root", "userns"] if os.getuid() == 0 else ["userns"]


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> LocalPodHost:
    """A builder of each kind that this user can use without help."""
    return LocalPodHost(tmp_path / "state", request.param)


def test_nothing_written_in_a_pod_reaches_the_host(tmp_path: Path, host: LocalPodHost) -> None:
    """A pod may write into its system folders, and the host's stay as they were."""
    name = f"rd-{uuid.uuid4().hex}"
    places = ("/usr/bin", "/usr/local/lib", "/etc", "/opt", "/tmp", "/var/tmp", "/root", "/home")

    async def scenario() -> None:
        async with running_pod(tmp_path, host=host) as rig:
            for place in places:
                written = await rig.run(f"echo mine > {place}/{name} && cat {place}/{name}")
                assert ("mine\n", 0) == (written.stdout, written.exit_status), place
                assert not os.path.exists(f"{place}/{name}")  # noqa: PTH110 - False where not allowed to look
            await rig.run("echo overwritten > /etc/hostname; echo 1 > /proc/sys/vm/swappiness")
            assert 0 != (await rig.run("touch /sys/kernel/x /proc/sys/x")).exit_status

    before = Path("/etc/hostname").read_bytes(), Path("/proc/sys/vm/swappiness").read_bytes()
    asyncio.run(scenario())
    assert before == (
        Path("/etc/hostname").read_bytes(),
        Path("/proc/sys/vm/swappiness").read_bytes(),
    )


def test_homes_and_state_of_the_host_are_out_of_sight(tmp_path: Path, host: LocalPodHost) -> None:
    """Neither homes, nor run folders, nor the emulator's state can be seen from inside."""

    async def scenario() -> None:
        async with running_pod(tmp_path, host=host) as rig:
            assert "" == (await rig.run("ls -A /home /root /tmp | grep -v :")).stdout.strip()
            assert 0 != (await rig.run("test -e /run/user")).exit_status
            for path in (tmp_path, Path(__file__)):
                assert 0 != (await rig.run(f"test -e '{path}'")).exit_status, path

    asyncio.run(scenario())


def test_two_pods_do_not_see_each_other(tmp_path: Path, host: LocalPodHost) -> None:
    """Processes, temporary files and host names are each pod's own."""

    async def scenario() -> None:
        async with (
            running_pod(tmp_path, host=host, pod_id="first") as first,
            running_pod(tmp_path, host=host, pod_id="second") as second,
        ):
            await first.run("touch /tmp/mine; setsid sleep 1111 </dev/null >/dev/null 2>&1 &")
            assert "1" == (await first.run("pgrep -c -x sleep")).stdout.strip()
            assert "0" == (await second.run("pgrep -c -x sleep")).stdout.strip()
            assert 0 != (await second.run("test -e /tmp/mine")).exit_status
            assert "first\n" == (await first.run("hostname")).stdout
            assert "second\n" == (await second.run("hostname")).stdout

    asyncio.run(scenario())


def test_root_inside_cannot_mount(tmp_path: Path, host: LocalPodHost) -> None:
    """A pod's root has a container's rights: it cannot change what is mounted."""

    async def scenario() -> None:
        async with running_pod(tmp_path, host=host) as rig:
            mounted = await rig.run("mount -t tmpfs none /mnt || mount -o remount,rw /sys")
            assert 0 != mounted.exit_status
            assert "0" == (await rig.run("id -u")).stdout.strip()

    asyncio.run(scenario())


def test_sessions_do_not_see_the_environment_of_the_pod(tmp_path: Path) -> None:
    """The pod's env is in `/proc/1/environ` and not in an SSH session, as on RunPod."""

    async def scenario() -> None:
        async with running_pod(tmp_path, env={"RUNPOD_API_KEY": "planted"}) as rig:
            session = dict(
                line.split("=", 1) for line in (await rig.run("env")).stdout.splitlines()
            )
            assert "RUNPOD_API_KEY" not in session
            assert "PUBLIC_KEY" not in session
            assert ("/root", "root", "root") == (
                session["HOME"],
                session["USER"],
                session["LOGNAME"],
            )
            assert session["SSH_CONNECTION"].endswith(f" 127.0.0.1 {rig.process.ssh_port}")
            first = (await rig.run("tr '\\0' '\\n' < /proc/1/environ")).stdout.splitlines()
            assert f"RUNPOD_TCP_PORT_22={rig.process.ssh_port}" in first
            assert "RUNPOD_API_KEY=planted" in first

    asyncio.run(scenario())


def test_workspace_survives_a_restart_and_the_container_disk_does_not(tmp_path: Path) -> None:
    """What lies on the volume is there after a restart; `/root` and `/tmp` start empty."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            await rig.run("echo kept > /workspace/a; touch /root/b /tmp/c")
            fingerprint = rig.process.host_key_fingerprint
            await rig.restart()
            assert "kept\n" == (await rig.run("cat /workspace/a")).stdout
            assert "" == (await rig.run("ls -A /root /tmp | grep -v :")).stdout.strip()
            assert fingerprint != rig.process.host_key_fingerprint
            assert "kept\n" == (tmp_path / f"{rig.spec.pod_id}-workspace" / "a").read_text()

    asyncio.run(scenario())


def test_volume_is_mounted_where_the_spec_says(tmp_path: Path) -> None:
    """A mount path may lie anywhere, below a folder of the image included."""

    async def scenario() -> None:
        async with running_pod(tmp_path, mount_path="/opt/data/volume") as rig:
            await rig.run("echo here > /opt/data/volume/a")
            assert "here\n" == (tmp_path / f"{rig.spec.pod_id}-workspace" / "a").read_text()

    asyncio.run(scenario())


def test_container_disk_has_its_size(tmp_path: Path) -> None:
    """The container disk fills up at the size that was rented."""

    async def scenario() -> None:
        async with running_pod(tmp_path, container_disk_gb=1) as rig:
            assert 0 == (await rig.run("fallocate -l 100M /root/fits")).exit_status
            full = await rig.run("fallocate -l 1500M /root/does-not")
            assert full.exit_status != 0
            assert "No space left on device" in full.stderr

    asyncio.run(scenario())


@pytest.mark.parametrize("system", [None, ()], ids=["of the system", "of the emulator"])
def test_python_without_a_number_is_there_as_in_the_images(
    system: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python` is Python 3, whether or not the host calls one so."""
    if system is not None:
        monkeypatch.setattr(layout, "_PYTHONS", system)

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            found = await rig.run("python -c 'import json, sys; print(sys.version_info[0])'")
            assert "3\n" == found.stdout

    asyncio.run(scenario())


def test_python3_is_there_without_one_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the host has no system interpreter, the one that runs the emulator shows through."""
    monkeypatch.setattr(layout, "_PYTHONS", ())

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            found = await rig.run("command -v python3; python3 -c 'import json; print(2 + 2)'")
            assert "/.pod/bin/python3\n4\n" == found.stdout

    asyncio.run(scenario())


def test_nvidia_smi_shows_the_rented_gpus(tmp_path: Path) -> None:
    """The stub answers the table, the list and queries, and refuses fields it does not know."""
    fields = "index,name,driver_version,memory.total,utilization.gpu,pstate,compute_cap,count"

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            table = (await rig.run("nvidia-smi")).stdout
            assert "CUDA Version: 12.8" in table
            assert 2 == table.count("24564MiB")
            listed = (await rig.run("nvidia-smi -L")).stdout.splitlines()
            assert listed[1].startswith("GPU 1: NVIDIA GeForce RTX 4090 (UUID: GPU-")
            query = await rig.run(f"nvidia-smi --query-gpu={fields} --format=csv,noheader")
            assert (
                "0, NVIDIA GeForce RTX 4090, 570.124.06, 24564 MiB, 0 %, P8, 8.9, 2"
                == query.stdout.splitlines()[0]
            )
            bare = await rig.run("nvidia-smi --query-gpu=memory.total --format=csv,nounits -i 1")
            assert "memory.total [MiB]\n24564\n" == bare.stdout
            ecc = "ecc.errors.uncorrected.volatile.total,ecc.errors.corrected.aggregate.total"
            absent = await rig.run(f"nvidia-smi --query-gpu={ecc} --format=csv,noheader -i 0")
            assert "[N/A], [N/A]\n" == absent.stdout
            unknown = await rig.run("nvidia-smi --query-gpu=index,speed --format=csv")
            assert 2 == unknown.exit_status
            assert 'Field "speed" is not a valid field to query.' in unknown.stdout

    asyncio.run(scenario())


def test_nvidia_smi_without_gpus(tmp_path: Path) -> None:
    """The zero-GPU fault shows as a machine without devices."""
    none = GpuModel(
        id=GPU.id, memory_mib=24564, count=0, driver_version="570.1", cuda_version="12.8"
    )

    async def scenario() -> None:
        async with running_pod(tmp_path, gpu=none) as rig:
            for options in ("", "-L", "--query-gpu=name --format=csv"):
                answer = await rig.run(f"nvidia-smi {options}")
                assert ("No devices were found\n", 6) == (answer.stdout, answer.exit_status)

    asyncio.run(scenario())


def test_stop_kills_every_process_and_closes_the_port(tmp_path: Path, host: LocalPodHost) -> None:
    """After `stop` no process of the pod is left, detached ones included."""
    marker = f"4711.{uuid.uuid4().int % 10**9}"

    async def scenario() -> None:
        async with running_pod(tmp_path, host=host, args=f"sh -c 'sleep {marker} & wait'") as rig:
            await rig.run(f"setsid sleep {marker} </dev/null >/dev/null 2>&1 &")
            assert await until(lambda: len(processes_with(marker)) >= 3)
            started = time.perf_counter()
            await rig.process.stop()
            assert time.perf_counter() - started < 1.0
            assert [] == processes_with(marker)
            with pytest.raises(OSError, match=r"Connect call failed|refused"):
                await rig.run("true")
            await rig.process.stop()
            assert 0 == await rig.process.wait()

    asyncio.run(scenario())


_OWNER = """
import asyncio, sys
from pathlib import Path
from emulated.pod_support import running_pod

async def main():
    async with running_pod(Path(sys.argv[1]), args="sleep " + sys.argv[2]):
        print("up", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_pods_end_with_the_emulator(tmp_path: Path) -> None:
    """SIGKILL of the process that owns the pods takes every process of every pod along."""
    marker = f"4712.{uuid.uuid4().int % 10**9}"
    path = os.pathsep.join(part for part in sys.path if part)
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path), marker],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    ) as owner:
        assert owner.stdout is not None
        assert b"up\n" == owner.stdout.readline()
        assert asyncio.run(until(lambda: len(processes_with(marker)) >= 2))
        owner.send_signal(signal.SIGKILL)
    assert asyncio.run(until(lambda: processes_with(marker) == []))


def test_container_command_runs_again_and_again(tmp_path: Path) -> None:
    """`args` runs with the pod's env, its lines are logged, and it is restarted when it ends."""
    args = "sh -c 'echo run $RUNPOD_POD_ID; echo trouble >&2; exit 3'"

    async def scenario() -> None:
        async with running_pod(tmp_path, pod_id="loop", args=args) as rig:
            assert await until(lambda: rig.logs.count(("container", "run loop")) >= 2)
            assert ("container", "trouble") in rig.logs
            assert ("system", "container command ended with status 3; restarting") in rig.logs

    asyncio.run(scenario())


def test_log_lines_are_cut_where_they_end() -> None:
    """Pieces join to lines, the last one needs no end, and a line without end is cut."""
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for piece in (b"one\r\ntw", b"o\n", b"x" * 70_000, b"\xff"):
        splitter.feed(piece)
    splitter.finish()
    assert ["one", "two", "x" * 65_536, "x" * (70_000 - 65_536) + "\ufffd"] == lines


def test_container_log_names_the_host_key(tmp_path: Path) -> None:
    """The pod's log shows the fingerprint that its SSH server then presents."""

    async def scenario() -> None:
        async with running_pod(tmp_path, args="/start.sh") as rig:
            async with rig.connect() as connection:
                presented = connection.get_server_host_key().get_fingerprint()
            assert presented == rig.process.host_key_fingerprint
            line = f"256 {presented} root@{rig.spec.pod_id} (ED25519)"
            assert ("container", line) in rig.logs
            assert await until(lambda: ("container", "Pod Started") in rig.logs)

    asyncio.run(scenario())


def test_image_without_sshd_listens_nowhere(tmp_path: Path) -> None:
    """A pod that accepts no SSH runs its command and has no port."""

    async def scenario() -> None:
        async with running_pod(tmp_path, accept_ssh=False, args="echo alive") as rig:
            assert (0, "") == (rig.process.ssh_port, rig.process.host_key_fingerprint)
            assert await until(lambda: ("container", "alive") in rig.logs)

    asyncio.run(scenario())


def test_a_pod_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    """A missing workspace is reported with its path, and nothing is left running."""

    async def scenario() -> None:
        builder = await open_pod_host(tmp_path / "state")
        spec = make_spec(tmp_path, "broken", {}, workspace=tmp_path / "missing")
        with pytest.raises(PodStartError, match=r"missing: No such file or directory"):
            await builder.start(spec, lambda _source, _line: None)
        await builder.close()

    asyncio.run(scenario())


def test_a_machine_without_namespaces_is_told_what_to_enable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal names each way that was tried and the three things that would help."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise PodStartError("pod trial cannot be built: unshare: Operation not permitted")

    monkeypatch.setattr(availability, "_found", None)
    monkeypatch.setattr(LocalPodHost, "start", refuse)
    with pytest.raises(PodHostUnavailable) as refusal:
        asyncio.run(open_pod_host(tmp_path / "state"))
    for part in (
        "unshare: Operation not permitted",
        "kernel.unprivileged_userns_clone",
        "kernel.apparmor_restrict_unprivileged_userns",
        "passwordless sudo",
        "as root",
    ):
        assert part in str(refusal.value)


def test_other_systems_are_sent_to_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS the refusal says what to use instead."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(PodHostUnavailable, match="WSL 2"):
        asyncio.run(open_pod_host(tmp_path / "state"))
