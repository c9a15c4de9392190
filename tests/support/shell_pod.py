"""A pod's home with the scripts in it, without a pod: run by one of the shells that pods have."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy.emulator.pods.fast_time import shims
from runpod_deploy.emulator.ports import PodClock
from support.pod_scripts import lease_context, render, run_context

SHELLS = ("dash", "bash", "busybox")
LIMIT = 120.0
SCRIPTS = ("supervisor", "env", "base-env", "step", "lease", "boot")

CONTAINER_ENV = {
    "PATH": "/image/bin",
    "IMAGE_VALUE": 'it\'s a $(touch pwned) `id` "value"',
    "MANY_LINES": "one\nINJECTED=yes\nthree",
    "BYTES": "caf\udce9 latin-1",
    "STARS": " *  [a-z] ? ",
    "café": "no name for a shell",
    "OPTIND": "abc",
    "RANDOM": "x",
    "HISTCMD": "a",
    "EXECIGNORE": "*",
    "UID": "1000",
    "PPID": "1",
    "HOME": "/nowhere",
    "RUNPOD_API_KEY": "secret-of-the-pod",
    "PUBLIC_KEY": "ssh-ed25519 AAAA",
}


def wait_until(true: Callable[[], bool], why: str) -> None:
    """Poll until something is so."""
    give_up = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < give_up, why
        time.sleep(0.02)


def running(pid: int) -> bool:
    """Return whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


# What the scripts need of a pod; what else there is, a test says.
TOOLS = (
    *(
        "cat",
        "chmod",
        "cp",
        "date",
        "dirname",
        "env",
        "false",
        "grep",
        "head",
        "id",
        "ln",
        "ls",
        "mkdir",
    ),
    *(
        "mktemp",
        "mv",
        "printf",
        "rm",
        "rmdir",
        "sed",
        "sleep",
        "sort",
        "tail",
        "test",
        "timeout",
        "touch",
    ),
    *("tr", "true", "uname", "wc"),
)


@dataclass
class Pod:
    """A home with the scripts in it, and the shell that runs them.

    Attributes:
        container_env: Environment of the container's first process.
        tools: The only programs that there are beside `TOOLS`; None for all of this machine.
        ssh: Words that run a command on this machine over SSH; None runs it without.
        speed: How many times as fast time runs for those who ask `$RD_DATE` and `$RD_SLEEP`.
    """

    root: Path
    shell: str
    container_env: dict[str, str] = field(default_factory=lambda: dict(CONTAINER_ENV))
    tools: tuple[str, ...] | None = None
    speed: float = 1.0
    ssh: tuple[str, ...] | None = None

    @property
    def home(self) -> Path:
        """The run's folder."""
        return self.root / "it's home"

    @property
    def job(self) -> Path:
        """What the supervisor writes."""
        return self.home / "job"

    @property
    def log(self) -> Path:
        """The job's log."""
        return self.root / "logs here" / "run.log"

    @property
    def session_env(self) -> dict[str, str]:
        """The environment of an SSH session."""
        rest = ":/usr/bin:/bin" if self.tools is None else ""
        return {"PATH": f"{self.root / 'bin'}{rest}", "LC_ALL": "C.UTF-8"}

    def install(self, body: str, lease: dict[str, object] | None = None, **run: object) -> None:
        """Lay down the scripts of a run with this body, and a lease with these terms."""
        script = self.root / "run me.sh"
        script.write_text(body, encoding="utf-8")
        context = run_context(command=["sh", str(script)], log_path=str(self.log), **run)
        (self.home / "bin").mkdir(parents=True)
        self._programs()
        environ = self.root / "environ"
        raw = b"".join(os.fsencode(f"{key}={value}\0") for key, value in self.container_env.items())
        environ.write_bytes(raw)
        for name in SCRIPTS:
            text = render(
                name,
                home=str(self.home),
                run=context,
                exports={"EXPORTED": "x y"},
                lease=lease_context(**(lease or {})),
            )
            # The tests' own first process is not a container's.
            text = text.replace("/proc/1/environ", f"'{environ}'")
            (self.home / "bin" / f"{name}.sh").write_text(text, encoding="utf-8")

    def _programs(self) -> None:
        programs = self.root / "bin"
        programs.mkdir()
        (programs / "sh").symlink_to(shutil.which(self.shell) or "")
        for name in (*TOOLS, *self.tools) if self.tools is not None else ():
            # What is called python3 here may be a script that looks for one.
            found = sys.executable if name == "python3" else shutil.which(name)
            (programs / name).symlink_to(Path(found or "").resolve())
        for name, text in shims(PodClock(speed=self.speed, now=time.time())).items():
            file = self.root / f"fast-{name}"
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755)
            self.container_env[f"RD_{name.upper()}"] = str(file)

    def start_process(self, *words: str, script: str = "supervisor") -> subprocess.Popen[str]:
        """Call the supervisor, or another script, without waiting."""
        env = {**self.session_env, "HOME": str(self.root)}
        command = [str(self.root / "bin" / "sh"), str(self.home / "bin" / f"{script}.sh"), *words]
        if self.ssh is not None:
            pairs = [f"{name}={value}" for name, value in env.items()]
            inside = shlex.join(["env", "-i", *pairs, *command])
            command = [*self.ssh, f"cd {shlex.quote(str(self.root))} && exec {inside}"]
        return subprocess.Popen(
            command,
            env=env if self.ssh is None else None,
            cwd=self.root,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def call(self, *words: str, script: str = "supervisor") -> str:
        """Call the supervisor, or another script, and return its answer."""
        process = self.start_process(*words, script=script)
        out, err = process.communicate(timeout=LIMIT)
        assert 0 == process.returncode, err
        return out

    def clean(self) -> None:
        """End everything that knows this pod's folder; again, as long as something is begun meanwhile."""
        while sum(_ended(folder, os.fsencode(str(self.root))) for folder in _processes()):
            pass


def _processes() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _ended(folder: Path, mark: bytes) -> bool:
    """Kill a process that has the mark in its words or its environment; False when it has not."""
    try:
        if mark not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes():
            return False
        if int(folder.name) == os.getpid():
            return False
        os.kill(int(folder.name), signal.SIGKILL)
    except OSError:
        return False
    return True
