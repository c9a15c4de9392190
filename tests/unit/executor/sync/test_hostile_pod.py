"""A pod that lies: whatever it says and sends, nothing outside of the artifact's folder changes."""

import asyncio
import os
import stat
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync import fetch, listing, wanted
from runpod_deploy.executor.sync.download import DownloadReport, download
from support.far_files import FarFiles, tar_member

GOOD = {"good": b"1"}
END = bytes(1024)


def outside(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything beside the artifact's folder: mode, time and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_relative_to(folder / "out"):
            continue
        status = path.lstat()
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        else:
            content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def leads_out(folder: Path) -> list[Path]:
    """Return the links below a folder that lead out of it."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with things worth protecting, and an artifact's folder in it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(b"private")
    (tmp_path / "x").write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    return tmp_path


def pull(far: FarFiles, home: Path) -> DownloadReport | None:
    """Download; a pod that cannot be understood at all may be given up on."""
    try:
        return asyncio.run(
            download(
                far,
                remote_path="/w/out",
                local=home / "out",
                keep=lambda _path, _folder: True,
                progress=lambda _name, _done, _total: None,
            )
        )
    except StepFailed:
        return None


def unharmed(far: FarFiles, home: Path) -> DownloadReport | None:
    """Pull from a hostile pod, and hold what is outside against what was there."""
    before = outside(home)
    report = pull(far, home)
    assert before == outside(home)
    assert [] == leads_out(home / "out")
    assert [] == [path for path in home.rglob("*") if stat.S_ISFIFO(path.lstat().st_mode)]
    return report


NAMES = [
    *("/etc/x", "//x", "..", "../x", "a/../../x", "a/..", "./x", ".", "a/./b", "a//b", "a/", ""),
    *("../secrets/key", "out/../../x", "\udcff", "a\udc80/b", "n" * 300, "d/" * 3000 + "f"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_is_refused(home: Path, name: str) -> None:
    """It is named in the report, and the honest files beside it come."""
    far = FarFiles(files=GOOD | ({name: b"evil"} if name.isascii() else {}))
    far.rows = [[("f", 4, "", name), ("f", 1, "", "good")]]
    report = unharmed(far, home)
    if report is not None:
        assert (home / "out" / "good").read_bytes() == b"1"
        assert 1 == len(report.refused)


ODD = ["-rf", "new\nline", "\x1b]0;title\x07", "a\tb", "\u202egnp.exe", "C:\\x", "~", "$(id)", " "]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_only_a_name(home: Path, name: str) -> None:
    """What shells and terminals would act upon is a file in its folder like others."""
    report = unharmed(FarFiles(files={name: b"1"}), home)
    assert report is not None
    assert [name] == [path.name for path in (home / "out").iterdir()]


TARGETS = ["/etc/passwd", "..", "../x", "a/../../x", "../out/../x", "", "./../x", "a/b/../../../x"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_link_that_leads_out_is_refused(home: Path, target: str) -> None:
    """No such link is made, and its name is told."""
    report = unharmed(
        FarFiles(files=GOOD, rows=[[("l", 0, target, "l"), ("f", 1, "", "good")]]), home
    )
    assert report is not None
    assert ["l"] == [one["path"] for one in report.refused]
    assert not (home / "out" / "l").is_symlink()


@pytest.mark.parametrize("letter", list("bcpsDw?Z"))
def test_what_is_no_file_is_refused(home: Path, letter: str) -> None:
    """Devices, pipes, sockets and what nobody knows are never made."""
    report = unharmed(
        FarFiles(files=GOOD, rows=[[(letter, 0, "", "odd"), ("f", 1, "", "good")]]), home
    )
    assert report is not None
    assert ["odd"] == [one["path"] for one in report.refused]


def test_a_file_below_a_link_of_ours_is_refused(home: Path) -> None:
    """A link that lies in the folder already is not followed, whoever made it."""
    (home / "out" / "d").symlink_to(home / "secrets")
    (home / "out" / "good").symlink_to(home / "x")
    before = outside(home)
    report = pull(FarFiles(files={"d/key": b"evil", "good": b"1"}), home)
    assert before == outside(home)
    assert report is not None
    assert ["d/key"] == [one["path"] for one in report.refused]
    assert b"1" == (home / "out" / "good").read_bytes()
    assert not (home / "out" / "good").is_symlink()


def test_a_listed_link_is_no_way_for_a_listed_file(home: Path) -> None:
    """A name that is first a link and then a folder gives no way through the link."""
    rows = [("l", 0, "inside", "d"), ("d", 0, "", "inside"), ("f", 1, "", "d/f"), ("f", 1, "", "d")]
    unharmed(FarFiles(files={"d/f": b"1", "d": b"2"}, rows=[rows]), home)


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> bytes:
    """Return the header of a member."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def pax(**records: str) -> bytes:
    """Return a PAX header that changes the member after it."""
    info = tarfile.TarInfo("good")
    info.size, info.pax_headers = 1, records
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def damaged(block: bytes, at: int, new: bytes) -> bytes:
    """Return a header with other bytes and a checksum that fits."""
    block = block[:at] + new + block[at + len(new) :]
    total = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]


HEAD = tar_member("./good", b"1")
ARCHIVES = {
    "absolute": tar_member("/x", b"evil"),
    "parent": tar_member("../x", b"evil"),
    "long name to the parent": tar_member("../" + "a/" * 80 + "x", b"evil"),
    "not asked for": tar_member("./other", b"evil"),
    "link for a file": member("./good", tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("./good", tarfile.LNKTYPE, linkname="../x"),
    "device": member("./good", tarfile.CHRTYPE, devmajor=1, devminor=3),
    "pipe": member("./good", tarfile.FIFOTYPE),
    "folder": member("./good", tarfile.DIRTYPE),
    "link, then a file through it": member("./d", tarfile.SYMTYPE, linkname="..")
    + tar_member("./d/x", b"evil"),
    "twice": HEAD + tar_member("./good", b"2"),
    "sparse": member("./good", b"S", size=1) + b"1" + bytes(511),
    "pax path": pax(path="../x") + b"1" + bytes(511),
    "pax size": pax(size="99999999999") + b"1" + bytes(511),
    "pax link": pax(linkpath="/etc/passwd") + b"1" + bytes(511),
    "larger": tar_member("./good", b"22"),
    "empty": tar_member("./good", b""),
    "huge size": damaged(HEAD[:512], 124, b"\x80" + bytes(3) + b"\xff" * 8),
    "negative size": damaged(HEAD[:512], 124, b"\xff" * 12),
    "size of letters": damaged(HEAD[:512], 124, b"zzzzzzzzzzz\0"),
    "wrong checksum": HEAD[:100] + b"x" + HEAD[101:],
    "huge name": member("././@LongLink", b"L", size=1 << 30) + b"a" * 4096,
    "name of no length": member("././@LongLink", b"L", size=0) + HEAD,
    "cut in the header": HEAD[:300],
    "cut in the content": HEAD[:512],
    "no tar at all": b"<html>" * 1000,
    "only zeros": bytes(1 << 20),
    "nothing": b"",
    "a flood": tar_member("./other", b"x" * 300_000) * 20,
    "a program's words": b"tar: command not found\n" + HEAD,
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_is_not_what_was_asked_for(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was asked for, of the listed size and the told digest, gets a name here."""
    monkeypatch.setattr(fetch, "_SLACK", 1 << 20)
    report = unharmed(FarFiles(files=GOOD, archive=ARCHIVES[kind] + END), home)
    names = {path.name for path in (home / "out").iterdir()}
    assert names <= {"good"}
    if "good" in names:
        assert (home / "out" / "good").read_bytes() == b"1"
        assert report is None or "good" in [one["path"] for one in report.entries]


DIGESTS: dict[str, bytes] = {
    "none": b"",
    "of other content": b"0" * 64 + b"  ./good\0",
    "of strangers": b"0" * 64 + b"  ../x\0",
    "words": b"sha256sum: not found\0",
    "too many": (b"0" * 64 + b"  ./good\0") * 5,
    "endless name": b"0" * 64 + b"  ./" + b"g" * 200_000,
}


@pytest.mark.parametrize("kind", DIGESTS)
def test_a_digest_that_does_not_fit_proves_nothing(home: Path, kind: str) -> None:
    """A file whose digest was not told, or is another, never gets its name."""
    unharmed(FarFiles(files=GOOD, digests=DIGESTS[kind]), home)
    assert [] == list((home / "out").iterdir())


def test_a_million_entries_are_too_many(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the list is given up, with an advice."""
    monkeypatch.setattr(listing, "MOST_ENTRIES", 1000)
    rows = [("f", 0, "", f"f{number}") for number in range(1001)]
    assert pull(FarFiles(rows=[rows]), home) is None
    assert [] == list((home / "out").iterdir())


def test_a_flood_of_refusals_is_summed_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are named and the rest counted: a manifest stays a manifest."""
    monkeypatch.setattr(wanted, "MOST_REFUSED", 10)
    rows = [("c", 0, "", f"device{number}") for number in range(500)]
    report = unharmed(FarFiles(rows=[rows]), home)
    assert report is not None
    assert 11 == len(report.refused)
    assert "490 more" in report.refused[0]["why"]


@pytest.mark.parametrize("size", [9 << 20, 1 << 40, 1 << 60, (1 << 63) - 1])
def test_a_size_that_is_a_lie_costs_nothing(home: Path, size: int) -> None:
    """A large file that is not there is asked for once or twice, and takes no room."""
    far = FarFiles(
        files={"huge": b"1", "good": b"1"}, rows=[[("f", size, "", "huge"), ("f", 1, "", "good")]]
    )
    report = unharmed(far, home)
    assert report is not None
    assert ["good"] == [one["path"] for one in report.entries]
    assert ["huge"] == [one["path"] for one in report.refused]
    assert {"good"} == {path.name for path in (home / "out").iterdir()}
    assert len(far.ranges) <= 2


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_bomb_does_not_fill_the_disk(
    home: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What expands beyond the listed size is cut off, for archives and for large files."""
    monkeypatch.setattr(fetch, "_SLACK", 1 << 20)
    zeros = bytes(64 << 20)
    if codec == "zstd":
        bomb = pytest.importorskip("zstandard").ZstdCompressor().compress(zeros)
    else:
        bomb = zlib.compress(zeros, wbits=31)
    report = unharmed(FarFiles(files=GOOD, archive=bomb, programs=codec), home)
    assert report is None or report.entries == ()
    assert sum(path.stat().st_size for path in (home / "out").iterdir()) < 1 << 20


def test_our_own_names_are_not_taken_from_the_pod(home: Path) -> None:
    """A file that bears the name of our drafts or marks can put nothing into our hands."""
    rows = [("f", 1, "", ".rd-0123456789abcdef.part"), ("f", 1, "", ".runpod-deploy-owned")]
    far = FarFiles(files={".rd-0123456789abcdef.part": b"1"}, rows=[[*rows, ("f", 1, "", "good")]])
    far.files["good"] = b"1"
    unharmed(far, home)
    assert {"good"} == {path.name for path in (home / "out").iterdir()}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.lists(
        st.lists(
            st.sampled_from(["..", ".", "", "a", "out", "x", "\n", "\x1b[2J", "~", "*", "é"])
            | st.text(st.characters(exclude_characters="\0/"), max_size=8),
            max_size=6,
        ).map("/".join),
        max_size=5,
        unique=True,
    ),
    kinds=st.lists(st.sampled_from("fdlcp"), min_size=5, max_size=5),
    target=st.sampled_from(["..", "x", "../x", "/x", "a/..", "a"]),
)
def test_no_listing_does_harm(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], kinds: list[str], target: str
) -> None:
    """For any names, kinds and targets: nothing outside changes, no link leads out."""
    home = tmp_path_factory.mktemp("home")
    (home / "x").write_bytes(b"mine")
    (home / "out").mkdir()
    rows = [
        (kind, 1, target if kind == "l" else "", name)
        for name, kind in zip(names, kinds, strict=False)
    ]
    files = {name: b"1" for kind, _, _, name in rows if kind == "f" and _is_text(name)}
    unharmed(FarFiles(files=files, rows=[rows]), home)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
