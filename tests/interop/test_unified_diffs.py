"""Our unified diffs, applied by real git."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runpod_deploy.compiler.line_diff import unified

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "x\r", "}", "long line"]), max_size=40)


def text_of(lines: list[str], *, ends: bool) -> str:
    """Return a text of `lines`."""
    return "\n".join(lines) + ("\n" if ends and lines else "")


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, LINES, st.booleans(), st.booleans())
def test_git_can_apply_it(
    tmp_path: Path, before: list[str], after: list[str], before_ends: bool, after_ends: bool
) -> None:
    """A patch made of it turns one text into the other, hunks, contexts and line ends included."""
    old, new = text_of(before, ends=before_ends), text_of(after, ends=after_ends)
    if old == new or not old or not new:
        return
    (tmp_path / "f").write_bytes(old.encode())
    patch = "\n".join(["--- a/f", "+++ b/f", *unified(old, new), ""])
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], cwd=tmp_path, input=patch.encode(), check=True
    )
    assert new.encode() == (tmp_path / "f").read_bytes()
