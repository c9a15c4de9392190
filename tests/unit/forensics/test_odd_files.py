"""Things in a run folder that are not the files they are called: no reader hangs, fails or fills memory."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from forensic_cases import OURS, line, make_run
from runpod_deploy.forensics import compare, iter_events, load_events, load_manifest, summarise
from runpod_deploy.forensics.find import find_run
from runpod_deploy.forensics.query import Filter, query
from runpod_deploy.forensics.report.page import run_page
from runpod_deploy.record import json_lines

NAMES = (
    "runpod_deploy_pull_manifest.json",
    "events.jsonl",
    "metrics.jsonl",
    "plan.json",
    "pip_freeze.txt",
    "run.log",
)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        # The path of a socket may have a hundred bytes only.
        here = Path.cwd()
        os.chdir(path.parent)
        made.bind(path.name)
        os.chdir(here)


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        _socket,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("/dev/zero"),
    ],
    ids=["pipe", "folder", "socket", "loop", "device"],
)
def test_what_is_no_file_says_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Pipe, folder, socket, loop of links, endless device: of such a run nothing is known."""
    odd = make_run(tmp_path, "20260601T000000Z")
    for name in NAMES:
        make(odd / name)
    good = make_run(tmp_path, "20260602T000000Z", OURS, [line("run_started", run_id="r")])

    assert summarise(odd).read_from == "nothing"
    assert load_manifest(odd) is None
    assert "20260601T000000Z" in run_page(odd)
    assert all(row.same for row in compare(odd, odd))
    assert [one.folder for one in query([odd, good], [Filter("run_id", "r")])] == [good]
    # The run beside it is still found by its id.
    assert find_run(str(OURS["run_id"]), tmp_path) == good
    with pytest.raises(OSError, match=r"events\.jsonl"):
        load_events(odd)


def test_a_line_without_end_is_passed_over_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines beyond any that is written hide none around them, by both ways of reading."""
    for module in ("record.json_lines", "forensics.query"):
        monkeypatch.setattr(f"runpod_deploy.{module}.LONGEST_LINE", 3000)
        monkeypatch.setattr(f"runpod_deploy.{module}._PIECE", 1000)
    events = [
        line("a"),
        line("b", text="x" * 9000),
        line("a", number=2),
        line("b", text="y" * 2900),
    ]
    folder = make_run(tmp_path, "20260601T000000Z", None, events)
    with (folder / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "a", "' + b"\0" * 50_000)

    read = [event.event for event in iter_events(folder)]

    assert json_lines.LONGEST_LINE == 3000
    assert read == ["a", "a", "b"]
    assert [match.event.event for match in query([folder])] == read
    assert len(list(query([folder], [Filter("event", "a")]))) == 2
