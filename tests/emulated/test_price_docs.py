"""The commands of the page about prices and stock are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from support.command import Bench, small_job

pytestmark = pytest.mark.emulated

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prices-and-stock.md"
COMMAND = re.compile(
    r"(?:^\$ |`)runpod-deploy ([^`\n]+?)`?$|`runpod-deploy ([^`\n]+)`", re.MULTILINE
)


def commands() -> list[str]:
    """Return every command of the page once, without the program's name; loops are left out."""
    found = [first or second for first, second in COMMAND.findall(PAGE.read_text("utf-8"))]
    return list(dict.fromkeys(found))


def test_every_command_of_the_page_works(bench: Bench) -> None:
    """In the order of the page, on the emulator, each ends well."""
    bench.emulator()
    bench.extra["RUNPOD_DEPLOY_CLOUD"] = "emulator"
    bench.job()
    bench.write("jobs/job.yaml", yaml.safe_dump(small_job(), sort_keys=False))
    listed = commands()
    assert len(listed) >= 10
    # The page names the file before it says how it is made.
    for command in sorted(listed, key=lambda one: "plan.json" in one.split(" -o ")[0]):
        status, output = bench.run(*command.split())
        assert status == 0, f"{command}\n{output}"
