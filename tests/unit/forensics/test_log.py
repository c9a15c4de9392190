"""The end of a log, found without reading the whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.forensics import log
from runpod_deploy.forensics.log import log_of, offset_of_last


def last(file: Path, lines: int) -> bytes:
    """Return the last lines of a file."""
    return file.read_bytes()[offset_of_last(file, lines) :]


@pytest.mark.parametrize(
    ("content", "lines", "wanted"),
    [
        (b"", 3, b""),
        (b"one\n", 1, b"one\n"),
        (b"one\ntwo\nthree\n", 2, b"two\nthree\n"),
        (b"one\ntwo\nthr", 2, b"two\nthr"),
        (b"one\ntwo\n", 5, b"one\ntwo\n"),
        (b"one\n\n\n", 2, b"\n\n"),
        (b"one\ntwo\n", 0, b""),
    ],
)
def test_the_last_lines(tmp_path: Path, content: bytes, lines: int, wanted: bytes) -> None:
    """Counted as `tail -n` counts: the line break at the very end begins no line."""
    file = tmp_path / "run.log"
    file.write_bytes(content)
    assert wanted == last(file, lines)


@given(parts=st.lists(st.binary(max_size=9)), lines=st.integers(0, 12), block=st.integers(1, 7))
def test_blocks_do_not_show(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], lines: int, block: int
) -> None:
    """However the file is cut into blocks, the answer is that of the whole."""
    file = tmp_path_factory.mktemp("log") / "run.log"
    content = b"\n".join(parts)
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "_BLOCK", block)
        found = last(file, lines)
    whole = [one + b"\n" for one in content.split(b"\n")]
    whole[-1] = whole[-1][:-1]
    whole = whole if whole[-1] else whole[:-1]
    assert b"".join(whole[-lines:] if lines else []) == found


def test_a_log_of_the_predecessor_has_the_name_it_had_on_the_pod(tmp_path: Path) -> None:
    """One log beside no plan is it; in a folder of ours, and of two, it is `run.log`."""
    assert log_of(tmp_path) == tmp_path / "run.log"
    (tmp_path / "headline.log").write_text("x")
    assert log_of(tmp_path) == tmp_path / "headline.log"
    (tmp_path / "other.log").write_text("x")
    assert log_of(tmp_path) == tmp_path / "run.log"
    (tmp_path / "other.log").unlink()
    (tmp_path / "plan.json").write_text("{}")
    assert log_of(tmp_path) == tmp_path / "run.log"
