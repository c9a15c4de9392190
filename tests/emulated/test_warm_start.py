"""The processes that stand for commands in these tests: forked, and told from started ones by nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import warm

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every command is started"),
]
PROGRAM = """\
import os, sys, time
print(sys.argv[1:], os.environ.get("OWN"), os.getcwd(), os.getsid(0) == os.getpid(), flush=True)
if sys.argv[1] == "raise":
    raise ValueError("said")
if sys.argv[1] == "wait":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("word", ["0", "7", "raise"])
def test_it_ends_as_a_started_one(tmp_path: Path, word: str) -> None:
    """Arguments, environment, folder, session, output and exit status are the same."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    env = {"OWN": "mine", "PATH": os.environ["PATH"]}
    forked = warm.start(str(program), word, env=env, cwd=tmp_path)
    said, _ = forked.communicate(timeout=60)
    started = subprocess.run(
        [sys.executable, str(program), word],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert (started.returncode, started.stdout.splitlines()[0]) == (
        forked.returncode,
        said.splitlines()[0],
    )
    assert started.stdout.splitlines()[-1] == said.splitlines()[-1]


def test_a_signal_ends_it(tmp_path: Path) -> None:
    """Its end is told as that of a child."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = warm.start(str(program), "wait", env={}, cwd=tmp_path)
    process.stdout.readline()
    assert process.poll() is None
    process.kill()
    assert -signal.SIGKILL == process.wait(60)
    process.stdout.close()
