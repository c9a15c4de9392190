"""The plan of one project on two machines: the same bytes, and nothing of machine, user or secret."""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]
JOB = """\
schema_version: 3
name: small
variables: {seed: "7"}
local: {project_root: ..}
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
  min_cuda: "12.8"
ssh: {key_path: ~/.ssh/planted_key}
staging:
  - {label: code, source: src, destination: /root/src}
secrets:
  - {name: hub, destination: /root/hub.env, env: [PLANTED_TOKEN]}
  - {name: file, destination: /root/token, file: ~/.config/planted/token}
run:
  script: bin/run.sh
artifacts:
  - {label: out, remote_path: /root/out}
"""
SECRETS = {
    "PLANTED_TOKEN": "planted-value-of-a-token",
    "RUNPOD_API_KEY": "planted-rpa-key",
    "PLANTED_UNUSED": "planted-value-of-the-environment",
}
IN_FILES = ("planted-text-of-a-file", "planted-text-of-a-key")
REMOTE = "https://planted-login:planted-password@git.example.org/planted.git"
VIEWS = (
    ("plan", "job.yaml", "--format", "json"),
    ("plan", "job.yaml", "--scripts"),
    ("plan", "job.yaml", "--format", "markdown"),
    ("plan", "job.yaml", "--against", "HEAD~1"),
    ("plan", "job.yaml", "--against", "HEAD~1", "--format", "markdown"),
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A user with a home and a copy of the project somewhere in it.

    Attributes:
        umask: What new files are denied.
        account: Of the one who plans; the environment says so, and git's settings.
    """

    home: Path
    account: str
    zone: str
    locale: str
    umask: int

    @property
    def jobs(self) -> Path:
        """The folder of the job file."""
        return self.home / "work" / "jobs"

    def settle(self) -> None:
        """Lay down what must not be seen: a key, a token, a name."""
        for name, text in zip((".config/planted/token", ".ssh/planted_key"), IN_FILES, strict=True):
            file = self.home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o600)
        (self.home / ".gitconfig").write_text(
            f"[user]\nname = {self.account}\nemail = {self.account}@{self.account}.example\n"
            "[safe]\ndirectory = *\n"
        )

    def call(self, *command: str, cwd: Path) -> str:
        """Run a command as this user, and return what it prints on stdout and stderr."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "USER": self.account,
                "LOGNAME": self.account,
                "HOSTNAME": f"{self.account}-host",
                "TZ": self.zone,
                "LC_ALL": self.locale,
                **SECRETS,
            },
            umask=self.umask,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert 0 == done.returncode, done.stderr.decode()
        return (done.stdout + done.stderr).decode("utf-8")

    def plan(self, *words: str, cwd: Path | None = None) -> str:
        """Run the command line in the folder of the job file, or elsewhere."""
        allowed = ("--allow-path", str(self.home / ".config"))
        command = (sys.executable, "-m", "runpod_deploy", *words, *allowed)
        return self.call(*command, cwd=cwd or self.jobs)


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    """Return the machine where the project was written, with two commits and a change."""
    machine = Machine(
        home=tmp_path / "planted-home-one",
        account="planted-ann",
        zone="UTC",
        locale="C.UTF-8",
        umask=0o022,
    )
    machine.settle()
    work = machine.jobs.parent
    for name, text in {
        "jobs/job.yaml": JOB,
        "src/b.py": "b\n",
        "src/a/ä.py": "a\n",
        "src/Z.sh": "true\n",
        "bin/run.sh": "#!/bin/sh\ntrue\n",
    }.items():
        file = work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (work / "bin" / "run.sh").chmod(0o755)
    machine.call("git", "init", "-q", cwd=work)
    for message in ("one", "two"):
        (work / "src" / "b.py").write_text(message)
        machine.call("git", "add", ".", cwd=work)
        machine.call("git", "commit", "-qm", message, cwd=work)
    machine.call("git", "remote", "add", "origin", REMOTE, cwd=work)
    (work / "src" / "b.py").write_text("changed since")
    return machine


@pytest.fixture
def there(tmp_path: Path, here: Machine) -> Machine:
    """Return another machine with the same files, written in another order at another time."""
    machine = Machine(
        home=tmp_path / "planted-home-two",
        account="planted-bob",
        zone="Pacific/Chatham",
        locale="POSIX",
        umask=0o077,
    )
    machine.settle()
    for source in sorted(here.jobs.parent.rglob("*"), reverse=True):
        if source.is_file():
            target = machine.jobs.parent / source.relative_to(here.jobs.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o700 if source.stat().st_mode & 0o100 else 0o600)
    return machine


def test_a_plan_is_the_same_anywhere(here: Machine, there: Machine) -> None:
    """Another home, account, zone, locale, umask, folder and order of files: the same plan to the byte."""
    one = json.loads(here.plan("plan", "job.yaml", "--format", "json"))
    two = json.loads(there.plan("plan", "work/jobs/job.yaml", "--format", "json", cwd=there.home))
    assert one["plan_hash"] == two["plan_hash"]
    for made in (one, two):
        del made["plan_id"], made["observed"]
    assert one == two


def test_a_plan_holds_nothing_of_the_machine(here: Machine) -> None:
    """No view of a plan and no difference holds a value, a login, an account, a home or a host's name."""
    planted = (
        *SECRETS.values(),
        *IN_FILES,
        *("planted-login", "planted-password"),
        *(here.account, str(here.home), here.home.name, f"{here.account}-host"),
    )
    host = platform.node()
    for words in VIEWS:
        text = here.plan(*words)
        assert "small" in text or "b.py" in text, words
        assert [] == [value for value in planted if value in text], words
        assert len(host) < 6 or host not in text, words
    assert "planted" in here.plan(*VIEWS[0]), "the names of what is planted are part of the plan"
