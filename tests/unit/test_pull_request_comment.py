"""The comments of a pull request: which are written, and that a stranger's text has no effect in them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "actions" / "comment" / "comment.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("pull_request_comment", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


class Forge:
    """Comments in memory."""

    def __init__(self, program: ModuleType) -> None:
        self.program = program
        self.bodies: list[str] = []
        self.done: list[str] = []

    def ours(self) -> Iterator[Any]:
        """Yield all there are."""
        return (self.program.Comment(*one) for one in list(enumerate(self.bodies)))

    def create(self, body: str) -> None:
        """Add one."""
        self.bodies.append(body)

    def update(self, comment: int, body: str) -> None:
        """Replace one."""
        self.bodies[comment] = body

    def post(self, folder: Path) -> None:
        """Bring them up to date."""
        self.done = list(self.program.post(self, self.program.artifact_in(folder)))


@pytest.fixture
def forge(program: ModuleType) -> Forge:
    """A forge without comments."""
    return Forge(program)


def left(root: Path, *plans: tuple[str, str, str], whole: bool = True) -> Path:
    """Write a folder as the check does: job, status, Markdown of each."""
    root.mkdir()
    for number, (job, status, markdown) in enumerate(plans, 1):
        one = root / f"{number:03}"
        one.mkdir()
        (one / "job").write_text(job)
        (one / "status").write_text(status)
        (one / "comment.md").write_text(markdown)
    if whole:
        (root / "count").write_text(str(len(plans)))
    return root


def test_unchanged_jobs_take_no_room(forge: Forge, tmp_path: Path) -> None:
    """The one job that changed is commented on, wherever it stands, with three digits or four."""
    plans = [(f"{number}.yaml", "2" if number == 1004 else "0", "x") for number in range(1005)]
    forge.post(left(tmp_path / "p", *plans))
    assert 1 == len(forge.bodies)
    assert "job 1005: commented" in forge.done


def test_what_is_left_out_is_counted(forge: Forge, tmp_path: Path) -> None:
    """In a comment of its own, which is kept true; comments that are there are always updated."""
    forge.post(left(tmp_path / "a", *((f"{number}", "2", "old") for number in range(53))))
    assert 51 == len(forge.bodies)
    assert "3 more jobs changed and got no comment" in forge.bodies[50]
    forge.post(left(tmp_path / "b", *((f"{number}", "2", "NEW") for number in range(53))))
    assert 53 + 1 == len(forge.bodies)
    assert 53 == sum("NEW" in body for body in forge.bodies)
    assert "No job was left out" in forge.bodies[50]


def test_the_notice_stands_above_all_that_a_stranger_wrote(forge: Forge, tmp_path: Path) -> None:
    """A comment that is opened and never closed hides neither it nor the marker."""
    forge.post(left(tmp_path / "p", ("a", "2", "text\n\n<!-- x")))
    marker, notice, *rest = forge.bodies[0].splitlines()
    assert marker.startswith("<!-- runpod-deploy plan ")
    assert "can be believed as far as the change itself" in notice
    assert "<!--" not in "\n".join(rest)


MENTIONS = (
    *("@ann", "x @ann", "(@o/team)", "_@ann_", "&copy@ann", "&#169@ann", "&#64;<!-- -->ann"),
    *("&#64;ann", "&#x40;ann", "&#0064;ann", "&#X040;ann", "&commat;ann"),
)


@pytest.mark.parametrize("mention", MENTIONS)
def test_nobody_is_called(program: ModuleType, mention: str) -> None:
    """A mention is parted by a character that shows as nothing; an entity for one is no entity."""
    made = program.harmless(mention)
    assert "@ann" not in made
    assert "@o" not in made
    assert f"@{program.JOINER}" in made or made.startswith("&amp;")
    assert made == program.harmless(made)


@pytest.mark.parametrize("text", ["/approve", "x\n/approve", "x\r\n \t/approve\n"])
def test_no_line_is_a_command(program: ModuleType, text: str) -> None:
    """GitLab carries out lines that begin with a slash, with the rights of whoever writes the note."""
    made = program.harmless(text)
    assert f"{program.JOINER}/approve" in made
    assert text == made.replace(program.JOINER, "")
    assert made == program.harmless(made)


@pytest.mark.parametrize(
    "text", ["name@sha256:ab", "me@example.org", "a &amp; b &#124; &#640;", "a /b"]
)
def test_other_text_stays_as_it_is(program: ModuleType, text: str) -> None:
    """Digests of images and addresses can be copied out of a comment."""
    assert text == program.harmless(text)


def test_a_job_that_is_gone_is_told(forge: Forge, tmp_path: Path) -> None:
    """Under its heading and once; not after a check that came to no end, which says nothing of it."""
    forge.post(left(tmp_path / "a", ("old", "2", "### Plan of `@x`\n\nlong"), ("b", "2", "y")))
    before = list(forge.bodies)
    forge.post(left(tmp_path / "b", ("b", "2", "y"), whole=False))
    assert before == forge.bodies
    forge.post(left(tmp_path / "c", ("b", "0", "y")))
    gone = forge.bodies[0]
    assert "removed or renamed" in gone
    assert "### Plan of" in gone
    assert "long" not in gone
    assert before[0].splitlines()[:2] == gone.splitlines()[:2]
    assert before[1:] == forge.bodies[1:]
    forge.post(left(tmp_path / "d"))
    assert gone == forge.bodies[0]
    assert "removed or renamed" in forge.bodies[1]


def test_a_text_that_grows_too_long_is_not_posted(forge: Forge, tmp_path: Path) -> None:
    """What makes mentions harmless counts as well."""
    forge.post(left(tmp_path / "p", ("a", "2", " @a" * 21_000)))
    assert "longer than a comment may be" in forge.bodies[0]
