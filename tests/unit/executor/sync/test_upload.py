"""What an upload sends, and what it refuses to send."""

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import CommandFailed, InvalidInput, StepFailed
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.sync.pack import move_script
from runpod_deploy.executor.sync.upload import UploadReport, upload
from support.far_files import FarFiles


def file(path: str, content: bytes, *, executable: bool = False) -> PayloadEntry:
    """Return a payload entry for content."""
    digest = hashlib.sha256(content).hexdigest()
    return PayloadEntry(path=path, type="file", size=len(content), exec=executable, sha256=digest)


def link(path: str, target: str) -> PayloadEntry:
    """Return a payload entry for a symbolic link."""
    digest = hashlib.sha256(target.encode()).hexdigest()
    size = len(target.encode())
    return PayloadEntry(path=path, type="link", size=size, exec=False, sha256=digest, target=target)


def sent(
    far: FarFiles,
    root: Path,
    entries: list[PayloadEntry],
    destination: str = "/workspace/src",
    *,
    delete: bool = False,
) -> UploadReport:
    """Upload to the fake."""
    return asyncio.run(
        upload(
            far,
            root=root,
            entries=entries,
            destination=destination,
            delete=delete,
            progress=lambda _name, _done, _total: None,
        )
    )


def members(archive: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Return name to header and content."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {
            info.name: (
                info,
                (opened.extractfile(info) or io.BytesIO()).read() if info.isreg() else b"",
            )
            for info in opened
        }


NAMES = ["a", "-rf", "sub/b c", "new\nline", "ünï", "q'uo\"te", "n" * 200, "d/" + "é" * 100]


def test_every_name_content_mode_and_time_travels(tmp_path: Path) -> None:
    """Odd and long names go out as they are, with git's bit, no owner, and the file's time."""
    entries = []
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        os.utime(path, (1_600_000_000, 1_600_000_000))
        entries.append(file(name, name.encode(), executable=name == "a"))
    far = FarFiles()
    report = sent(far, tmp_path, entries)
    found = members(far.sent)
    assert {name: found[f"tree/{name}"][1].decode() for name in NAMES} == {n: n for n in NAMES}
    head = found["tree/a"][0]
    assert (head.mode, head.uid, head.gid, head.mtime) == (0o755, 0, 0, 1_600_000_000)
    assert found["tree/-rf"][0].mode == 0o644
    assert (report.files, report.links, report.created) == (len(NAMES), 0, True)
    assert report.sent == len(far.sent)


def test_the_far_side_gets_what_it_needs_to_check(tmp_path: Path) -> None:
    """Names and digests travel last, in the form that sha256sum writes, and `complete` ends it."""
    (tmp_path / "b\n").write_bytes(b"1")
    (tmp_path / "l").symlink_to("b\n")
    far = FarFiles()
    sent(far, tmp_path, [file("b\n", b"1"), link("l", "b\n")])
    found = members(far.sent)
    digest = hashlib.sha256(b"1").hexdigest()
    assert found["names"][1] == b"./b\n\0"
    assert found["expected"][1] == f"{digest}  ./b\n\0".encode()
    assert found["tree/l"][0].linkname == "b\n"
    assert list(found)[-1] == "complete"


def test_files_are_moved_folder_by_folder() -> None:
    """Parents come before children and each name once, quoted for the shell."""
    assert move_script(["x", "a/b/c", "a/b/-d", "a/it's"]) == (
        "at ./. ./x\nat ./a './it'\"'\"'s'\nat ./a/b ./c ./-d\n"
    )


def test_a_folder_of_many_files_takes_several_commands() -> None:
    """No command line grows beyond what a system takes."""
    lines = move_script([f"file-{number:05}" for number in range(20_000)]).splitlines()
    assert len(lines) > 1
    assert max(len(line) for line in lines) < 70_000
    assert sum(len(line.split()) - 2 for line in lines) == 20_000


@pytest.mark.parametrize(
    ("destination", "expected"),
    [("/data/model.bin", "/data/model.bin"), ("/data/", "/data/weights"), ("data", "./data")],
)
def test_a_single_file_becomes_the_destination_or_lies_in_it(
    tmp_path: Path, destination: str, expected: str
) -> None:
    """A trailing slash says that the destination is a folder."""
    (tmp_path / "weights").write_bytes(b"w")
    far = FarFiles()
    sent(far, tmp_path / "weights", [file("", b"w")], destination)
    assert members(far.sent)["tree/file"][1] == b"w"
    assert f" rd {expected} " in far.commands[0]


def _other_content(path: Path) -> None:
    path.write_bytes(b"CONTENT")


def _longer(path: Path) -> None:
    path.write_bytes(b"content and more")


def _shorter(path: Path) -> None:
    path.write_bytes(b"c")


def _gone(path: Path) -> None:
    path.unlink()


def _link_now(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def _folder_now(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe_now(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "change",
    [_other_content, _longer, _shorter, _gone, _link_now, _folder_now, _pipe_now],
)
def test_a_file_that_is_not_as_planned_stops_the_upload(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """A changed file is named, and what would let the far side move anything is never sent."""
    path = tmp_path / "a file"
    path.write_bytes(b"content")
    change(path)
    far = FarFiles()
    with pytest.raises(StepFailed, match="a file") as caught:
        sent(far, tmp_path, [file("a file", b"content")])
    assert caught.value.cause == "payload_changed"
    assert b"complete" not in far.sent


@pytest.mark.parametrize("target", [None, "elsewhere"])
def test_a_link_that_is_not_as_planned_stops_the_upload(tmp_path: Path, target: str | None) -> None:
    """A link that leads elsewhere, or is a file by now, is named."""
    if target is None:
        (tmp_path / "l").write_bytes(b"x")
    else:
        (tmp_path / "l").symlink_to(target)
    with pytest.raises(StepFailed) as caught:
        sent(FarFiles(), tmp_path, [link("l", "a")])
    assert caught.value.cause == "payload_changed"


@pytest.mark.parametrize(
    "paths",
    [
        ["../a"],
        ["/a"],
        ["a/../b"],
        ["a//b"],
        ["a\0b"],
        ["", "a"],
        ["a", "a"],
        ["a", "a/b"],
        ["\udcff"],
        [".runpod-deploy-owned"],
        [".rd-upload-1/x"],
    ],
)
def test_a_forged_payload_is_refused_before_anything_is_sent(
    tmp_path: Path, paths: list[str]
) -> None:
    """A plan file that was tampered with cannot write beside its destination."""
    far = FarFiles()
    with pytest.raises(InvalidInput):
        sent(far, tmp_path, [replace(file("x", b""), path=path) for path in paths])
    assert far.commands == []


@pytest.mark.parametrize("destination", ["", "a\0b"])
def test_a_destination_must_be_a_path(tmp_path: Path, destination: str) -> None:
    """An empty destination is refused."""
    with pytest.raises(InvalidInput):
        sent(FarFiles(), tmp_path, [], destination)


@pytest.mark.parametrize(
    ("status", "stderr", "cause"),
    [
        (41, b"/x is a folder on the pod", "destination_conflict"),
        (42, b"other content on arrival: ./a", "verify_failed"),
        (43, b"the image has neither", "missing_tool"),
        (44, b"mkdir: Permission denied", "remote_write"),
        (45, b"tar: Unexpected EOF", "remote_unpack"),
        (45, b"tar: a: Cannot write: No space left on device", "disk_full"),
        (44, b"mv: Disk quota exceeded", "disk_full"),
        (46, b"the archive ended", "incomplete"),
        (127, b"sh: not found\x1b[2J", "remote_command"),
        (-1, b"", "remote_command"),
    ],
)
def test_a_failure_over_there_is_told_with_its_cause(
    tmp_path: Path, status: int, stderr: bytes, cause: str
) -> None:
    """The far side's first words stand in the error, fit for a terminal."""
    far = FarFiles(done=Completed(exit_status=status, stdout=b"", stderr=stderr))
    with pytest.raises(StepFailed) as caught:
        sent(far, tmp_path, [])
    assert caught.value.cause == cause
    assert isinstance(caught.value, CommandFailed) == (cause == "remote_command")
    assert str(caught.value).isprintable()


MERGED = Completed(exit_status=0, stdout=b"", stderr=b"")


def test_delete_removes_what_is_not_in_the_payload(tmp_path: Path) -> None:
    """Strange files and the folders they leave empty go; the marker and the payload stay."""
    (tmp_path / "a").write_bytes(b"1")
    rows = [
        ("f", 9, "", ".runpod-deploy-owned"),
        ("f", 1, "", "a"),
        ("d", 0, "", "old"),
        ("d", 0, "", "old/deep"),
        ("f", 1, "", "old/deep/x"),
    ]
    far = FarFiles(done=MERGED, rows=[rows])
    report = sent(far, tmp_path, [file("a", b"1")], delete=True)
    assert report.deleted == ("old", "old/deep", "old/deep/x")
    assert far.sent == b"./old/deep\0./old\0"
    assert not report.foreign


def test_delete_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    """Without our marker nothing is removed, and the report says so."""
    far = FarFiles(done=MERGED, rows=[[("f", 1, "", "theirs")]])
    report = sent(far, tmp_path, [], delete=True)
    assert (report.deleted, report.foreign) == ((), True)
    assert len(far.commands) == 1


def test_delete_spares_what_is_protected(tmp_path: Path) -> None:
    """Excluded paths, and what lies in an excluded folder, are not ours to remove."""
    rows = [
        ("f", 9, "", ".runpod-deploy-owned"),
        ("d", 0, "", "out"),
        ("f", 1, "", "out/result"),
        ("f", 1, "", "stale"),
    ]
    far = FarFiles(done=MERGED, rows=[rows])
    report = asyncio.run(
        upload(
            far,
            root=tmp_path,
            entries=[],
            destination="/w",
            delete=True,
            progress=lambda _name, _done, _total: None,
            protect=lambda path, folder: folder and path == "out",
        )
    )
    assert report.deleted == ("stale",)
    assert far.sent == b"./stale\0"


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """The bytes done grow to the bytes in all."""
    told: list[tuple[str, int, int]] = []
    entries = []
    for number in range(4):
        (tmp_path / str(number)).write_bytes(b"x" * 900_000)
        entries.append(file(str(number), b"x" * 900_000))
    asyncio.run(
        upload(
            FarFiles(),
            root=tmp_path,
            entries=entries,
            destination="/w",
            delete=False,
            progress=lambda *step: told.append(step),
        )
    )
    assert told[-1] == ("3", 3_600_000, 3_600_000)
    assert len(told) > 2
