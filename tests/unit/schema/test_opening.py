"""What was judged by its path is what is read, whatever is put in its way meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema import base_files, read_file
from runpod_deploy.schema.load import load
from runpod_deploy.schema.opening import NotAFile, open_judged, read_judged

Swap = Callable[[Path], None]
JOB = """\
schema_version: 3
name: small
pod: {image: runpod/base:1.0.2, gpu_order: [NVIDIA L4]}
run: {body: "true"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file two folders deep, beside a file of somebody else."""
    folder = tmp_path / "project" / "jobs"
    folder.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "job.yaml").write_text("key: not yours\n")
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


def swap_file(place: Path) -> None:
    """Put a link in the place of the file."""
    place.unlink()
    place.symlink_to(place.parents[2] / "home" / "job.yaml")


def swap_folder(place: Path) -> None:
    """Put a link in the place of the folder."""
    place.parent.rename(place.parents[1] / "was")
    place.parent.symlink_to(place.parents[2] / "home")


def test_a_file_is_read_up_to_what_was_asked_for(place: Path) -> None:
    """All of it, or its beginning; nothing stays open."""
    before = len(list(Path("/dev/fd").iterdir()))

    assert JOB.encode() == read_judged(place, -1)
    assert b"schema" == read_judged(place, 6)
    assert before == len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("swap", [swap_file, swap_folder])
def test_a_link_that_came_into_the_way_is_not_followed(place: Path, swap: Swap) -> None:
    """Neither the file nor a folder above it may have become a link since it was looked at."""
    swap(place)

    with pytest.raises(OSError, match=r"links|Not a directory"):
        open_judged(place)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A folder, a device and a pipe that nobody writes into are told at once."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(NotAFile):
            open_judged(place)
    with pytest.raises(FileNotFoundError):
        open_judged(tmp_path / "nothing")


@pytest.mark.parametrize("swap", [swap_file, swap_folder])
@pytest.mark.parametrize("what", ["job file", "extended file"])
def test_a_job_file_swapped_after_it_was_judged_shows_nothing(
    place: Path, swap: Swap, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that takes the place of a job file, or of what it extends, at the worst moment is refused."""
    module = read_file if what == "job file" else base_files

    def late(where: Path, most: int) -> bytes:
        swap(place)
        return read_judged(where, most)

    monkeypatch.setattr(module, "read_judged", late)
    job = place
    if what == "extended file":
        job = place.parents[1] / "own.yaml"
        job.write_text("extends: jobs/job.yaml\nname: own\n")
    with pytest.raises(InvalidInput) as caught:
        load(job)

    assert "not yours" not in repr(caught.value.diagnostics)
