"""Commands that print secrets, run by this machine's `sh`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runpod_deploy.executor.local_commands import LocalCommandFailed, LocalCommands
from support.command import wait_until

ENVIRON = {"PATH": os.environ["PATH"], "STORE": "from-the-caller"}


def printed(command: str, folder: Path, within_sec: float = 20.0) -> bytes:
    """Run a command as the check of a run does."""
    commands = LocalCommands(within_sec=within_sec)
    return asyncio.run(commands.printed(command, folder, ENVIRON))


def test_a_command_prints_bytes_from_the_projects_folder(tmp_path: Path) -> None:
    """It has the caller's environment, the project's folder, and a shell; every byte is kept."""
    (tmp_path / "store").write_bytes(b"\xff\x00token\n")
    command = 'cat store | cat && echo "$STORE"'

    assert b"\xff\x00token\nfrom-the-caller\n" == printed(command, tmp_path)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo planted; echo gpg: no key >&2; exit 3", "it ended with status 3: gpg: no key"),
        ("no-such-program-here", "it ended with status 127"),
        ("kill -9 $$", "it ended with status -9"),
        ("printf ' \\n'", "printed nothing"),
        ("cat", "printed nothing"),
        ("head -c 2000000 /dev/zero", "it printed more than 1 MiB"),
    ],
)
def test_a_command_that_gives_no_secret_says_why(tmp_path: Path, command: str, told: str) -> None:
    """Its status and its complaint are told, what it printed is not; it has no input to wait for."""
    with pytest.raises(LocalCommandFailed) as raised:
        printed(command, tmp_path)
    assert told in str(raised.value)
    assert "planted" not in str(raised.value)


def test_a_command_that_hangs_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    """After its time its whole process group is gone, and the message says how long it had."""
    command = "sleep 300 & echo $! >child; sleep 300"
    with pytest.raises(LocalCommandFailed, match=r"did not end within 0\.3 s"):
        printed(command, tmp_path, within_sec=0.3)
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not runs(child))


def test_a_command_that_prints_without_end_is_ended_at_once(tmp_path: Path) -> None:
    """`yes` has filled a mebibyte within its first moments, and not our memory until its time is over."""
    command = "echo $$ >first; yes planted & echo $! >child; wait"
    with pytest.raises(LocalCommandFailed, match="more than 1 MiB"):
        printed(command, tmp_path, within_sec=3600.0)
    for name in ("first", "child"):
        pid = int((tmp_path / name).read_text())
        wait_until(lambda pid=pid: not runs(pid))


def test_a_secret_is_there_when_its_command_ends(tmp_path: Path) -> None:
    """A child that holds the pipe in the background is not waited for, and ends with the command."""
    command = "sleep 3600 & echo $! >child; echo token"

    assert b"token\n" == printed(command, tmp_path, within_sec=3600.0)
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not runs(child))


def test_a_child_of_a_session_of_its_own_does_not_hold_the_command_up(tmp_path: Path) -> None:
    """A daemon of the command's, such as an agent, stays; that it holds the pipe open is no matter."""
    daemon = "setsid sh -c 'echo $$ >child; exec sleep 3600'"
    # What is ended with the command is its group: the child must have left it first.
    command = f"{daemon} & until [ -s child ]; do sleep 0.01; done; echo token"

    assert b"token\n" == printed(command, tmp_path, within_sec=3600.0)
    child = int((tmp_path / "child").read_text())
    assert runs(child)
    os.kill(child, 9)


def runs(pid: int) -> bool:
    """Say whether a process is there and more than a body that nobody has taken away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_runs_of_a_sweep_ask_once(tmp_path: Path) -> None:
    """What was printed is kept for whoever shares the leave; a failure is asked for again."""

    async def several() -> list[bytes]:
        commands = LocalCommands()
        for _ in range(2):
            with pytest.raises(LocalCommandFailed):
                await commands.printed("echo x >>failed; exit 1", tmp_path, ENVIRON)
        ask = [commands.printed("echo x | tee -a asked", tmp_path, ENVIRON) for _ in range(3)]
        return list(await asyncio.gather(*ask))

    assert [b"x\n"] * 3 == asyncio.run(several())
    assert ("x\n", "x\nx\n") == (
        (tmp_path / "asked").read_text(),
        (tmp_path / "failed").read_text(),
    )
