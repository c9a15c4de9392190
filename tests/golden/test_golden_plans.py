"""Each folder beside this file is a case: a project, and the plan or the refusal it gives.

`job.yaml` with `expected-plan.json`: the job compiles to exactly that `plan` object; of the pod's own
scripts only names and places are held, since their text has tests of its own. `job.yaml` with
`expected-refusal.txt`: it does not compile, and that is all that is said. The files of the project
lie in `project/`, where the job file is put as well. Run with UPDATE_GOLDEN=1 to write the expected
files anew, and read the difference before committing it.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.cli.diagnostics import render_text
from runpod_deploy.compiler.compile import compile_job
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.gather import gather
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load
from runpod_deploy.schema.plain import to_plain

HERE = Path(__file__).parent
PLANS = sorted(path.parent.name for path in HERE.glob("*/expected-plan.json"))
REFUSALS = sorted(path.parent.name for path in HERE.glob("*/expected-refusal.txt"))


def unpacked(case: str, tmp_path: Path) -> tuple[JobConfig, Path]:
    """Return the loaded job of a case, its project copied to `tmp_path`."""
    project = tmp_path / "project"
    if (HERE / case / "project").is_dir():
        shutil.copytree(HERE / case / "project", project, symlinks=True)
    project.mkdir(exist_ok=True)
    job_file = project / "job.yaml"
    shutil.copy(HERE / case / "job.yaml", job_file)
    return load(job_file, display="job.yaml"), job_file


def hold_against(expected: Path, text: str) -> None:
    """Compare `text` with a file of the case, or write the file when asked to."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        expected.write_text(text, encoding="utf-8")

    assert expected.read_text(encoding="utf-8") == text


def shown(plan: dict[str, Any]) -> str:
    """Return the plan as text, the pod's own scripts without their content."""
    for script in plan["scripts"]:
        if script["phase"] == "pod":
            del script["text"], script["sha256"]
    return json.dumps(plan, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", PLANS)
def test_compiles_to_this_plan(case: str, tmp_path: Path) -> None:
    """The job of the case compiles to the plan of the case."""
    config, job_file = unpacked(case, tmp_path)

    plan = compile_job(config, gather(config, job_file=job_file))

    hold_against(HERE / case / "expected-plan.json", shown(to_plain(plan)))


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_with_these_words(case: str, tmp_path: Path) -> None:
    """The job of the case is refused with the words of the case, and no others."""
    config, job_file = unpacked(case, tmp_path)

    with pytest.raises(InvalidInput) as refused:
        compile_job(config, gather(config, job_file=job_file))

    text = render_text(refused.value.diagnostics, color=False)
    hold_against(HERE / case / "expected-refusal.txt", text.replace(str(tmp_path), "TMP"))
