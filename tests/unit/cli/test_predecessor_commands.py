"""Every command and flag of release 0.8 of the predecessor: it works, or the answer names its heir.

A row is a command, a flag, and what must be said when it is gone; None: it works under its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from runpod_deploy.cli.app import build
from runpod_deploy.cli.predecessor import REPLACED_FLAGS

REPOSITORY = Path(__file__).parents[3]
Call = Callable[..., tuple[int, str, str]]

VERSION_2 = """\
name: hello
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA L4]}
storage: {mode: ephemeral, volume_gb: 20}
run: {script_path: /workspace/r.sh, log_path: /workspace/run.log, success_marker: OK, body: echo OK}
"""

FLAGS: dict[str, dict[str, str | None]] = {
    "validate": {
        "--config": None,
        "--check-local": "always checked",
        "--check-availability": "validate JOB.yaml --live",
        "--scan-consumer": "user-path-in-file",
        "--check-image-registry": "validate JOB.yaml --live",
        "--skip-registry-check": "only `validate --live` asks a registry",
        "--all": "validate configs/runpod/*.yaml",
    },
    "run": {
        "--config": None,
        "--dry-run": "plan JOB.yaml --live",
        "--offline-dry-run": "runpod-deploy plan JOB.yaml",
        "--cost-cap-usd": "budget: {cost_cap_usd: 10}",
        "--max-runtime-minutes": "budget: {max_runtime_minutes: 240}",
        "--gpu-id": "--var gpu='NVIDIA L4'",
        "--datacenter-id": "--var place=EU-RO-1",
        "--max-gpu-price": "max_price_per_hour_usd: 2.5",
        "--var": None,
        "--vars-file": None,
        "--print-run-dir": None,
        "--ssh-ready-timeout-sec": "budget: {ssh_ready_timeout_sec: 1200}",
        "--force-fresh": "a pod of its own",
        "--fallback-cloud-type": "cloud_type: ANY",
    },
    "cleanup": {
        "--state-file": None,
        "--all-stopped": None,
        "--mode": None,
        "--yes": None,
        "-y": None,
        "--dry-run": None,
    },
    "ls-stale": {"--json": None},
    "logs": {"--config": None, "--lines": None, "--no-follow": None},
    "gpu-list": {
        "--datacenter": None,
        "--cloud-type": None,
        "--spot": "no spot pods any more",
        "--no-prices": None,
    },
    "gpu-inventory": {"--config": None},
    "gpu-prices": {
        "--cloud-type": None,
        "--spot": "no spot pods any more",
        "--no-price-cache": None,
    },
    "estimate": {},
    "ls-runs": {"--project-root": None, "--limit": None, "--json": None},
    "compare-runs": {},
    "events": {},
    "events-query": {"--root": None, "--filter": None, "--since": None, "--json": None},
    "capture-env": {"--project-root": None},
    "manifest-summary": {"--root": None},
}
EVERYWHERE = ("--verbose", "-v", "--quiet", "-q")
REPLACED = [
    (command, flag, heir)
    for command, flags in FLAGS.items()
    for flag, heir in flags.items()
    if heir is not None
]
OF_A_VALUE = {
    "--cost-cap-usd": "1",
    "--max-runtime-minutes": "5",
    "--gpu-id": "NVIDIA L4",
    "--datacenter-id": "EU-RO-1",
    "--max-gpu-price": "0.5",
    "--ssh-ready-timeout-sec": "60",
    "--fallback-cloud-type": "COMMUNITY",
}


@pytest.fixture
def old_project(project: Path) -> Path:
    """A project with a job file of version 2."""
    (project / "hello.yaml").write_text(VERSION_2)
    return project


def commands() -> dict[str, Any]:
    """Return the commands that there are."""
    found: dict[str, Any] = typer.main.get_command(build()).commands
    return found


def flags_of(command: Any) -> set[str]:
    """Return every spelling of every flag of a command."""
    return {
        spelling
        for one in command.params
        for spelling in (*one.opts, *one.secondary_opts)
        if spelling.startswith("-")
    }


@pytest.mark.parametrize("command", FLAGS)
def test_each_command_is_there_with_the_flags_that_stayed(command: str, call: Call) -> None:
    """What is not replaced is a flag of the command, beside those that every command has."""
    assert 0 == call(command, "--help")[0]
    stayed = {flag for flag, heir in FLAGS[command].items() if heir is None}
    assert {*stayed, *EVERYWHERE} <= flags_of(commands()[command])


@pytest.mark.parametrize(("command", "flag", "heir"), REPLACED)
def test_a_flag_that_is_gone_names_what_replaced_it(
    command: str, flag: str, heir: str, old_project: Path, call: Call
) -> None:
    """Given as it always was, it ends with 4 before anything is done, and the answer can be used."""
    value = [OF_A_VALUE[flag]] if flag in OF_A_VALUE else []
    takes_file = "--config" in FLAGS[command]
    file = ["--config", str(old_project / "hello.yaml")] if takes_file else []
    status, out, err = call(command, *file, flag, *value)
    assert (4, "") == (status, out)
    assert f"error: `{command}` has no {flag} any more" in err
    assert heir in err
    assert not (old_project / "artifacts").exists()


def test_no_answer_is_left_over() -> None:
    """The table of answers holds no flag that nobody had, and none that works."""
    assert {(command, flag) for command, flag, _ in REPLACED} == set(REPLACED_FLAGS)


def test_what_version_2_users_type_still_works(old_project: Path, call: Call) -> None:
    """The spellings of the old documentation, on the commands that need no account."""
    file = str(old_project / "hello.yaml")
    (old_project / "vars.json").write_text('{"seed": 1}')
    done = [
        call("validate", "--config", file, "--quiet"),
        call("ls-runs", "--project-root", str(old_project), "--limit", "5", "--json"),
        call("capture-env", "--project-root", str(old_project)),
        call("plan", "--config", file, "--var", "seed=2", "--vars-file", "vars.json", "-q"),
    ]
    assert [0] * len(done) == [status for status, _, _ in done], done


def test_the_file_of_a_replaced_flag_is_not_needed(call: Call) -> None:
    """Whoever asks for a flag that is gone hears of it also where the file is missing."""
    assert "has no --dry-run any more" in call("run", "--dry-run")[2]
    assert "has no --all any more" in call("validate", "--all")[2]


def test_the_page_for_version_2_tells_of_every_flag_and_every_note() -> None:
    """`docs/how-to/version-2-files.md` leaves out no flag that is gone and no difference."""
    page = (REPOSITORY / "docs" / "how-to" / "version-2-files.md").read_text("utf-8")
    sources = (REPOSITORY / "src" / "runpod_deploy" / "schema" / "v2").glob("*.py")
    codes = {code for file in sources for code in re.findall(r'"(v2-[a-z-]+)"', file.read_text())}
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    told = {word for line in rows for word in re.findall(r"`([^`]+)`", line)}
    flags = {
        (command, flag)
        for line in rows
        for command in re.findall(r"`(\S+) --", line)
        for flag in re.findall(r"--[a-z-]+", line.split("|")[1])
    }
    assert codes
    assert codes == {word for word in told if word.startswith("v2-")}
    assert set(REPLACED_FLAGS) == flags
