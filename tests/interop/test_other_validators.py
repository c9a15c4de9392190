"""Validators of others: `check-jsonschema` on our documents, and pre-commit with our hook."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runpod_deploy.schema.documents import SCHEMA_NAMES

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / ".pre-commit-hooks.yaml"
STARTERS = sorted((ROOT / "src/runpod_deploy/templates/starter").glob("*/job.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*/job.yaml"))
MIGRATED = sorted((ROOT / "tests/golden").glob("v2-*/migrated.yaml"))
# The others spell a boolean as YAML 1.1 did, `yes`: taken by us, and no boolean for anybody today.
OLD = [
    ROOT / "tests/golden" / f"v2-{name}/job.yaml" for name in ("hello", "network-volume", "secrets")
]
GOOD = """\
schema_version: 3
name: hello
pod: {image: runpod/base:1.0.2, gpu_order: [NVIDIA L4], min_cuda: "12.8"}
run: {body: nvidia-smi}
"""


def run(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment to its end; nothing of the user's own settings counts."""
    programs = Path(sys.executable).parent
    kept = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(cwd / "home"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "NO_COLOR": "1",
    }
    return subprocess.run(
        command, cwd=cwd, env=kept | env, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A folder with every schema, as the command writes it."""
    for name in SCHEMA_NAMES:
        done = run("runpod-deploy", "schema", name, "-o", f"{name}.schema.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_every_document_that_is_written_out_is_a_sound_schema(schemas: Path) -> None:
    """`schema NAME -o FILE` gives each document, and another program finds it sound."""
    files = [f"{name}.schema.json" for name in SCHEMA_NAMES]
    assert len(files) >= 5

    done = run("check-jsonschema", "--check-metaschema", *files, cwd=schemas)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("job", [*EXAMPLES, *STARTERS, *MIGRATED]),
        ("job.v2", OLD),
    ],
)
def test_our_job_files_are_right_by_another_validator(
    name: str, files: list[Path], schemas: Path
) -> None:
    """Examples, starter files and those of version 2 satisfy the schema that editors get."""
    assert len(files) > 2

    done = run(
        "check-jsonschema", "--schemafile", f"{name}.schema.json", *map(str, files), cwd=schemas
    )

    assert done.returncode == 0, done.stdout


def test_another_validator_refuses_what_we_refuse(schemas: Path) -> None:
    """A key of no meaning and a value out of range are found with the schema alone."""
    (schemas / "job.yaml").write_text(GOOD + "budget: {cost_cap_usd: -1}\nbugdet: {}\n")

    done = run("check-jsonschema", "--schemafile", "job.schema.json", "job.yaml", cwd=schemas)

    assert done.returncode == 1
    assert "bugdet" in done.stdout
    assert "cost_cap_usd" in done.stdout


def hook() -> dict[str, Any]:
    """Return our only hook."""
    (only,) = yaml.safe_load(HOOKS.read_text("utf-8"))
    return dict(only)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that uses the hook, installed already: a package index is not there to ask."""
    local = {**hook(), "language": "system"}
    config = {"repos": [{"repo": "local", "hooks": [local]}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(json.dumps(config))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "hello.yaml").write_text(GOOD)
    (tmp_path / "workflow.yaml").write_text("on: push\n")
    assert run("git", "init", "-q", "-b", "main", cwd=tmp_path).returncode == 0
    return tmp_path


def pre_commit(repository: Path) -> subprocess.CompletedProcess[str]:
    """Put all files into the index and run the hooks on them."""
    assert run("git", "add", ".", cwd=repository).returncode == 0
    return run("pre-commit", "run", "--all-files", "--verbose", cwd=repository)


def test_the_hook_is_described_as_pre_commit_wants_it(tmp_path: Path) -> None:
    """The file that pre-commit reads in this repository is valid."""
    done = run("pre-commit", "validate-manifest", str(HOOKS), cwd=tmp_path)

    assert done.returncode == 0, done.stdout


def test_the_hook_lets_good_job_files_pass(repository: Path) -> None:
    """Job files are looked at, other YAML is not."""
    done = pre_commit(repository)

    assert done.returncode == 0, done.stdout
    assert "jobs/hello.yaml: ok" in done.stdout
    assert "workflow.yaml" not in done.stdout


@pytest.mark.parametrize(
    "name", ["job.yaml", "deep/er/job.yml", "configs/runpod/a.yaml", "a.job.yaml"]
)
def test_the_hook_stops_a_commit_with_a_bad_job_file(name: str, repository: Path) -> None:
    """A slip in any of the places where job files lie fails the hook, with its line."""
    file = repository / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(GOOD.replace("gpu_order", "gpu_ordre"))

    done = pre_commit(repository)

    assert done.returncode == 1, done.stdout
    assert f"{name}:3:33" in done.stdout
    assert "Did you mean `gpu_order`?" in done.stdout
