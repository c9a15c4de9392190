"""The recipe "pull, then post-process locally": its Makefile as printed, against the training example."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

EXAMPLE = Path(__file__).parents[2] / "examples" / "train"
MAKEFILE = """\
.PHONY: headline-cloud headline-plots
headline-cloud:
\trunpod-deploy run --config configs/runpod/headline.yaml

# Find the most recent run dir and render plots from it
LATEST_RUN_DIR := $(shell ls -dt artifacts/runpod/*/ | head -1)

headline-plots:
\tuv run python scripts/render_plots.py --run-dir $(LATEST_RUN_DIR)
\trunpod-deploy manifest-summary $(LATEST_RUN_DIR)/runpod_deploy_pull_manifest.json
"""
"""As the recipe prints it."""
PLOTS = """\
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--run-dir", type=pathlib.Path, required=True)
run = parser.parse_args().run_dir
metrics = json.loads((run / "metrics.json").read_text())
(run / "plot.txt").write_text(f"{metrics}\\n")
print(f"plotted {run.name}")
"""


@pytest.fixture
def project(bench: Bench) -> Bench:
    """The training example with the recipe's files beside it, and its commands on PATH."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=EXAMPLE, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in (part.decode() for part in tracked if part):
        target = bench.project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(EXAMPLE / name, target)
    job = (bench.project / "job.yaml").read_text()
    (bench.project / "job.yaml").unlink()
    bench.write("configs/runpod/headline.yaml", f"{job}\nlocal:\n  project_root: ../..\n")
    subprocess.run(["git", "init", "-q"], cwd=bench.project, check=True)
    bench.write("Makefile", MAKEFILE)
    bench.write("scripts/render_plots.py", PLOTS)
    tools = bench.root / "tools"
    tools.mkdir()
    for name, text in (
        ("runpod-deploy", f'#!/bin/sh\nexec "{sys.executable}" -m runpod_deploy "$@"\n'),
        # Of uv, the recipe needs no more than this.
        ("uv", f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "$@"\n'),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    bench.extra |= {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "RUNPOD_DEPLOY_CLOUD": "emulator",
        "TRAIN_TOKEN": "planted-training-token",
    }
    return bench


def make(bench: Bench, *targets: str) -> tuple[int, str]:
    """Call make as a person would."""
    done = subprocess.run(
        ["make", *targets],
        cwd=bench.project,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_recipe_works_twice_in_a_row(project: Bench) -> None:
    """Each time the newest folder is found, its plots are rendered, and its summary is printed."""
    seen = []
    for _ in range(2):
        status, output = make(project, "headline-cloud")
        assert status == 0, output
        status, output = make(project, "headline-plots")
        assert status == 0, output
        newest = project.last_run()
        assert f"plotted {newest.name}" in output
        assert "SUCCEEDED" in output
        assert (newest / "plot.txt").exists()
        seen.append(newest)
    assert len(set(seen)) == 2
    assert client.list_pods(project.env) == []


def test_a_failed_job_stops_at_the_gate(project: Bench) -> None:
    """The run fails make, and so does the summary of what it left behind."""
    job = project.project / "configs/runpod/headline.yaml"
    job.write_text(job.read_text().replace("\n  body: |\n", "\n  body: |\n    exit 3\n", 1))
    assert make(project, "headline-cloud")[0] != 0
    (project.last_run() / "metrics.json").write_text("{}")
    status, output = make(project, "headline-plots")

    assert status != 0
    assert "FAILED" in output
    manifest = json.loads((project.last_run() / "runpod_deploy_pull_manifest.json").read_text())
    assert manifest["failed"] is True
