"""Emulated pods: their SSH server behaves as sshd does."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from pathlib import Path

import asyncssh
import pytest

from emulated.pod_support import running_pod, until

pytestmark = pytest.mark.emulated


def test_only_the_keys_of_the_pod_open_it(tmp_path: Path) -> None:
    """Another key, another user and no key at all are refused; each listed key is let in."""
    mine, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    keys = f"# a comment\n\n{mine.export_public_key().decode()}\nnot a key\n"

    async def scenario() -> None:
        async with running_pod(tmp_path, env={"PUBLIC_KEY": keys}) as rig:
            async with rig.connect(client_keys=[mine]) as connection:
                assert "root\n" == (await connection.run("whoami")).stdout
            for options in (
                {"client_keys": [other]},
                {"client_keys": None, "password": "root"},
                {"client_keys": [mine], "username": "ubuntu"},
            ):
                with pytest.raises(asyncssh.PermissionDenied):
                    await rig.connect(**options)

    asyncio.run(scenario())


def test_without_a_public_key_nobody_gets_in(tmp_path: Path) -> None:
    """An empty `PUBLIC_KEY` is a locked door, not an open one."""

    async def scenario() -> None:
        async with running_pod(tmp_path, env={"PUBLIC_KEY": ""}) as rig:
            with pytest.raises(asyncssh.PermissionDenied):
                await rig.connect()

    asyncio.run(scenario())


def test_exit_codes_and_signals_come_back(tmp_path: Path) -> None:
    """A status is passed on as it is, a death by signal by the signal's name."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            for status in (0, 1, 7, 255):
                assert status == (await connection.run(f"exit {status}")).exit_status
            killed = await connection.run("kill -TERM $$")
            assert "TERM" == killed.exit_signal[0]
            missing = await connection.run("no-such-program-here")
            assert 127 == missing.exit_status

    asyncio.run(scenario())


def test_a_signal_from_the_client_reaches_the_command(tmp_path: Path) -> None:
    """SSH's signal request goes to the whole process group of the session."""

    async def scenario() -> None:
        command = "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process(command)
            assert "up\n" == await process.stdout.readline()
            process.send_signal("USR1")
            assert 9 == (await process.wait()).exit_status

    asyncio.run(scenario())


def test_bytes_pass_both_ways_unchanged(tmp_path: Path) -> None:
    """Standard input and output are binary, and the end of input is the end of file."""
    data = os.urandom(5_000_000)

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            echoed = await rig.run("cat", input=data, encoding=None)
            assert data == echoed.stdout

    asyncio.run(scenario())


def test_stderr_is_apart(tmp_path: Path) -> None:
    """Output and errors arrive on streams of their own."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            both = await rig.run("echo out; echo err >&2")
            assert ("out\n", "err\n") == (both.stdout, both.stderr)

    asyncio.run(scenario())


def test_terminal_has_a_size_and_control_c(tmp_path: Path) -> None:
    """A command on a terminal knows its size and type, and Ctrl-C interrupts it."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process(
                "tty; stty size; echo $TERM; exec sleep 60",
                term_type="xterm-256color",
                term_size=(100, 30),
            )
            lines = [(await process.stdout.readline()).strip() for _ in range(3)]
            assert ["/dev/pts/0", "30 100", "xterm-256color"] == lines
            process.stdin.write("\x03")
            assert "INT" == (await process.wait()).exit_signal[0]

    asyncio.run(scenario())


def test_a_terminal_is_resized_by_the_client(tmp_path: Path) -> None:
    """A new window size reaches the terminal, and what runs on it is told."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process(
                "trap 'stty size; exit 3' WINCH; echo up; while :; do sleep 0.05; done",
                term_type="xterm",
            )
            assert "up" == (await process.stdout.readline()).strip()
            process.change_terminal_size(120, 40)
            assert "40 120" == (await process.stdout.readline()).strip()
            assert 3 == (await process.wait()).exit_status

    asyncio.run(scenario())


def test_control_c_works_when_the_emulator_ignores_it(tmp_path: Path) -> None:
    """An emulator put into the background by a shell still has pods with default signals."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process("echo up; sleep 60", term_type="dumb")
            assert "up" == (await process.stdout.readline()).strip()
            process.stdin.write("\x03")
            assert "INT" == (await process.wait()).exit_signal[0]

    try:
        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGINT, before)


def test_login_shell_finds_the_stub_first(tmp_path: Path) -> None:
    """A shell without a command is a login shell, with the pod's programs first on PATH."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            answer = await rig.run(None, input="command -v nvidia-smi; echo $0; pwd; exit 4\n")
            shell = f"-{(await rig.run('basename $SHELL')).stdout}"
            assert f"/.pod/bin/nvidia-smi\n{shell}/root\n" == answer.stdout
            assert 4 == answer.exit_status

    asyncio.run(scenario())


def test_ten_channels_at_once(tmp_path: Path) -> None:
    """One connection carries many sessions without mixing them."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            answers = await asyncio.gather(
                *(
                    connection.run(
                        f"cat; echo {number} >&2; exit {number}", input=f"{number}" * 9999
                    )
                    for number in range(10)
                )
            )
            for number, answer in enumerate(answers):
                assert f"{number}" * 9999 == answer.stdout
                assert (f"{number}\n", number) == (answer.stderr, answer.exit_status)

    asyncio.run(scenario())


def test_a_detached_process_outlives_its_connection(tmp_path: Path) -> None:
    """What was started with `setsid` and redirected goes on after the connection is cut."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            async with rig.connect() as connection:
                await connection.run(
                    "setsid sh -c 'sleep 0.3; echo done > /workspace/result' </dev/null >/dev/null 2>&1 &"
                )
                assert 1 == rig.process.open_connections()
                await rig.process.drop_connections()
                await connection.wait_closed()
            assert 0 == rig.process.open_connections()
            result = rig.spec.workspace / "result"
            assert await until(result.exists)

    asyncio.run(scenario())


def test_a_cut_connection_hangs_up_the_terminal_only(tmp_path: Path) -> None:
    """Losing the client ends what runs on a terminal, and leaves what runs on pipes."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            connection = await rig.connect()
            on_terminal = await connection.create_process("echo up; sleep 1001", term_type="dumb")
            on_pipes = await connection.create_process("echo up; sleep 1002")
            for process in (on_terminal, on_pipes):
                assert "up" == (await process.stdout.readline()).strip()
            connection.abort()

            async def running() -> list[str]:
                listed = await rig.run("pgrep -a -x sleep | cut -d' ' -f3 | sort")
                return listed.stdout.split()

            for _ in range(50):
                if ["1002"] == await running():
                    break
                await asyncio.sleep(0.02)
            assert ["1002"] == await running()

    asyncio.run(scenario())


def test_a_dead_pod_answers_nothing(tmp_path: Path) -> None:
    """A command that is asked for in the moment of a pod's death gets a broken connection, as at RunPod."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            rig.process._control.close()  # the first thing that a stop does
            # The connection may break before the command is taken, too.
            with contextlib.suppress(asyncssh.Error, OSError):
                answer = await connection.run("true")
                assert (None, "") == (answer.returncode, answer.stderr)
            await connection.wait_closed()

    asyncio.run(scenario())


def test_a_held_output_keeps_the_channel_open(tmp_path: Path) -> None:
    """A background process that keeps stdout keeps the session, as with OpenSSH."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            answer = await asyncio.wait_for(rig.run("(sleep 0.4; echo late) & echo soon"), 5)
            assert "soon\nlate\n" == answer.stdout

    asyncio.run(scenario())


def test_an_unread_stream_does_not_pile_up(tmp_path: Path) -> None:
    """While the client does not read, the pod's command waits and the emulator stays small."""
    size = 150_000_000

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            await connection.run("true")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            process = await connection.create_process(f"head -c {size} /dev/zero", encoding=None)
            await asyncio.sleep(0.5)
            total = 0
            while data := await process.stdout.read(1 << 20):
                total += len(data)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert size == total
            assert grown < 100_000, f"{grown} KiB"

    asyncio.run(scenario())


def test_an_unread_input_makes_the_client_wait(tmp_path: Path) -> None:
    """While the command does not read, the client is held back, and nothing is lost."""
    block, blocks = bytes(1 << 20), 64

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process("sleep 0.5; wc -c", encoding=None)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(blocks):
                process.stdin.write(block)
                await process.stdin.drain()
            process.stdin.write_eof()
            assert blocks << 20 == int((await process.wait()).stdout)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 60_000, f"{grown} KiB"

    asyncio.run(scenario())


def test_a_command_that_reads_nothing_ends_well(tmp_path: Path) -> None:
    """Input that nobody reads is dropped when the command has gone."""

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            answer = await rig.run("exit 5", input="x" * 3_000_000)
            assert 5 == answer.exit_status

    asyncio.run(scenario())


def test_sftp_is_served_inside_the_pod(tmp_path: Path) -> None:
    """Files put by SFTP land in the pod; a host without an SFTP server refuses the subsystem."""
    outside = Path(f"/tmp/{tmp_path.name}-sftp")

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            if not any(map(os.path.exists, _sftp_servers())):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await connection.start_sftp_client()
                return
            async with connection.start_sftp_client() as sftp:
                await sftp.put(__file__, outside.as_posix())
                assert not outside.exists()
            copied = await connection.run(f"cat {outside}")
            assert Path(__file__).read_text("utf-8") == copied.stdout

    asyncio.run(scenario())


def _sftp_servers() -> tuple[str, ...]:
    return ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


def test_a_port_inside_can_be_forwarded(tmp_path: Path) -> None:
    """`ssh -L` reaches what listens in the pod."""
    server = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); c, _ = s.accept(); c.sendall(b'hello'); c.close()"
    )

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig, rig.connect() as connection:
            process = await connection.create_process(f'python3 -c "{server}"')
            port = int(await process.stdout.readline())
            reader, writer = await connection.open_connection("127.0.0.1", port)
            assert b"hello" == await reader.read()
            writer.close()

    asyncio.run(scenario())


@pytest.mark.interop
@pytest.mark.parametrize("program", ["ssh", "scp", "sftp", "rsync"])
def test_programs_of_openssh_work(tmp_path: Path, program: str) -> None:
    """The usual clients find a server they know; the last three bring a file there and back."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    common = (
        "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
        f"-o BatchMode=yes -i {tmp_path}/key"
    )
    sent, back, there = tmp_path / "sent", tmp_path / "back", "root@127.0.0.1"
    sent.write_bytes(os.urandom(300_000))

    async def scenario() -> None:
        async with running_pod(tmp_path) as rig:
            rig.key.write_private_key(str(tmp_path / "key"))
            (tmp_path / "key").chmod(0o600)
            port = rig.process.ssh_port
            shell = f"ssh {common} -p {port}"
            line = {
                "ssh": f"{shell} {there} 'cat > /tmp/x; cat /tmp/x' < {sent} > {back}",
                "scp": f"scp {common} -P {port} {sent} {there}:x && "
                f"scp {common} -P {port} {there}:x {back}",
                "sftp": f"printf 'put {sent} x\\nget x {back}\\n' | "
                f"sftp {common} -P {port} -b - {there}",
                "rsync": f"rsync -e '{shell}' {sent} {there}:x && "
                f"rsync -e '{shell}' {there}:x {back}",
            }[program]
            process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.DEVNULL)
            assert 0 == await process.wait()
            assert sent.read_bytes() == back.read_bytes()

    asyncio.run(scenario())
