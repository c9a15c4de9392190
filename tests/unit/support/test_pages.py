"""What the tests run of a documentation page."""

from pathlib import Path

import pytest

from support.pages import Step, steps_of, words

PAGE = """\
# A page

<!-- setup
touch here
-->

<!-- file: job.yaml -->
```yaml
name: x
```

```console
$ first \\
  --more
It printed this.
$ second
```

<!-- exit: 3 -->
```console
$ fails
```

```bash
one
two
```

<!-- not run: it costs money -->
```console
$ rent
```

```yaml
not: run
```

```pycon
>>> 1
1
```
"""


def steps(tmp_path: Path, text: str) -> list[Step]:
    """Read a page that says this."""
    page = tmp_path / "page.md"
    page.write_text(text)
    return steps_of(page)


def test_blocks_become_steps_in_their_order(tmp_path: Path) -> None:
    """Setup, files, commands with what they print, scripts and doctests; nothing that is marked."""
    found = [(step.kind, step.text, step.exit_status) for step in steps(tmp_path, PAGE)]
    assert found == [
        ("command", "touch here", 0),
        ("file", "name: x\n", 0),
        ("command", "first \\\n  --more", 0),
        ("command", "second", 0),
        ("command", "fails", 3),
        ("command", "one\ntwo\n", 0),
        ("doctest", ">>> 1\n1\n", 0),
    ]


def test_what_is_shown_and_where(tmp_path: Path) -> None:
    """Output belongs to the command above it; a step knows its line and its file's name."""
    found = steps(tmp_path, PAGE)
    assert found[1].name == "job.yaml"
    assert found[2].shown == "It printed this.\n"
    assert found[3].shown is None
    assert [step.line for step in found[:3]] == [3, 7, 12]


def test_a_console_block_without_a_prompt_is_refused(tmp_path: Path) -> None:
    """Commands that would silently not be run are an error of the page."""
    with pytest.raises(ValueError, match=r"line 1: .* begins with"):
        steps(tmp_path, "```console\nrunpod-deploy plan\n```\n")


def test_only_words_are_compared() -> None:
    """Numbers, ids and signs differ from run to run; words do not."""
    assert words('✓ pod 5mdya, gone (in 3.2s) "job_name": NVIDIA · to') == {
        "pod",
        "gone",
        "job_name",
        "NVIDIA",
    }
