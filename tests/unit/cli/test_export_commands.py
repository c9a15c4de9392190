"""`export pulumi`: the files of a project, quoted whatever the job is called."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from runpod_deploy.cli.export_commands import pulumi_command
from runpod_deploy.compiler.plan import PlanStorage
from runpod_deploy.errors import InvalidInput
from runpod_deploy.templates.pulumi import project_files
from support.plans import plan_file, small_plan

NAMES = ("Pulumi.yaml", "__main__.py", "requirements.txt", "plan.json", ".runpodignore")
HOSTILE = 'x"); import os; os.system("true") #\n{{ 7 * 7 }} \\ ü \x07'


def test_a_project_is_written_beside_the_job(tmp_path: Path) -> None:
    """Once: what is there already is not replaced unless that is asked for."""
    job = tmp_path / "job.yaml"
    job.write_text(
        "schema_version: 3\nname: Small Job\npod:\n  image: a/b:1\n  gpu_order: [NVIDIA L4]\n"
        'run:\n  body: "true"\n'
    )
    folder = tmp_path / "infra"
    pulumi_command(folder, job)
    assert sorted(NAMES) == sorted(path.name for path in folder.iterdir())
    assert "small-job" == yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"]
    assert 'HERE / ".."' in (folder / "__main__.py").read_text()
    saved = json.loads((folder / "plan.json").read_text())
    with pytest.raises(InvalidInput, match="nothing was written"):
        pulumi_command(folder, job)
    pulumi_command(folder, folder / "plan.json", project=tmp_path, force=True)
    assert saved == json.loads((folder / "plan.json").read_text())


def test_no_name_gets_out_of_its_quotes() -> None:
    """Job, volume and folder may be called anything; the program is still the same program."""
    plan = small_plan()
    storage = PlanStorage(
        mode="network_volume", mount="/workspace", volume_name=HOSTILE, volume_gb=None
    )
    hostile = replace(plan, job=replace(plan.job, name=HOSTILE), storage=storage)
    files = project_files(plan_file(hostile), f"../{HOSTILE}")
    program = ast.parse(files["__main__.py"])
    texts = {node.value for node in ast.walk(program) if isinstance(node, ast.Constant)}
    assert {HOSTILE, f"../{HOSTILE}"} <= texts
    imported = [node.names[0].name for node in program.body if isinstance(node, ast.Import)]
    assert ["pulumi"] == imported
    described = yaml.safe_load(files["Pulumi.yaml"])
    assert f"The job {HOSTILE} of runpod-deploy" == described["description"]
    assert "depends_on=[volume]" in files["__main__.py"].decode()
    assert "NetworkVolume" not in project_files(plan_file(plan), "..")["__main__.py"].decode()
