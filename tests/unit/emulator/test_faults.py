"""Faults are parsed from text and files, matched, counted down and taken away."""

import json
from pathlib import Path

import pytest

from runpod_deploy.emulator.faults import (
    KINDS,
    FaultBoard,
    FaultSyntaxError,
    fault_from,
    load_scenario,
    parse_fault,
)


def test_command_line_form() -> None:
    """Matches, counts and parameters stand side by side behind the kind."""
    fault = parse_fault("stock-out:gpu=NVIDIA L4,datacenter=US-TX-3,times=2,hidden=1")
    expected = {
        "kind": "stock-out",
        "match": {"gpu": "NVIDIA L4", "datacenter": "US-TX-3"},
        "times": 2,
        "skip": 0,
        "params": {"hidden": 1.0},
    }
    assert expected == fault.document()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_document_reads_back(kind: str) -> None:
    """What the admin API shows of a fault is what it takes."""
    fault = parse_fault(f"{kind}:name=rd-*")
    assert fault == fault_from(fault.document())


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("stockout", "did you mean 'stock-out'?"),
        ("stock-out:gpus=L4", "did you mean 'gpu'?"),
        ("stock-out:gpu", "not of the form key=value"),
        ("slow:seconds=long", "is not a number"),
        ("slow:times=-1", "is negative"),
        ("slow:times=x", "not a whole number"),
        ("zero-gpus:when=never", "is none of create, start, always"),
        ("slow:factor=2", "has no key 'factor'"),
    ],
)
def test_mistake_is_explained(text: str, part: str) -> None:
    """A fault that cannot be understood says what would be."""
    with pytest.raises(FaultSyntaxError) as caught:
        parse_fault(text)
    assert part in str(caught.value)


def test_times_count_down() -> None:
    """A fault that happens twice is over after that."""
    board = FaultBoard([parse_fault("delete-fails:times=2")])
    assert [True, True, False] == [board.take("delete-fails") is not None for _ in range(3)]


def test_skip_lets_the_first_pass() -> None:
    """A fault with skip=1 happens at the second occasion."""
    board = FaultBoard([parse_fault("create-5xx-after:skip=1")])
    taken = [board.take("create-5xx-after") is not None for _ in range(3)]
    assert [False, True, False] == taken


def test_patterns_match_known_values_only() -> None:
    """A pattern on something that is not known at that place does not match."""
    board = FaultBoard([parse_fault("slow:gpu=NVIDIA L4*")])
    assert board.take("slow", path="/v2/pods") is None
    assert board.take("slow", gpu="NVIDIA L40S") is not None


def test_first_of_several_is_used() -> None:
    """Of two faults that match, the older one goes first."""
    board = FaultBoard(
        [parse_fault("server-error:times=1"), parse_fault("server-error:status=502")]
    )
    statuses = [fault.number("status") for _ in range(2) if (fault := board.take("server-error"))]
    assert [503, 502] == statuses


def test_peek_uses_nothing_up() -> None:
    """Looking at a fault leaves it."""
    board = FaultBoard([parse_fault("stock-out:times=1")])
    assert board.peek("stock-out") is board.peek("stock-out") is not None


def test_clear_by_kind() -> None:
    """One kind can be taken away, the others stay."""
    board = FaultBoard([parse_fault("slow"), parse_fault("never-ready")])
    assert 1 == board.clear("slow")
    assert ["never-ready"] == [fault["kind"] for fault in board.documents()]


@pytest.mark.parametrize("wrap", [True, False])
def test_scenario_file(tmp_path: Path, wrap: bool) -> None:
    """A scenario is a list of faults, bare or under `faults`; JSON is YAML."""
    entries = [{"kind": "slow", "match": {"path": "/v2/pods*"}, "params": {"seconds": 2}}]
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"faults": entries} if wrap else entries), encoding="utf-8")
    assert [parse_fault("slow:path=/v2/pods*,seconds=2")] == load_scenario(path)


@pytest.mark.parametrize("text", ["faults: 3", "- 1", "{", "a: b"])
def test_scenario_of_another_form(tmp_path: Path, text: str) -> None:
    """A file that is no scenario is refused with its name."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FaultSyntaxError, match=r"scenario\.yaml"):
        load_scenario(path)
