"""What a command loads: nothing heavy before it is needed, seen from a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import Bench

JOB = """\
schema_version: 3
name: small
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
run:
  body: "true"
"""
HEAVY = (
    *("asyncio", "asyncssh", "httpx", "runpod", "pulumi", "rich", "pydantic", "starlette"),
    *("jsonschema", "cryptography", "email", "http.client"),
)
PROBE = """\
import json, sys
from runpod_deploy.cli.app import build
try:
    build()(sys.argv[1:])
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(folder: Path, *args: str, env: dict[str, str] | None = None) -> tuple[int, set[str]]:
    """Run a command in a process of its own; returns its exit status and what it had loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *args],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    return status, set(modules)


@pytest.mark.interop
@pytest.mark.parametrize(
    "args",
    [
        ("plan", "job.yaml"),
        ("plan", "job.yaml", "--format", "json"),
        ("plan", "job.yaml", "-o", "plan.json"),
        ("validate", "job.yaml"),
        ("schema", "job"),
        ("--help",),
        ("plan", "--help"),
        ("--version",),
    ],
)
def test_commands_that_touch_no_cloud_load_nothing_for_one(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Planning, checking and helping load no event loop, no network, no drawing."""
    (tmp_path / "job.yaml").write_text(JOB)
    status, modules = loaded(tmp_path, *args)
    assert 0 == status
    assert [] == [name for name in HEAVY if name in modules]


@pytest.mark.interop
def test_the_package_itself_loads_next_to_nothing(tmp_path: Path) -> None:
    """Importing it loads none of its parts; the six names load theirs."""
    code = (
        "import sys, runpod_deploy; before = set(sys.modules); runpod_deploy.Plan; "
        "print([m for m in before if m.startswith('runpod_deploy.')], "
        "'runpod_deploy.compiler.plan' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert "[] True\n" == done.stdout


EVERYTHING = """\
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(("pulumi", "runpod")))  # as if they were not installed
import runpod_deploy
for found in pkgutil.walk_packages(runpod_deploy.__path__, "runpod_deploy."):
    apart = ("runpod_deploy.pulumi", "runpod_deploy.templates.")
    if not found.name.startswith(apart) and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
try:
    import runpod_deploy.pulumi
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.interop
def test_everything_but_the_pulumi_resources_does_without_the_extras(tmp_path: Path) -> None:
    """Every module can be imported without them; the resources say which extra brings Pulumi."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "" == done.stderr
    assert "runpod-deploy[pulumi]" in done.stdout


@pytest.mark.emulated
def test_a_whole_run_loads_none_of_the_extras(tmp_path: Path) -> None:
    """Neither the emulator's side nor ours needs Pulumi, RunPod's SDK or httpx's command line."""
    bench = Bench(tmp_path)
    try:
        bench.job()
        args = ("apply", "job.yaml", "--cloud", "emulator", "--yes")
        status, modules = loaded(bench.project, *args, env=bench.env)
        assert 0 == status
        assert "asyncssh" in modules
        unused = ("runpod", "pulumi", "grpc", "rich", "pygments")
        assert [] == [name for name in unused if name in modules]
    finally:
        bench.close()
