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
from runpod_deploy.executor.sync.frames import BLOCK_BYTES
from runpod_deploy.executor.sync.placing import move_script
from runpod_deploy.executor.sync.planned_files import tar_of
from runpod_deploy.executor.sync.upload import UploadReport, upload
from support.far_agent import FarAgent
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
    found = members(far.agent.sent)
    assert {name: found[name][1].decode() for name in NAMES} == {n: n for n in NAMES}
    head = found["a"][0]
    assert (head.mode, head.uid, head.gid, head.mtime) == (0o755, 0, 0, 1_600_000_000)
    assert found["-rf"][0].mode == 0o644
    assert (report.files, report.links, report.created) == (len(NAMES), 0, True)
    assert report.sent > len(far.agent.sent)


def test_the_far_side_gets_what_it_needs_to_check(tmp_path: Path) -> None:
    """Names and digests travel last, in the form that sha256sum writes, and `complete` ends it."""
    (tmp_path / "b\n").write_bytes(b"1")
    (tmp_path / "l").symlink_to("b\n")
    far = FarFiles()
    sent(far, tmp_path, [file("b\n", b"1"), link("l", "b\n")])
    found = members(far.agent.sent)
    digest = hashlib.sha256(b"1").hexdigest()
    assert found["names"][1] == b"./b\n\0"
    assert found["expected"][1] == f"{digest}  ./b\n\0".encode()
    assert found["l"][0].linkname == "b\n"
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
    assert members(far.agent.sent)[expected.rpartition("/")[2]][1] == b"w"
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
    [_other_content, _shorter, _gone, _link_now, _folder_now, _pipe_now],
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
    assert b"complete" not in far.agent.sent
    assert far.sent == b"drop 0\n"


@pytest.mark.parametrize("size", [7, 2 * 8 * 1024 * 1024])
def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path, size: int) -> None:
    """A file of the same content behind a link is not the one that was chosen: nothing of it leaves."""
    content = b"c" * size
    root, other = tmp_path / "root", tmp_path / "other"
    for folder in (root / "deep", other):
        folder.mkdir(parents=True)
        (folder / "a file").write_bytes(content)
    (root / "deep").rename(root / "was")
    (root / "deep").symlink_to(other)
    far = FarFiles()
    with pytest.raises(StepFailed, match="a file") as caught:
        sent(far, root, [file("deep/a file", content)])

    assert "payload_changed" == caught.value.cause
    assert b"ccc" not in far.agent.sent


def test_files_of_many_folders_are_found(tmp_path: Path) -> None:
    """Going from folder to folder loses none, and leaves nothing open."""
    paths = ["a", "d/a", "d/e/f/a", "d/e/b", "x/a", "z"]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    before = len(list(Path("/dev/fd").iterdir()))
    archive = tar_of(tmp_path, [(path, file(path, path.encode())) for path in paths])

    assert {path: path.encode() for path in paths} == {
        name.removeprefix("./"): content for name, (_, content) in members(archive).items()
    }
    assert before == len(list(Path("/dev/fd").iterdir()))


def test_a_file_that_grew_is_sent_as_it_was_planned(tmp_path: Path) -> None:
    """What is appended to a log meanwhile stays behind, and stops nothing."""
    path = tmp_path / "a file"
    path.write_bytes(b"content")
    _longer(path)
    far = FarFiles()
    sent(far, tmp_path, [file("a file", b"content")])

    assert b"and more" not in far.agent.sent
    assert b"content" in {content for _, content in members(far.agent.sent).values()}


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
        (41, "/x is a folder on the pod", "destination_conflict"),
        (42, "other content on arrival: ./a", "verify_failed"),
        (43, "the image has neither", "missing_tool"),
        (44, "mkdir: Permission denied", "remote_write"),
        (45, "tar: Unexpected EOF", "remote_unpack"),
        (45, "tar: a: Cannot write: No space left on device", "disk_full"),
        (44, "mv: Disk quota exceeded", "disk_full"),
        (46, "the archive ended", "incomplete"),
        (127, "sh: not found\x1b[2J", "remote_command"),
        (-1, "", "remote_command"),
    ],
)
def test_a_failure_over_there_is_told_with_its_cause(
    tmp_path: Path, status: int, stderr: str, cause: str
) -> None:
    """The far side's first words stand in the error, fit for a terminal."""
    far = FarFiles(failure=(status, stderr))
    with pytest.raises(StepFailed) as caught:
        sent(far, tmp_path, [])
    assert caught.value.cause == cause
    assert isinstance(caught.value, CommandFailed) == (cause == "remote_command")
    assert str(caught.value).isprintable()


def merged() -> FarAgent:
    """Return a far side whose destination was there."""
    return FarAgent(verdict=b"merged 0\n", standing=b"\0d\0other\0\0\0\0\0")


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
    far = FarFiles(agent=merged(), rows=[rows])
    report = sent(far, tmp_path, [file("a", b"1")], delete=True)
    assert report.deleted == ("old", "old/deep", "old/deep/x")
    assert far.sent == b"./old/deep\0./old\0"
    assert not report.foreign


def test_delete_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    """Without our marker nothing is removed, and the report says so."""
    far = FarFiles(agent=merged(), rows=[[("f", 1, "", "theirs")]])
    report = sent(far, tmp_path, [], delete=True)
    assert (report.deleted, report.foreign) == ((), True)
    assert len(far.commands) == 1


def test_a_foreign_folder_with_nothing_to_delete_is_not_worth_a_word(tmp_path: Path) -> None:
    """So it is on a new pod, where the run's own script lies in the destination before anything else."""
    (tmp_path / "a").write_bytes(b"1")
    far = FarFiles(agent=merged(), rows=[[("f", 1, "", "a"), ("f", 1, "", "run.sh")]])
    report = asyncio.run(
        upload(
            far,
            root=tmp_path,
            entries=[file("a", b"1")],
            destination="/w",
            delete=True,
            progress=lambda _name, _done, _total: None,
            protect=lambda path, _folder: path == "run.sh",
        )
    )
    assert ((), False) == (report.deleted, report.foreign)


def test_delete_spares_what_is_protected(tmp_path: Path) -> None:
    """Excluded paths, and what lies in an excluded folder, are not ours to remove."""
    rows = [
        ("f", 9, "", ".runpod-deploy-owned"),
        ("d", 0, "", "out"),
        ("f", 1, "", "out/result"),
        ("f", 1, "", "stale"),
    ]
    far = FarFiles(agent=merged(), rows=[rows])
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
        (tmp_path / str(number)).write_bytes(b"x" * 2_000_000)
        entries.append(file(str(number), b"x" * 2_000_000))
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
    assert [done for _, done, _ in told] == [4_000_000, 8_000_000]
    assert {total for _, _, total in told} == {8_000_000}


def standing(
    here: list[PayloadEntry], staged: list[PayloadEntry] | None = None, programs: str = ""
) -> bytes:
    """Return what a pod says that has these in its destination and in our hidden folder."""
    sections = []
    for entries in (here, staged or []):
        for entry in entries:
            kind, mode = ("l", 777) if entry.type == "link" else ("f", 755 if entry.exec else 644)
            sections.append(f"{kind}\0{mode}\0{entry.target or ''}\0./{entry.path}\0")
        sections.append("\0")
        sections += [f"{one.sha256}  ./{one.path}\0" for one in entries if one.type == "file"]
        sections.append("\0")
    return f"{programs}\0d\0other\0{''.join(sections)}".encode()


def test_nothing_is_sent_when_all_is_in_place(tmp_path: Path) -> None:
    """One question, one word for an answer, and no local file is opened."""
    far = FarFiles(agent=FarAgent(standing=b"zstd\0d\0same\0\0\0"))
    report = sent(far, tmp_path, [file("a", b"1"), link("l", "a")])
    assert (report.files, report.links, report.unchanged, report.created) == (0, 0, 2, False)
    assert [head.split()[0] for head in far.agent.heads] == ["have"]
    assert far.agent.asked == b"./a\0./l\0"


def test_only_what_differs_is_sent(tmp_path: Path) -> None:
    """Content, exec bit and link target each make a difference; the rest stays where it is."""
    entries = [file(name, name.encode()) for name in ("content", "mode", "same", "missing")]
    for entry in entries:
        (tmp_path / entry.path).write_bytes(entry.path.encode())
    (tmp_path / "link").symlink_to("same")
    far = FarFiles(
        agent=FarAgent(
            standing=standing(
                [
                    file("content", b"old"),
                    replace(entries[1], exec=True),
                    entries[2],
                    link("link", "elsewhere"),
                ]
            )
        )
    )
    report = sent(far, tmp_path, [*entries, link("link", "same")])
    found = members(far.agent.sent)
    assert {"content", "mode", "missing", "link"} == found.keys() - {
        *("names", "expected", "big", "move", "complete")
    }
    assert found["names"][1] == b"./content\0./mode\0./missing\0"
    assert (report.files, report.links, report.unchanged) == (3, 1, 1)


def test_what_a_broken_upload_left_is_not_sent_again(tmp_path: Path) -> None:
    """What lies ready over there is moved with the rest, and was not read again here."""
    there, new = file("there", b"1"), file("new", b"2")
    (tmp_path / "new").write_bytes(b"2")
    far = FarFiles(agent=FarAgent(standing=standing([], [there])))
    report = sent(far, tmp_path, [there, new])
    found = members(far.agent.sent)
    assert "there" not in found
    assert found["names"][1] == b"./there\0./new\0"
    assert report.files == 2


def large(tmp_path: Path, blocks: list[bytes]) -> PayloadEntry:
    """Write a file of blocks, each a repeated byte or random, and return its entry."""
    content = b"".join(block * BLOCK_BYTES for block in blocks)
    (tmp_path / "large").write_bytes(content)
    return file("large", content, executable=True)


def test_a_large_file_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    """Blocks that the pod has, by their digests, do not travel; the file is put together there."""
    entry = large(tmp_path, [b"a", b"b", b"c"])
    os.utime(tmp_path / "large", (1_600_000_000, 1_600_000_000))
    known = [hashlib.sha256(byte * BLOCK_BYTES).hexdigest() for byte in (b"a", b"x")]
    far = FarFiles(
        agent=FarAgent(
            standing=standing([]) + f"{entry.sha256} {BLOCK_BYTES + 7}\n".encode(),
            blocks="\n".join(known).encode(),
        )
    )
    sent(far, tmp_path, [entry])
    assert [(one[0], one[1], one[3][:1]) for one in far.agent.parts] == [
        (entry.sha256, BLOCK_BYTES, b"b"),
        (entry.sha256, 2 * BLOCK_BYTES, b"c"),
    ]
    line = members(far.agent.sent)["big"][1].decode()
    assert line == f"big {entry.sha256} ./. large 755 1600000000 'mv -f'\n"


def test_equal_large_files_travel_once(tmp_path: Path) -> None:
    """The second of two equal files is copied over there."""
    entry = large(tmp_path, [b"a", b"b"])
    (tmp_path / "twin").write_bytes((tmp_path / "large").read_bytes())
    far = FarFiles()
    sent(far, tmp_path, [entry, replace(entry, path="twin")])
    assert len(far.agent.parts) == 2
    how = [
        line.split(" ", 6)[6] for line in members(far.agent.sent)["big"][1].decode().split("\n")[:2]
    ]
    assert how == ["'cp -p'", "'mv -f'"]


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_what_shrinks_is_compressed_and_the_rest_is_not(tmp_path: Path, codec: str) -> None:
    """The pod's best program is used, and content that does not shrink goes as it is."""
    if codec == "zstd":
        pytest.importorskip("zstandard")
    text = b"words and words " * (BLOCK_BYTES // 16)
    content = text + os.urandom(BLOCK_BYTES) + text
    (tmp_path / "large").write_bytes(content)
    (tmp_path / "small").write_bytes(b"x" * 100_000)
    far = FarFiles(agent=FarAgent(standing=standing([], programs=codec)))
    report = sent(far, tmp_path, [file("large", content), file("small", b"x" * 100_000)])
    assert [one[2] for one in far.agent.parts] == [codec, "none", "none"]
    assert b"".join(one[3] for one in far.agent.parts) == content
    assert members(far.agent.sent)["small"][1] == b"x" * 100_000
    assert report.sent < 2.1 * BLOCK_BYTES


@pytest.mark.parametrize(
    "answer",
    [b"", b"\0d\0other", b"\0d\0other\0f\0six\0\0./a\0\0\0\0\0", b"\0m\0other\0\0\0\0\0x y"],
)
def test_nonsense_about_what_is_there_is_refused(tmp_path: Path, answer: bytes) -> None:
    """A pod that answers what is no list ends the upload with a clear error."""
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(StepFailed) as caught:
        sent(FarFiles(agent=FarAgent(standing=answer)), tmp_path, [file("a", b"1")])
    assert caught.value.cause == "bad_answer"
