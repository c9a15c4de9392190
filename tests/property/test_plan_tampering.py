"""Two hundred flipped bits in a saved plan: whatever was flipped, `apply` refuses, and says so."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plan_cases import full_plan_file
from runpod_deploy.cli.app import build
from runpod_deploy.compiler.planfile import dumps, loads
from runpod_deploy.errors import InvalidInput, PlanRefused

FLIPS = 200
SAVED = dumps(full_plan_file())


def identity() -> list[int]:
    """Return the places that belong to the identity: all before `observed`, without the plan's id.

    The id is no part of the hash. It is what a saved plan is claimed and approved by.
    """
    plan_id = SAVED.index(full_plan_file().plan_id.encode())
    inside = range(plan_id, plan_id + len(full_plan_file().plan_id))
    return [place for place in range(SAVED.index(b'"observed"')) if place not in inside]


def flipped() -> list[tuple[int, int]]:
    """Return places and bits, the same ones at each run."""
    chance = random.Random(20260514)
    places = identity()
    return [(chance.choice(places), chance.randrange(8)) for _ in range(FLIPS)]


def with_flip(place: int, bit: int) -> bytes:
    """Return the saved plan with one bit the other way."""
    changed = bytearray(SAVED)
    changed[place] ^= 1 << bit
    return bytes(changed)


def same_plan(data: bytes) -> bool:
    """Tell whether bytes spell the very same plan: JSON has two spellings for some values."""
    try:
        return bool(json.loads(data) == json.loads(SAVED))
    except ValueError:
        return False


def test_no_flipped_bit_is_believed() -> None:
    """Each of 2,000 flips is refused by the reader, with our errors only."""
    chance = random.Random(7)
    places = identity()
    for _ in range(2000):
        data = with_flip(chance.choice(places), chance.randrange(8))
        if same_plan(data):
            continue
        with pytest.raises((InvalidInput, PlanRefused)):
            loads(data, "plan.json")


def test_apply_refuses_each_flip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 200 flips ends `apply` with status 4 or 6, a message, no traceback and no run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    monkeypatch.setattr("runpod_deploy.cli.applying.apply", None)
    saved = tmp_path / "plan.json"
    told = {}
    for place, bit in flipped():
        saved.write_bytes(with_flip(place, bit))
        result = CliRunner().invoke(build(), ["apply", "plan.json", "--yes", "--cloud", "emulator"])
        told[place, bit] = (result.exit_code, result.stderr)
        assert result.exit_code in {4, 6}, (place, bit, result.stderr)
        assert "error:" in result.stderr
        assert "Traceback (most recent call last)" not in result.stderr
        assert "internal error" not in result.stderr

    assert {4, 6} == {status for status, _ in told.values()}
    assert [saved] == [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_the_plan_that_is_flipped_is_a_good_one() -> None:
    """Without a flip the plan is read: what is refused above is refused for the flip."""
    assert full_plan_file() == loads(SAVED, "plan.json")
