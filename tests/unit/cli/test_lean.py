"""Flags are converted without Pydantic, and to the same values."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.cli import lean

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("project")
def test_no_flag_of_plan_is_converted_by_typer(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every kind of flag given, all values go through our own converters."""
    seen: list[object] = []
    original = lean.Direct.coerce

    def coerce(self: lean.Direct, value: object, param: object, ctx: object) -> object:
        result = original(self, value, param, ctx)
        seen.append(result)
        return result

    monkeypatch.setattr(lean.Direct, "coerce", coerce)
    status, _, _ = call(
        *("plan", "job.yaml", "--var", "seed=8", "--allow-path", "x", "--format", "json")
    )
    assert 0 == status
    assert Path("job.yaml") in seen
    assert ["seed=8"] in seen
    assert [Path("x")] in seen


def test_a_typer_without_converters_is_left_alone() -> None:
    """Older versions have nothing to replace."""
    bare = object()
    assert [bare] == lean.spared([bare])


def test_a_wrong_choice_names_the_right_ones(call: Call) -> None:
    """The message reads as Typer's own."""
    status, _, err = call("plan", "x", "--format", "xml")
    assert 4 == status
    assert "'xml' is not one of 'text', 'json', 'markdown'." in err


@pytest.mark.parametrize(
    ("size", "said"), [("5", "5 is less than 10."), ("5000", "5000 is more than 4096.")]
)
def test_a_number_keeps_to_the_bounds_of_the_help(call: Call, size: str, said: str) -> None:
    """What the help promises is refused here, and not by whoever is asked next."""
    status, _, err = call("volume", "create", "x", "--size", size, "--datacenter", "EU-RO-1")
    assert (4, True) == (status, said in err)
