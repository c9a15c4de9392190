"""The archive reader and the unpacker against archives that nobody should believe."""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync.local_tree import LocalTree
from runpod_deploy.executor.sync.tar_reader import TarReader
from runpod_deploy.executor.sync.unpack import Unpacker

END = bytes(1024)
LONG = "folder/" + "n" * 150


def member(
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    size: int | None = None,
    link: str = "",
    mode: int = 0o644,
) -> bytes:
    """Return a member as GNU tar writes it; `size` may lie about the content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_700_000_000
    info.size = len(content) if size is None else size
    head = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % 512)


def rechecked(head: bytes) -> bytes:
    """Return a header with its checksum made right."""
    blank = head[:148] + b" " * 8 + head[156:]
    return head[:148] + b"%06o\0 " % sum(blank) + head[156:]


def patched(head: bytes, at: int, value: bytes) -> bytes:
    """Return a header with some bytes replaced and a right checksum."""
    return rechecked(head[:at] + value + head[at + len(value) : 512])


def digest(content: bytes) -> str:
    """Return the hex sha256."""
    return hashlib.sha256(content).hexdigest()


class Bench:
    """A folder `in` to unpack to, beside what must stay untouched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "in"
        (folder / "outside").write_bytes(b"untouched")

    def unpack(self, archive: bytes, wanted: dict[str, bytes], *, step: int = 1 << 20) -> Unpacker:
        """Feed an archive; `wanted` gives the names and the content that the pod had listed."""
        tree = LocalTree(self.root)
        unpacker = Unpacker(tree, {name: len(content) for name, content in wanted.items()})
        digests = {name: digest(content) for name, content in wanted.items()}
        try:
            reader = TarReader(unpacker)
            for start in range(0, len(archive), step):
                reader.feed(archive[start : start + step])
            unpacker.settle(digests)
        finally:
            unpacker.close()
            tree.close()
        return unpacker

    def inside(self) -> dict[str, bytes]:
        """Return every file in the folder, drafts included."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def untouched(self) -> bool:
        """Tell whether nothing appeared or changed outside."""
        beside = {path.name for path in self.folder.iterdir()}
        return (
            beside == {"in", "outside"} and (self.folder / "outside").read_bytes() == b"untouched"
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a fresh bench."""
    return Bench(tmp_path)


@pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 4096, 1 << 20])
def test_files_come_through_however_the_stream_is_cut(bench: Bench, step: int) -> None:
    """Content, long names and names of any bytes survive every way of cutting the stream."""
    wanted = {
        "a": b"1" * 700,
        "empty": b"",
        LONG: b"long",
        "with space\nand line": b"x" * 512,
        "ünï": b"y" * 513,
        "-rf": b"z",
    }
    archive = b"".join(member(f"./{name}", content) for name, content in wanted.items()) + END
    unpacker = bench.unpack(archive, wanted, step=step)
    assert bench.inside() == wanted
    assert unpacker.done == {name: (len(c), digest(c)) for name, c in wanted.items()}
    assert (unpacker.changed, unpacker.refused) == ({}, {})


def test_mode_and_time_come_along_without_special_bits(bench: Bench) -> None:
    """The owner's exec bit and the time are kept, setuid, setgid and sticky are not."""
    os.umask(0o022)
    archive = member("run", b"x", mode=0o7755) + member("plain", b"y", mode=0o6644) + END
    bench.unpack(archive, {"run": b"x", "plain": b"y"})
    modes = {name: stat.S_IMODE((bench.root / name).stat().st_mode) for name in ("run", "plain")}
    assert modes == {"run": 0o755, "plain": 0o644}
    assert (bench.root / "run").stat().st_mtime == 1_700_000_000


STRANGERS: dict[str, bytes] = {
    "absolute": member("/etc/owned", b"x"),
    "absolute_here": member("//outside", b"x"),
    "up": member("../outside", b"x"),
    "up_after_dot": member("./../outside", b"x"),
    "up_in_the_middle": member("a/../../outside", b"x"),
    "dots_only": member("..", b"x"),
    "not_asked_for": member("extra", b"x"),
    "asked_for_with_slash": member("a/", b"x"),
    "backslash": member("..\\outside", b"x"),
    "nul_in_long_name": member("L" * 120, b"x").replace(b"L" * 120, b"a/../" + b"\0" * 115, 1),
    "symlink": member("extra", kind=tarfile.SYMTYPE, link="../outside"),
    "hard_link": member("extra", kind=tarfile.LNKTYPE, link="../outside"),
    "fifo": member("extra", kind=tarfile.FIFOTYPE),
    "character_device": member("extra", kind=tarfile.CHRTYPE),
    "block_device": member("extra", kind=tarfile.BLKTYPE),
    "folder": member("extra", kind=tarfile.DIRTYPE),
    "folder_up": member("../extra", kind=tarfile.DIRTYPE),
    "contiguous": member("extra", kind=tarfile.CONTTYPE),
    "pax_path": member("p", b"22 path=../../outside2\n", kind=tarfile.XHDTYPE),
    "pax_global": member("p", b"22 path=../../outside2\n", kind=tarfile.XGLTYPE),
    "long_link": member("p", b"../outside\0", kind=tarfile.GNUTYPE_LONGLINK),
    "multi_volume": member("p", b"x", kind=b"M"),
    "volume_label": member("p", kind=b"V"),
    "unknown_type": member("p", b"x", kind=b"Z"),
    "solaris_acl": member("p", b"x", kind=b"A"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_what_nobody_asked_for_never_reaches_the_disk(bench: Bench, case: str) -> None:
    """A stranger in the archive is passed over and told; the file after it still comes."""
    archive = STRANGERS[case] + member("a", b"good") + END
    unpacker = bench.unpack(archive, {"a": b"good"})
    assert bench.inside() == {"a": b"good"}
    assert bench.untouched()
    assert len(unpacker.refused) == 1


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
    ],
)
def test_a_file_that_comes_as_something_else_counts_as_changed(bench: Bench, kind: bytes) -> None:
    """A name that was listed as a file and arrives as a link or device is not made."""
    unpacker = bench.unpack(member("a", kind=kind, link="../outside") + END, {"a": b"content"})
    assert bench.inside() == {}
    assert list(unpacker.changed) == ["a"]
    assert bench.untouched()


def test_the_first_of_two_members_with_one_name_counts(bench: Bench) -> None:
    """A second member of the same name cannot replace what was proven."""
    unpacker = bench.unpack(member("a", b"good") + member("a", b"evil") + END, {"a": b"good"})
    assert bench.inside() == {"a": b"good"}
    assert unpacker.done["a"] == (4, digest(b"good"))


@pytest.mark.parametrize("content", [b"shorter", b"a longer one than listed", b""])
def test_another_size_than_listed_is_changed_and_not_kept(bench: Bench, content: bytes) -> None:
    """A file that grew or shrank since the listing is passed over whole."""
    unpacker = bench.unpack(member("a", content) + member("b", b"x") + END, {"a": b"12", "b": b"x"})
    assert bench.inside() == {"b": b"x"}
    assert list(unpacker.changed) == ["a"]


def test_other_content_than_the_digest_is_not_kept(bench: Bench) -> None:
    """A file whose bytes are not those that the pod hashed never gets its name."""
    unpacker = bench.unpack(member("a", b"evil") + END, {"a": b"good"})
    assert bench.inside() == {}
    assert list(unpacker.changed) == ["a"]


def test_an_old_file_survives_a_bad_new_one(bench: Bench) -> None:
    """What was here before stays until the new content is proven."""
    bench.root.mkdir()
    (bench.root / "a").write_bytes(b"old")
    bench.unpack(member("a", b"evil") + END, {"a": b"good"})
    assert bench.inside() == {"a": b"old"}


def test_a_claim_of_endless_content_is_not_believed(bench: Bench) -> None:
    """A member of 8 EiB is passed over byte by byte and never stored."""
    head = patched(member("a"), 124, b"\x80" + bytes(3) + (2**63 - 1).to_bytes(8, "big"))
    unpacker = bench.unpack(head + b"j" * 100_000, {"a": b"x"})
    assert bench.inside() == {}
    assert list(unpacker.changed) == ["a"]


def test_nothing_after_the_end_counts(bench: Bench) -> None:
    """Members behind the end mark are ignored."""
    unpacker = bench.unpack(
        member("a", b"1") + END + member("b", b"2") + END, {"a": b"1", "b": b"2"}
    )
    assert bench.inside() == {"a": b"1"}
    assert list(unpacker.changed) == ["b"]


@pytest.mark.parametrize("cut", [0, 1, 300, 512, 600, 1023])
def test_a_stream_that_breaks_off_leaves_nothing(bench: Bench, cut: int) -> None:
    """Half a file leaves no draft behind and counts as changed."""
    unpacker = bench.unpack(member("a", b"c" * 700)[:cut], {"a": b"c" * 700})
    assert bench.inside() == {}
    assert list(unpacker.changed) == ["a"]


BROKEN: dict[str, Callable[[], bytes]] = {
    "garbage": lambda: b"\xff" * 1024,
    "text": lambda: b"tar: cannot open: Permission denied\n".ljust(1024, b"."),
    "checksum": lambda: member("a", b"x")[:100] + b"9" + member("a", b"x")[101:],
    "negative_size": lambda: patched(member("a"), 124, b"\xff" * 12),
    "size_is_no_number": lambda: patched(member("a"), 124, b"zzzzzzzzzzz\0"),
    "long_name_of_a_gigabyte": lambda: member("p", kind=tarfile.GNUTYPE_LONGNAME, size=1 << 30),
    "long_name_of_nothing": lambda: member("p", kind=tarfile.GNUTYPE_LONGNAME, size=0),
    "gzip": lambda: b"\x1f\x8b\x08\0" + bytes(range(256)) * 4,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_archive_is_an_error(bench: Bench, case: str) -> None:
    """A stream that cannot be read ends the transfer with a clear cause."""
    with pytest.raises(StepFailed) as caught:
        bench.unpack(BROKEN[case]() + bytes(512), {"a": b"x"})
    assert caught.value.cause == "bad_archive"
    assert bench.inside() == {}
    assert str(caught.value).isprintable()


def test_an_empty_archive_is_one(bench: Bench) -> None:
    """End marks alone are an archive of nothing."""
    assert bench.unpack(END, {}).done == {}


def test_a_link_standing_here_is_not_followed(bench: Bench) -> None:
    """A symbolic link in the local folder, to wherever, is no way out of it."""
    bench.root.mkdir()
    (bench.root / "sub").symlink_to(bench.folder)
    (bench.root / "file").symlink_to(bench.folder / "outside")
    archive = member("sub/outside", b"evil") + member("file", b"evil") + END
    unpacker = bench.unpack(archive, {"sub/outside": b"evil", "file": b"evil"})
    assert bench.untouched()
    assert list(unpacker.refused) == ["sub/outside"]
    assert (bench.root / "file").read_bytes() == b"evil"
    assert not (bench.root / "file").is_symlink()


def test_a_folder_in_a_files_place_and_the_reverse_are_refused(bench: Bench) -> None:
    """Neither is removed to make room; the other files come."""
    (bench.root / "a" / "kept").mkdir(parents=True)
    (bench.root / "b").write_bytes(b"old")
    wanted = {"a": b"1", "b/c": b"2", "d": b"3"}
    archive = b"".join(member(name, content) for name, content in wanted.items()) + END
    unpacker = bench.unpack(archive, wanted)
    assert bench.inside() == {"b": b"old", "d": b"3"}
    assert sorted(unpacker.refused) == ["a", "b/c"]


def test_a_name_that_is_too_long_is_refused(bench: Bench) -> None:
    """A name that the local file system cannot bear does not end the transfer."""
    wanted = {"n" * 300: b"1", "f" * 300 + "/x": b"2", "ok": b"3"}
    archive = b"".join(member(name, content) for name, content in wanted.items()) + END
    unpacker = bench.unpack(archive, wanted)
    assert bench.inside() == {"ok": b"3"}
    assert len(unpacker.refused) == 2


def test_what_gnu_format_of_tarfile_writes_is_read(bench: Bench) -> None:
    """A whole archive by another writer, with folders and long names, comes through."""
    buffer = io.BytesIO()
    wanted = {"d/x": b"1", LONG: b"2" * 5000}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in wanted.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert bench.unpack(buffer.getvalue(), wanted).refused == {}
    assert bench.inside() == wanted
