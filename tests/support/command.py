"""Runs the command line as a user would: a process of its own, against an emulator of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.emulator import client
from runpod_deploy.emulator.place import anchored, place_from
from support import warm

Process = subprocess.Popen[str] | warm.Process
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@dataclass
class Bench:
    """A user's machine in a folder: home, project and emulator, nothing shared with another test.

    Attributes:
        extra: Added to the environment of every command.
        cold: Whether every command has to be started as a shell does it, slowly.
    """

    root: Path
    extra: dict[str, str] = field(default_factory=dict)
    cold: bool = False

    def __post_init__(self) -> None:
        self.project.mkdir(parents=True, exist_ok=True)
        (self.root / "home").mkdir(exist_ok=True)

    @property
    def project(self) -> Path:
        """The folder of the job file."""
        return self.root / "project"

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command."""
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {
            **kept,
            "HOME": str(self.root / "home"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "RUNPOD_DEPLOY_EMULATOR_DIR": str(self.root / "emu"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.extra,
        }

    def start(self, *args: str, cwd: Path | None = None) -> Process:
        """Begin a command in a session of its own, without a terminal."""
        return self.start_program("runpod_deploy", *args, cwd=cwd)

    def start_program(self, program: str, *args: str, cwd: Path | None = None) -> Process:
        """Begin a module, or a file (there is a slash in it), as `start` begins a command."""
        env = self.env
        if self.cold or not warm.can_start(env):
            how = [program] if "/" in program else ["-m", program]
            return subprocess.Popen(
                [sys.executable, *how, *args],
                cwd=cwd or self.project,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        if "emulator" in (*args[1:], env.get("RUNPOD_DEPLOY_CLOUD")) and args[0] != "emulator":
            self.emulator()
        return warm.start(program, *args, env=env, cwd=cwd or self.project)

    def run(self, *args: str, cwd: Path | None = None, timeout: float = 300) -> tuple[int, str]:
        """Run a command to its end; returns exit status and everything it printed."""
        process = self.start(*args, cwd=cwd)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{args} did not end in {timeout} s:\n{output}") from None
        return process.returncode, output

    def emulator(self, *faults: str, **options: Any) -> None:
        """Start this bench's emulator with faults, before the first command needs it."""
        env = self.env
        if client.find(env):
            return
        wanted = client.EmulatorOptions(faults=faults, idle_seconds=120, **options)
        if self.cold or not warm.can_start(env):
            client.ensure_running(env, options=wanted)
            return
        place = place_from(env)
        place.make()
        args = ("--daemon", *wanted.to_argv())
        with place.log.open("ab") as log:
            daemon = warm.start(
                "runpod_deploy.emulator",
                *args,
                env=anchored(env),
                cwd=self.project,
                stderr=log.fileno(),
            )
        said, _ = daemon.communicate(timeout=60)
        assert "ready" in said, f"the emulator did not start: {said}{place.log.read_text('utf-8')}"

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods that exist in the emulator, [] when none runs."""
        return client.list_pods(self.env) if client.find(self.env) else []

    def history(self) -> dict[str, Any]:
        """Return every pod the emulator ever had."""
        info = client.find(self.env)
        assert info is not None, "no emulator runs"
        history: dict[str, Any] = client.admin(info, "GET", "history")
        return history

    def close(self) -> None:
        """End the emulator."""
        client.stop(self.env)

    def runs(self) -> list[Path]:
        """Return the run folders, oldest first."""
        runs = self.project / "artifacts" / "runpod"
        if not runs.exists():
            return []
        return sorted(path for path in runs.iterdir() if path.is_dir() and path.name[0] != ".")

    def last_run(self) -> Path:
        """Return the newest run folder."""
        return self.runs()[-1]

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the newest run."""
        path = self.last_run() / "runpod_deploy_pull_manifest.json"
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return manifest

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the newest run."""
        text = (self.last_run() / "events.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def write(self, name: str, text: str | bytes, *, executable: bool = False) -> Path:
        """Put a file into the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if executable:
            path.chmod(0o755)
        return path

    def job(self, **sections: Any) -> Path:
        """Write `job.yaml`: a small valid job with these sections laid over it."""
        return self.write("job.yaml", json.dumps(small_job(**sections), indent=1))


def small_job(**sections: Any) -> dict[str, Any]:
    """Return a job that runs `true`; JSON is YAML, so it is written as such."""
    job: dict[str, Any] = {
        "schema_version": 3,
        "name": "small",
        "pod": {
            "image": "runpod/base:0.7.0-ubuntu2204",
            "gpu_order": ["NVIDIA L4"],
            "datacenters": ["EU-RO-1"],
        },
        "run": {"body": "true\n"},
        "lifecycle": {"on_failure": "delete"},
    }
    for key, value in sections.items():
        merge = isinstance(value, Mapping) and isinstance(job.get(key), dict)
        job[key] = {**job[key], **value} if merge else value
    return job


def wait_until(condition: Any, timeout: float = 120) -> None:
    """Wait for something that another process brings about."""
    limit = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)
