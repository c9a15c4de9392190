"""Bringing results home from a pod that is honest, busy or hostile."""

import asyncio
import hashlib
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import jcs
import pytest

from runpod_deploy.errors import ConnectionLost, StepFailed
from runpod_deploy.executor.sync import fetch, listing
from runpod_deploy.executor.sync.download import DownloadReport, download
from runpod_deploy.executor.sync.large_file import LARGE_FROM
from runpod_deploy.executor.sync.local_files import PullMemory
from support.far_files import FarFiles, tar_member

MIB = 1024 * 1024


def everything(_path: str, _folder: bool) -> bool:
    """Keep all."""
    return True


def fetched(
    far: FarFiles,
    local: Path,
    keep: Callable[[str, bool], bool] = everything,
    remote: str = "/workspace/out",
    progress: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
) -> DownloadReport:
    """Download from the fake."""
    return asyncio.run(download(far, remote_path=remote, local=local, keep=keep, progress=progress))


def present(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_a_folder_comes_home_whole(tmp_path: Path) -> None:
    """Every file arrives, and the report proves which."""
    files = {"b/c": b"two", "a": b"one", "odd \n name": b"", "ü": b"three"}
    report = fetched(FarFiles(files=files), tmp_path / "deep" / "out")
    assert present(tmp_path / "deep" / "out") == files
    entries = [
        {"path": name, "size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
        for name in ("a", "b/c", "odd \n name", "ü")
    ]
    assert list(report.entries) == entries
    assert (report.files, report.bytes, report.refused, report.missing) == (4, 11, (), False)
    assert report.tree_sha256 == "sha256:" + hashlib.sha256(jcs.canonicalize(entries)).hexdigest()


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    """A path that does not exist is told and makes no folder."""
    report = fetched(FarFiles(kind="m"), tmp_path / "out")
    assert report.missing
    assert not (tmp_path / "out").exists()


def test_a_device_is_refused(tmp_path: Path) -> None:
    """A remote path that is neither file nor folder gives nothing but the reason."""
    report = fetched(FarFiles(kind="o", rows=[[]]), tmp_path / "out", remote="/dev/null")
    assert report.refused == ({"path": "/dev/null", "why": "it is neither a file nor a folder"},)


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_becomes_the_local_path_or_lies_in_it(tmp_path: Path, exists: bool) -> None:
    """A file takes the local name, or its own where the local path is a folder."""
    local = tmp_path / "result"
    if exists:
        local.mkdir()
    report = fetched(
        FarFiles(files={"model.pt": b"w"}, kind="f"), local, remote="/workspace/model.pt"
    )
    assert present(tmp_path) == {"result/model.pt" if exists else "result": b"w"}
    assert [entry["path"] for entry in report.entries] == ["model.pt"]


def test_what_is_not_kept_is_not_asked_for(tmp_path: Path) -> None:
    """Below a folder that is not wanted nothing is asked, listed or made."""
    far = FarFiles(
        files={"a": b"1", "skip/x": b"2", "skip/deep/y": b"3", "b.log": b"4"},
        rows=[
            [
                ("f", 1, "", "a"),
                ("d", 0, "", "skip"),
                ("f", 1, "", "skip/x"),
                ("d", 0, "", "skip/deep"),
                ("f", 1, "", "skip/deep/y"),
                ("f", 1, "", "b.log"),
            ]
        ],
    )
    seen: list[tuple[str, bool]] = []

    def keep(path: str, folder: bool) -> bool:
        seen.append((path, folder))
        return path not in {"skip", "b.log"}

    fetched(far, tmp_path / "out", keep)
    assert present(tmp_path / "out") == {"a": b"1"}
    assert far.asked == [["a"]]
    assert seen == [("a", False), ("b.log", False), ("skip", True)]


def test_our_own_files_on_the_pod_stay_there(tmp_path: Path) -> None:
    """The marker and leftovers of an upload are no results."""
    files = {".runpod-deploy-owned": b"x", ".rd-upload-1/tree/a": b"y", "a": b"z"}
    fetched(FarFiles(files=files), tmp_path / "out")
    assert present(tmp_path / "out") == {"a": b"z"}


def test_empty_folders_are_made(tmp_path: Path) -> None:
    """A folder without files is a result too."""
    fetched(FarFiles(rows=[[("d", 4096, "", "empty"), ("d", 0, "", "empty/too")]]), tmp_path / "o")
    assert (tmp_path / "o" / "empty" / "too").is_dir()


@pytest.mark.parametrize(
    "row",
    [
        ("f", 1, "", "../evil"),
        ("f", 1, "", "/evil"),
        ("f", 1, "", "a/../../evil"),
        ("d", 0, "", "../evil"),
        ("f", 1, "", "."),
        ("f", 1, "", "\udcff"),
        ("p", 0, "", "pipe"),
        ("s", 0, "", "socket"),
        ("c", 0, "", "device"),
        ("b", 0, "", "disk"),
        ("?", 0, "", "unknown"),
        ("l", 9, "/etc/passwd", "link"),
        ("l", 9, "../out", "link"),
        ("l", 9, "x/../../out", "link"),
    ],
)
def test_a_listing_cannot_make_us_write_elsewhere(
    tmp_path: Path, row: tuple[str, int, str, str]
) -> None:
    """Names that leave the folder, devices and straying links are refused and told."""
    far = FarFiles(files={"ok": b"1", row[3]: b"1"}, rows=[[row, ("f", 1, "", "ok")]])
    report = fetched(far, tmp_path / "out")
    assert present(tmp_path) == {"out/ok": b"1"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ok"]
    assert far.asked == [["ok"]]
    assert len(report.refused) == 1
    assert report.refused[0]["path"].isprintable()


def test_links_that_stay_inside_are_made(tmp_path: Path) -> None:
    """A link to a sibling comes home as a link, in place of an older one."""
    rows = [[("f", 1, "", "a"), ("l", 1, "a", "latest"), ("l", 4, "../a", "d/up")]]
    (tmp_path / "latest").symlink_to("older")
    report = fetched(FarFiles(files={"a": b"1"}, rows=rows), tmp_path)
    assert (tmp_path / "latest").readlink() == Path("a")
    assert (tmp_path / "d" / "up").read_bytes() == b"1"
    assert report.links == ({"path": "d/up", "target": "../a"}, {"path": "latest", "target": "a"})


def test_a_link_is_no_bridge_for_a_file(tmp_path: Path) -> None:
    """A name that is a link and a folder at once cannot carry a file through the link."""
    rows = [[("l", 1, "b", "a"), ("d", 0, "", "b"), ("f", 1, "", "a/x")]]
    report = fetched(FarFiles(files={"a/x": b"1"}, rows=rows), tmp_path)
    assert present(tmp_path) == {"a/x": b"1"}
    assert not (tmp_path / "a").is_symlink()
    assert [entry["path"] for entry in report.refused] == ["a"]


def test_a_file_that_grew_is_read_again(tmp_path: Path) -> None:
    """What changed after the listing is listed and read once more."""
    rows = [[("f", 2, "", "log"), ("f", 1, "", "a")], [("f", 4, "", "log"), ("f", 1, "", "a")]]
    far = FarFiles(files={"log": b"four", "a": b"1"}, rows=[list(r) for r in rows])
    report = fetched(far, tmp_path)
    assert present(tmp_path) == {"log": b"four", "a": b"1"}
    assert far.asked == [["a", "log"], ["log"]]
    assert report.refused == ()


def test_a_file_that_keeps_changing_is_told(tmp_path: Path) -> None:
    """After the second try the file is reported and the old one stays."""
    (tmp_path / "log").write_bytes(b"old")
    rows = [[("f", 2, "", "log")], [("f", 3, "", "log")]]
    report = fetched(FarFiles(files={"log": b"four"}, rows=[list(r) for r in rows]), tmp_path)
    assert present(tmp_path) == {"log": b"old"}
    assert report.refused == ({"path": "log", "why": "changed: 3 bytes when listed, 4 when read"},)


def test_a_digest_that_differs_is_a_change(tmp_path: Path) -> None:
    """Bytes that are not those that the pod hashed are not kept."""
    far = FarFiles(files={"a": b"1"}, digests=b"0" * 64 + b"  ./a\0")
    report = fetched(far, tmp_path)
    assert present(tmp_path) == {}
    assert report.refused[0]["why"].startswith("changed")
    assert len(far.asked) == 2


def test_a_file_that_vanished_is_no_failure(tmp_path: Path) -> None:
    """A temporary file of the job that is gone at the second look was no result."""
    rows = [[("f", 1, "", "a"), ("f", 1, "", "tmp")], [("f", 1, "", "a")]]
    report = fetched(FarFiles(files={"a": b"1"}, rows=[list(r) for r in rows]), tmp_path)
    assert present(tmp_path) == {"a": b"1"}
    assert report.refused == ()


def test_what_the_pod_cannot_read_is_told(tmp_path: Path) -> None:
    """A folder without permission is a loss and stands in the report; a vanished file is none."""
    trailer = b"E1\0find: './x': Permission denied\nfind: './y': No such file or directory\n\0"
    report = fetched(FarFiles(files={"a": b"1"}, trailer=trailer), tmp_path)
    assert present(tmp_path) == {"a": b"1"}
    (refused,) = report.refused
    assert "Permission denied" in refused["why"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"", "bad_listing"),
        (b"d\0", "bad_listing"),
        (b"d\0\0f\x001\0\0\0a\0", "bad_listing"),
        (b"d\0\0f\x001\0\0", "bad_listing"),
        (b"x\0\0E0\0\0", "bad_listing"),
        (b"d\0\0ff\x001\0\0\0a\0E0\0\0", "bad_listing"),
        (b"d\0\0f\0-1\0\0\0a\0E0\0\0", "bad_listing"),
        (b"d\0\0f\x00" + b"9" * 30 + b"\0\0\0a\0E0\0\0", "bad_listing"),
        (b"Welcome to this pod!\nd\0\0E0\0\0", "bad_listing"),
        (b"d\0\0f\x001\0\0\0" + b"n" * 200_000, "bad_listing"),
        (b"d\0\0E43\0the image has neither GNU find nor python3\0", "missing_tool"),
    ],
)
def test_what_is_no_listing_is_an_error(tmp_path: Path, answer: bytes, cause: str) -> None:
    """A listing that is cut, garbled or endless is never taken for an empty one."""
    with pytest.raises(StepFailed) as caught:
        fetched(FarFiles(listing=answer), tmp_path / "out")
    assert caught.value.cause == cause
    assert not (tmp_path / "out").exists()


def test_too_many_entries_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that lists for ever fills no memory."""
    monkeypatch.setattr(listing, "MOST_ENTRIES", 3)
    files = {str(number): b"" for number in range(4)}
    with pytest.raises(StepFailed, match="more than 3 entries"):
        fetched(FarFiles(files=files), tmp_path)


def test_digests_that_are_none_end_the_download(tmp_path: Path) -> None:
    """A far side that hashes nonsense is told and leaves no draft."""
    with pytest.raises(StepFailed) as caught:
        fetched(FarFiles(files={"a": b"1"}, digests=b"sha256sum: not found\0"), tmp_path)
    assert caught.value.cause == "bad_listing"
    assert present(tmp_path) == {}


def test_an_archive_that_is_none_ends_the_download(tmp_path: Path) -> None:
    """A far side that packs nonsense is told and leaves no draft."""
    with pytest.raises(StepFailed) as caught:
        fetched(FarFiles(files={"a": b"1"}, archive=b"tar: not found\n" * 100), tmp_path)
    assert caught.value.cause == "bad_archive"
    assert present(tmp_path) == {}


def test_a_flood_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than was listed, by more than the slack, is not read to its end."""
    monkeypatch.setattr(fetch, "_SLACK", 0)
    flood = tar_member("junk", b"j" * 3_000_000) + tar_member("a", b"1") + bytes(1024)
    report = fetched(FarFiles(files={"a": b"1"}, archive=flood), tmp_path)
    assert present(tmp_path) == {}
    assert [entry["path"] for entry in report.refused] == ["a", "junk"]


def test_names_cannot_paint_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in a refused name are made visible."""
    report = fetched(FarFiles(rows=[[("p", 0, "", "\x1b[2Jx\u202e")]]), tmp_path)
    assert report.refused[0]["path"] == "\\x1b[2Jx\\u202e"


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """The bytes done never pass the bytes in all, and reach them."""
    told: list[tuple[str, int, int]] = []
    files = {f"f{number}": b"x" * 700_000 for number in range(5)}
    fetched(FarFiles(files=files), tmp_path, progress=lambda *step: told.append(step))
    assert told[-1][1:] == (3_500_000, 3_500_000)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert len(told) > 2


def test_what_is_here_already_does_not_travel(tmp_path: Path) -> None:
    """Equal files are proven by digest and stay; others come, and the report tells both."""
    far = FarFiles(files={"same": b"1", "other": b"22", "longer": b"333", "new": b"4"})
    for name, content in (("same", b"1"), ("other", b"xx"), ("longer", b"3"), ("mine", b"m")):
        (tmp_path / name).write_bytes(content)
    inode = (tmp_path / "same").stat().st_ino
    report = fetched(far, tmp_path)
    assert [sorted(names) for names in far.asked] == [["longer", "new", "other"]]
    assert present(tmp_path) == {**far.files, "mine": b"m"}
    assert (tmp_path / "same").stat().st_ino == inode
    assert (report.files, report.fetched, report.bytes, report.fetched_bytes) == (4, 3, 7, 6)


def test_a_second_pull_of_the_same_fetches_nothing(tmp_path: Path) -> None:
    """Nothing is asked of tar, and the report is that of the first pull."""
    far = FarFiles(files={"a": b"1", "b/c": b"2"})
    first = fetched(far, tmp_path)
    second = fetched(far, tmp_path)
    assert len(far.asked) == 1
    assert (second.entries, second.tree_sha256) == (first.entries, first.tree_sha256)
    assert second.fetched == 0


def test_an_exec_bit_that_changed_is_brought_over(tmp_path: Path) -> None:
    """Equal content with another mode is no equal file."""
    far = FarFiles(files={"a": b"1"})
    fetched(far, tmp_path)
    far.stamp = "755 1600000000.5 1600000002.5 7"
    assert fetched(far, tmp_path).fetched == 1


def test_a_file_is_compared_under_its_local_name(tmp_path: Path) -> None:
    """A single file that has another name here is known again, and so is one in a folder."""
    far = FarFiles(files={"model.pt": b"w"}, kind="f")
    for local in (tmp_path / "renamed", tmp_path):
        assert [fetched(far, local, remote="/w/model.pt").fetched for _ in range(2)] == [1, 0]


def pulled(
    far: FarFiles, local: Path, memory: PullMemory, *, final: bool = False
) -> DownloadReport:
    """Download as a run does in between, or at its end."""
    return asyncio.run(
        download(
            far,
            remote_path="/w/out",
            local=local,
            keep=everything,
            progress=lambda _name, _done, _total: None,
            memory=memory,
            final=final,
        )
    )


def test_in_between_nothing_is_hashed_twice(tmp_path: Path) -> None:
    """What looks as it did on both sides is taken to be so, but not at the end."""
    memory, far = PullMemory(), FarFiles(files={"a": b"1", "b": b"2"})
    first = pulled(far, tmp_path, memory)
    far.hashed.clear()
    assert pulled(far, tmp_path, memory).entries == first.entries
    assert far.hashed == []
    assert pulled(far, tmp_path, memory, final=True).entries == first.entries
    assert sorted(far.hashed) == ["a", "b"]


@pytest.mark.parametrize("where", ["here", "there"])
def test_what_was_written_since_is_looked_at_again(tmp_path: Path, where: str) -> None:
    """A file that somebody wrote on either side is not taken for what it was."""
    memory, far = PullMemory(), FarFiles(files={"a": b"1"})
    pulled(far, tmp_path, memory)
    if where == "here":
        (tmp_path / "a").write_bytes(b"x")
    else:
        far.files["a"], far.stamp = b"2", "644 1600000009.5 1600000009.5 7"
    report = pulled(far, tmp_path, memory)
    assert (report.fetched, present(tmp_path)) == (1, far.files)


def large(seed: int, size: int = LARGE_FROM + 3 * MIB + 5) -> bytes:
    """Return content that does not repeat."""
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("programs", ["", "gzip"])
def test_a_large_file_comes_in_ranges(tmp_path: Path, programs: str) -> None:
    """It is put together, proven, and bears mode and time; no hidden file is left."""
    far = FarFiles(
        files={"a": large(1)}, programs=programs, stamp="755 1600000000.5 1600000001.5 7"
    )
    report = fetched(far, tmp_path)
    assert present(tmp_path) == far.files
    assert far.ranges == [("a", 0, len(far.files["a"]))]
    status = (tmp_path / "a").stat()
    assert (status.st_mtime, status.st_mode & 0o100) == (1_600_000_000, 0o100)
    assert report.fetched_bytes == len(far.files["a"])


def test_a_large_file_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    """Blocks that are here do not travel again after a cut, whoever wrote them."""
    far = FarFiles(files={"a": large(1)})
    far.cut_range_after = 5 * MIB
    with pytest.raises(ConnectionLost):
        fetched(far, tmp_path)
    assert "a" not in present(tmp_path)
    far.cut_range_after = None
    far.ranges.clear()
    assert fetched(far, tmp_path).fetched == 1
    ((_, start, length),) = far.ranges
    assert 4 * MIB <= start <= 5 * MIB
    assert start + length == len(far.files["a"])
    assert present(tmp_path) == far.files


def test_of_a_large_file_that_grew_only_the_end_travels(tmp_path: Path) -> None:
    """The file here lends its blocks to the new one."""
    old = large(1)
    (tmp_path / "a").write_bytes(old)
    far = FarFiles(files={"a": old + large(2, MIB)})
    fetched(far, tmp_path)
    ((_, start, _),) = far.ranges
    assert start == len(old) // MIB * MIB
    assert present(tmp_path) == far.files


def test_a_large_file_that_lies_about_its_size_is_not_taken(tmp_path: Path) -> None:
    """More, less or other bytes than the listing promised never get the file's name."""
    content = large(1)
    for claimed in (len(content) - 5, len(content) + 5):
        far = FarFiles(files={"a": content}, rows=[[("f", claimed, "", "a")]])
        report = fetched(far, tmp_path)
        assert present(tmp_path) == {}
        assert report.refused[0]["why"].startswith("changed")


def test_a_bomb_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that expands beyond what was listed is not read to its end."""
    monkeypatch.setattr(fetch, "_SLACK", 0)
    bomb = zlib.compress(tar_member("a", bytes(50 * MIB)), wbits=31)
    far = FarFiles(files={"a": b"1"}, archive=bomb, programs="gzip")
    report = fetched(far, tmp_path)
    assert (present(tmp_path), report.fetched) == ({}, 0)


def test_a_broken_compressed_stream_is_an_error(tmp_path: Path) -> None:
    """What is no archive is told as that, and nothing of it stays."""
    far = FarFiles(files={"a": b"1"}, archive=b"not compressed at all", programs="gzip")
    with pytest.raises(StepFailed) as caught:
        fetched(far, tmp_path)
    assert caught.value.cause == "bad_archive"
    assert list(tmp_path.iterdir()) == []


def test_what_the_pod_no_longer_has_is_deleted_only_if_asked(tmp_path: Path) -> None:
    """Files that vanished over there go; excluded ones stay, and so does all when the list is not whole."""
    for name in ("old", "skip.log", "deep/old"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def pull(far: FarFiles, *, delete: bool) -> tuple[str, ...]:
        return asyncio.run(
            download(
                far,
                remote_path="/w",
                local=tmp_path,
                keep=lambda path, _folder: not path.endswith(".log"),
                progress=lambda _name, _done, _total: None,
                delete=delete,
            )
        ).deleted

    assert pull(FarFiles(files={"a": b"1"}), delete=False) == ()
    broken = FarFiles(files={"a": b"1"}, trailer=b"E1\0find: './x': Permission denied\n\0")
    assert pull(broken, delete=True) == ()
    assert pull(FarFiles(files={"a": b"1"}), delete=True) == ("deep/old", "old")
    assert present(tmp_path) == {"a": b"1", "skip.log": b"x"}
