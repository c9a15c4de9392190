"""Every golden case and every hostile file by the command itself: its exit status, its words, its limits.

The golden tests call functions; here a process is started as a user would. It must end by
itself, with the exit status of its case, within 200 MB of its own and 2 seconds of one core. The limits are
the kernel's: a machine with much to do changes nothing, nor does what the test's own process holds, which
`getrusage` would count.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostile_files import HOSTILE

pytestmark = pytest.mark.interop

GOLDEN = Path(__file__).parents[1] / "golden"
MEMORY = 200_000_000
SECONDS = 2
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir() and path.name[0] not in "._")
REFUSED = ("diagnostics.txt", "expected-refusal.txt")
BAD = [name for name in CASES if any((GOLDEN / name / said).exists() for said in REFUSED)]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def call(folder: Path, *arguments: str) -> tuple[int, str]:
    """Return how `runpod-deploy` ended in `folder`, and all that it printed."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    with (folder / "said").open("w+b") as said:
        done = subprocess.run(
            [sys.executable, "-m", "runpod_deploy", *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "COLUMNS": "80",
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
            preexec_fn=_limit,
        )
        said.seek(0)
        return done.returncode, said.read().decode()


def held(folder: Path, expected: int, *arguments: str) -> str:
    """Return what the command printed; it ended as expected, within its limits, without a traceback."""
    status, said = call(folder, *arguments)

    assert expected == status, said
    assert "Traceback (most recent call last)" not in said
    return said


def project_of(case: str, tmp_path: Path) -> Path:
    """Return a copy of a case's project with its job file in it, or with none when it has none."""
    project = tmp_path / "project"
    if (GOLDEN / case / "project").is_dir():
        shutil.copytree(GOLDEN / case / "project", project, symlinks=True)
    project.mkdir(exist_ok=True)
    for entry in (GOLDEN / case).iterdir():
        if entry.name == "project":
            continue
        copy = shutil.copytree if entry.is_dir() else shutil.copy
        copy(entry, project / entry.name)
    return project


# Each process costs half a second: bad input meets the command that people give it to first, good input
# the one that goes further. In the golden tests, every case meets the functions of both.
WORDS = [("validate" if name in BAD else "plan", name) for name in CASES]
WORDS += [("plan", name) for name in BAD[::6]] + [
    ("validate", name) for name in CASES[::12] if name not in BAD
]


@pytest.mark.parametrize(("command", "case"), WORDS)
def test_a_case_ends_as_it_must(case: str, command: str, tmp_path: Path) -> None:
    """Bad input ends with exit status 4 and the words of its case, good input with 0."""
    project = project_of(case, tmp_path)
    given = project / "variables.json"
    variables = ["--vars-file", given.name] if given.exists() else []

    # A folder is nothing to plan, and `validate` looks for the job files in it.
    bad = case in BAD and not (command == "validate" and (project / "job.yaml").is_dir())

    said = held(project, 4 if bad else 0, command, "job.yaml", *variables)

    if bad and (GOLDEN / case / "diagnostics.txt").exists():
        text = (GOLDEN / case / "diagnostics.txt").read_text("utf-8")
        summaries = re.findall(r"^error: .*$", text, re.MULTILINE)
        assert summaries
        assert summaries == re.findall(r"^error: .*$", said, re.MULTILINE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_as_it_must(name: str, tmp_path: Path) -> None:
    """A file made to crash or exhaust its reader ends with exit status 4, and a place in the file."""
    raw, _ = HOSTILE[name]
    (tmp_path / "job.yaml").write_bytes(raw)

    said = held(tmp_path, 4, "validate", "job.yaml")

    assert re.search(r"^ *--> job\.yaml:\d+:\d+$|`job\.yaml` is larger", said, re.MULTILINE)


def test_there_are_enough_cases() -> None:
    """At least sixty, and half of them bad input."""
    assert len(CASES) >= 60
    assert len(BAD) >= 30
