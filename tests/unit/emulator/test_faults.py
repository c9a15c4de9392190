"""Faults are parsed from text and files, matched, counted down and taken away."""

import json
import re
from pathlib import Path

import pytest

from runpod_deploy.emulator.fault_kinds import KINDS
from runpod_deploy.emulator.faults import (
    COMMON,
    MATCH_FIELDS,
    FaultBoard,
    FaultSyntaxError,
    fault_from,
    parse_fault,
)
from runpod_deploy.emulator.scenario import load_scenario


def test_command_line_form() -> None:
    """Matches, counts and parameters stand side by side behind the kind."""
    fault = parse_fault("stock-out:gpu=NVIDIA L4,datacenter=US-TX-3,times=2,hidden=1")
    expected = {
        "kind": "stock-out",
        "match": {"gpu": "NVIDIA L4", "datacenter": "US-TX-3"},
        "times": 2,
        "skip": 0,
        "after": 0.0,
        "lasts": None,
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


def test_fault_has_its_time() -> None:
    """`after` and `lasts` count on the billing clock, from when the fault came."""
    now = [100.0]
    board = FaultBoard([parse_fault("slow:after=10,lasts=5")], lambda: now[0])
    seen = []
    for moment in (100.0, 109.0, 110.0, 114.9, 115.0):
        now[0] = moment
        seen.append((board.peek("slow") is not None, board.take("slow") is not None))
    assert [(False, False)] * 2 + [(True, True)] * 2 + [(False, False)] == seen


@pytest.mark.parametrize("wrap", [True, False])
def test_scenario_file(tmp_path: Path, wrap: bool) -> None:
    """A scenario is a list of faults, bare or under `faults`; JSON is YAML; a fault may be a text."""
    text = "slow:path=/v2/pods*,seconds=2"
    entries = [{"kind": "slow", "match": {"path": "/v2/pods*"}, "params": {"seconds": 2}}, text]
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"faults": entries} if wrap else entries), encoding="utf-8")
    assert (parse_fault(text), parse_fault(text)) == load_scenario(path).faults


def test_scenario_sets_how_fast_time_runs(tmp_path: Path) -> None:
    """`billing_speed` stands beside the faults; a scenario may also consist of it alone."""
    path = tmp_path / "scenario.yaml"
    path.write_text("description: a quick one\nbilling_speed: 60\nfaults: []\n", encoding="utf-8")
    assert (60.0, ()) == (load_scenario(path).billing_speed, load_scenario(path).faults)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("faults: 3", "a list of faults under"),
        ("- 1", "fault 1 is 1"),
        ("{", r"scenario\.yaml:\d+:\d+: not YAML"),
        ("a: b", "no key 'a'"),
        ("fault: []", "did you mean 'faults'"),
        ("- {kind: slow}\n- {kind: slw}", "fault 2: unknown fault kind 'slw'; did you mean 'slow'"),
        ("- slow:seconds=x", "fault 1: fault 'slow': seconds='x' is not a number"),
        ("- {kind: slow, seconds: .inf}", "cannot be waited|can be waited"),
        ("- {kind: slow, after: -1}", "is negative"),
        ("faults: []\nbilling_speed: fast", "above 0"),
        ("faults: []\nbilling_speed: 0", "above 0"),
        ("just text", "a list of faults"),
    ],
)
def test_mistake_in_a_scenario_is_explained(tmp_path: Path, text: str, part: str) -> None:
    """A file that is no scenario is refused with its name, the fault's number and what is wrong."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FaultSyntaxError, match=part) as caught:
        load_scenario(path)
    assert "scenario.yaml" in str(caught.value)


def test_scenario_that_is_not_there_is_explained(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(FaultSyntaxError, match=r"cannot read the scenario .*no\.yaml"):
        load_scenario(tmp_path / "no.yaml")


def test_every_kind_and_key_is_described() -> None:
    """The reference page tells each kind there is with its outcome, each common key, and no others."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"
    text = page.read_text(encoding="utf-8")
    table = text.partition("## The kinds")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", table, re.MULTILINE)
    assert list(dict.fromkeys(name for name, *_ in rows)) == [name for name, *_ in rows]
    assert set(KINDS) == {name for name, *_ in rows}
    for name in (*COMMON, *MATCH_FIELDS):
        assert f"`{name}`" in text.partition("## A scenario file")[0]
