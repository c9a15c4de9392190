"""The pages are run as they stand there: files are written, commands end as said, and print so."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import warm
from support.command import Bench
from support.pages import Step, steps_of, words

pytestmark = pytest.mark.emulated

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(REPOSITORY).as_posix()
    for pattern in ("README.md", "docs/**/*.md", "examples/*/README.md")
    for page in REPOSITORY.glob(pattern)
    if steps_of(page)
)
# Programs of others that a page shows the use of.
NEEDS = {"docs/how-to/policy.md": "jq"}
MUST_RUN = {"README.md", "docs/tutorial/first-job.md", "docs/reference/forensics.md"}
# What a reader's shell keeps from one command to the next: its variables and its folder.
SHELL = """\
if [ -f "$PAGE_STATE" ]; then . "$PAGE_STATE"; fi
keep() {
  local status=$?
  { declare -p | grep -v '^declare -[A-Za-z]*r'; printf 'cd %q\\n' "$PWD"; } > "$PAGE_STATE"
  exit "$status"
}
trap keep EXIT
"""


class Reader:
    """Somebody who follows a page: a shell whose state stays, and the page's programs on PATH."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        tools = bench.root / "tools"
        tools.mkdir()
        for name, text in (
            ("runpod-deploy", warm.front("runpod_deploy")),
            ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'),
            # Of uv, the pages need `uv run python` only.
            ("uv", f'#!/bin/sh\nshift 2; exec "{sys.executable}" "$@"\n'),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        bench.extra |= {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "RUNPOD_DEPLOY_CLOUD": "emulator",
            "REPOSITORY": str(REPOSITORY),
            "PAGE_STATE": str(bench.root / "state.sh"),
            "COLUMNS": "120",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }

    def run(self, command: str) -> tuple[int, str]:
        """Run a command to its end, however many processes it leaves its output to."""
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", SHELL + command],
            cwd=self.bench.project,
            env=self.bench.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"`{command}` did not end:\n{output}") from None
        return process.returncode, output

    def follow(self, step: Step, page: str) -> None:
        """Do one step of a page and hold what happens against what it says."""
        if step.kind == "file":
            self.bench.write(step.name, step.text)
            return
        status, output = self.run(step.text)
        assert status == step.exit_status, f"{page}:{step.line}: {step.text}\n{output}"
        missing = words(step.shown or "") - words(output)
        assert not missing, f"{page}:{step.line}: {step.text}\n{output}\nnot printed: {missing}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, bench: Bench) -> None:
    """Each command ends as the page says and prints the words that it shows; nothing is left over."""
    if page in NEEDS and shutil.which(NEEDS[page]) is None:
        pytest.skip(f"the page uses {NEEDS[page]}, which is not here")
    steps = steps_of(REPOSITORY / page)
    reader = Reader(bench)
    for step in (step for step in steps if step.kind != "doctest"):
        reader.follow(step, page)
    examples = "\n\n".join(step.text for step in steps if step.kind == "doctest")
    if examples:
        file = bench.root / "examples.txt"
        file.write_text(examples, "utf-8")
        bench.extra["EXAMPLES"] = str(file)
        status, output = reader.run('python -m doctest "$EXAMPLES"')
        assert status == 0, output
    assert bench.pods() == []


def test_no_page_is_forgotten() -> None:
    """Every how-to page has something that is run, and so have the pages a reader begins with."""
    how_to = {
        page.relative_to(REPOSITORY).as_posix() for page in REPOSITORY.glob("docs/how-to/*.md")
    }
    assert (MUST_RUN | how_to) - set(PAGES) == set()
