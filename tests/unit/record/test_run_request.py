"""Requests to the executor of a run: a file in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runpod_deploy.record.run_request import REQUEST_NAME, answered, ask, asked

AT = "2027-01-15T08:00:00.000000Z"


def test_newest_request_counts_until_it_is_answered(tmp_path: Path) -> None:
    """A person who first detached and then cancels wants the run to end."""
    ask(tmp_path, "detach", by="a person", at=AT)
    ask(tmp_path, "cancel", by="a person", at=AT)
    assert asked(tmp_path) == "cancel"

    answered(tmp_path)
    answered(tmp_path)
    assert asked(tmp_path) is None


def test_request_that_nobody_knows_is_our_bug(tmp_path: Path) -> None:
    """Nothing is written that no executor would understand."""
    with pytest.raises(ValueError, match="explode"):
        ask(tmp_path, "explode", by="a person", at=AT)
    assert not (tmp_path / REQUEST_NAME).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ask": "explode"}', '{"ask": 1}', "[" * 100_000])
def test_spoilt_request_asks_for_nothing(tmp_path: Path, text: str) -> None:
    """A damaged file ends no run."""
    (tmp_path / REQUEST_NAME).write_text(text, "utf-8")

    assert asked(tmp_path) is None
