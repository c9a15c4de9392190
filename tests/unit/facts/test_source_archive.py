"""The archive beside a saved plan: the same for the same files, and harmless whoever wrote it."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.source_archive import pack, unpack


def test_files_and_links_come_back_as_they_were(tmp_path: Path) -> None:
    """Content, exec bit and target; time and permissions beyond that do not count."""
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "deep").mkdir(parents=True)
    (one / "deep" / "ü.txt").write_bytes(b"\0\xff")
    (one / "tool").write_text("#!/bin/sh\n")
    (one / "tool").chmod(0o711)
    (one / "link").symlink_to("deep/./ü.txt")
    names = ["tool", "deep/ü.txt", "link"]
    data = pack(one, names)
    os.utime(one / "tool", (1, 1))
    (one / "tool").chmod(0o755)
    assert data == pack(one, reversed(names))

    assert set(names) == set(unpack(data, two, (), "kept.tar"))
    assert b"\0\xff" == (two / "deep" / "ü.txt").read_bytes()
    assert "deep/./ü.txt" == os.readlink(two / "link")  # noqa: PTH115 - as it is written
    assert [True, False] == [
        os.access(two / name, os.X_OK) and (two / name).stat().st_mode & 0o100 != 0
        for name in ("tool", "deep/ü.txt")
    ]


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "a//b", "./a", ".git/config", "a/.GIT/hooks/x"]
)
def test_no_name_leads_out_or_into_git(tmp_path: Path, name: str) -> None:
    """Nothing is written then."""
    with pytest.raises(InvalidInput, match="which no archive of a plan does"):
        unpack(tar_of((tarfile.REGTYPE, name, "")), tmp_path / "in", (), "kept.tar")
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE])
def test_only_files_and_links_are_taken(tmp_path: Path, kind: bytes) -> None:
    """No pipes, devices or hard links."""
    with pytest.raises(InvalidInput, match="which no archive of a plan does"):
        unpack(tar_of((kind, "x", "y")), tmp_path, (), "kept.tar")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A link whose name others use as a folder, in either order."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = (tarfile.SYMTYPE, "a", str(outside))
    file = (tarfile.REGTYPE, "a/x", "")
    for number, members in enumerate([(link, file), (file, link)]):
        with pytest.raises(InvalidInput, match="cannot be unpacked"):
            unpack(tar_of(*members), tmp_path / str(number), (), "kept.tar")
    assert [] == list(outside.iterdir())


def test_names_of_the_commit_and_names_twice_are_refused(tmp_path: Path) -> None:
    """An archive only adds."""
    twice = tar_of((tarfile.REGTYPE, "a", ""), (tarfile.REGTYPE, "a", ""))
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        unpack(twice, tmp_path / "one", (), "kept.tar")
    with pytest.raises(InvalidInput, match="which the commit holds as well"):
        unpack(twice, tmp_path / "two", {"a"}, "kept.tar")
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        unpack(b"no archive", tmp_path / "three", (), "kept.tar")


def tar_of(*members: tuple[bytes, str, str]) -> bytes:
    """Return an archive of empty members: type, name, target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, name, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return buffer.getvalue()
