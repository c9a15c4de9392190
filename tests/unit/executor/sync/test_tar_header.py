"""Tar headers against the standard library's."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.executor.sync.tar_header import read_header, write_header

ASCII_NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1, max_size=100)


@given(
    name=ASCII_NAMES.filter(lambda name: not name.endswith("/")),
    size=st.integers(0, 8**11 - 1),
    mode=st.sampled_from([0o644, 0o755, 0o600]),
    mtime=st.integers(0, 8**11 - 1),
)
def test_a_plain_header_is_what_tarfile_writes(name: str, size: int, mode: int, mtime: int) -> None:
    """It reads back the same, and the bytes up to the device numbers are the same."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, mtime
    ours = write_header(name, size=size, mode=mode, mtime=mtime)
    read = tarfile.TarInfo.frombuf(ours, "utf-8", "surrogateescape")
    assert (read.name, read.size, read.mode, read.mtime) == (name, size, mode, mtime)
    assert (read.uid, read.gid, read.type) == (0, 0, tarfile.REGTYPE)
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    assert ours[:148] == expected[:148]
    assert ours[156:329] == expected[156:329]
    assert len(ours) == 512


@given(
    name=st.text(min_size=1, max_size=60).filter(
        lambda name: "\0" not in name and not name.endswith("/") and len(name.encode()) <= 100
    ),
    size=st.integers(0, 2**62),
    mtime=st.integers(0, 2**40),
)
def test_what_tarfile_writes_is_read(name: str, size: int, mtime: int) -> None:
    """Names beyond ASCII and sizes beyond octal come out of the GNU format as they went in."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, mtime
    header = read_header(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    assert (header.name, header.size, header.mtime) == (name, size, mtime)


@given(block=st.binary(min_size=512, max_size=512))
def test_noise_is_no_header(block: bytes) -> None:
    """Random bytes are refused and nothing else happens."""
    with pytest.raises(ValueError, match=r"checksum|number"):
        read_header(block)
