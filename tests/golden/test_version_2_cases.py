"""Folders with a `migrated.yaml`: a job file of version 2 that runs as it is.

`notes.txt` holds what its author is told, `migrated.yaml` the same job in version 3, which must give the
same plan. The files of the project lie in `project/`. Run with UPDATE_GOLDEN=1 to write the
expected files anew, and read the difference before committing it.
"""

import os
import shutil
from pathlib import Path

import pytest

from runpod_deploy.cli.diagnostics import render_text
from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import Severity
from runpod_deploy.facts.gather import gather
from runpod_deploy.schema.load import load
from runpod_deploy.schema.plain import to_plain
from runpod_deploy.schema.v2.migrate import migrate

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("v2-*/migrated.yaml"))
each_case = pytest.mark.parametrize("case", CASES)


def hold_against(expected: Path, text: str) -> None:
    """Compare `text` with a file of the case, or write the file when asked to."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        expected.write_text(text, encoding="utf-8", newline="")

    assert expected.read_bytes().decode() == text


def planned(case: str, content: bytes, folder: Path) -> tuple[str, str]:
    """Return the hash of the plan of a job file in the project of a case, and what is told."""
    if (HERE / case / "project").is_dir():
        shutil.copytree(HERE / case / "project", folder)
    folder.mkdir(exist_ok=True)
    job_file = folder / "job.yaml"
    job_file.write_bytes(content)
    config = load(job_file, display="job.yaml")
    plan, told = compile_resolution(resolve(config), gather(config, job_file=job_file))
    notes = [one for one in told if one.severity is not Severity.ERROR]
    return sha256(to_plain(plan)), render_text(notes, color=False)


@each_case
def test_planned_as_it_is(case: str, tmp_path: Path) -> None:
    """The file gives a plan, and its author is told these things and no others."""
    _, told = planned(case, (HERE / case / "job.yaml").read_bytes(), tmp_path / "project")

    hold_against(HERE / case / "notes.txt", told)


@each_case
def test_migrated_to_this_file(case: str) -> None:
    """The migrated file is this one, comments and order kept."""
    migration = migrate((HERE / case / "job.yaml").read_bytes(), display="job.yaml")

    hold_against(HERE / case / "migrated.yaml", migration.content.decode())


@each_case
def test_the_migrated_file_gives_the_same_plan(case: str, tmp_path: Path) -> None:
    """Both files compile to plans of one hash, in the same place."""
    old, _ = planned(case, (HERE / case / "job.yaml").read_bytes(), tmp_path / "old")
    new, _ = planned(case, (HERE / case / "migrated.yaml").read_bytes(), tmp_path / "new")

    assert old == new
