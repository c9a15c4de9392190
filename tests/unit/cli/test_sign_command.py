"""`plan sign` and what `apply` demands: which flags go together, and when an approval ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.cli.sign_command import expiry
from runpod_deploy.errors import InvalidInput

Call = Callable[..., tuple[int, str, str]]
NOW = 1_767_268_800.0  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("7d", "2026-01-08T12:00:00Z"),
        ("90m", "2026-01-01T13:30:00Z"),
        ("12h", "2026-01-02T00:00:00Z"),
        ("2w", "2026-01-15T12:00:00Z"),
        ("never", None),
    ],
)
def test_a_span_of_time_gives_the_end(text: str, until: str | None) -> None:
    """Counted from now, in UTC."""
    assert until == expiry(text, NOW)


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "1.5h", "7", "9999w", "٣d", "99999999999d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """Zero, negative, endless, or not a number in ASCII."""
    with pytest.raises(InvalidInput, match="--expires"):
        expiry(text, NOW)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--require-signature", "1"), "whose signatures count?"),
        (("--allowed-signers", "allowed"), "demands nothing"),
        (("--require-signature", "0", "--allowed-signers", "allowed"), "at least 1"),
        (("--require-signature", "1", "--allowed-signers", "allowed"), "goes with a saved plan"),
        (("--require-signature", "many", "--allowed-signers", "allowed"), "not a whole number"),
    ],
)
def test_flags_that_demand_nothing_sound_are_refused(
    call: Call, project: Path, flags: tuple[str, ...], told: str
) -> None:
    """Nobody shall believe that signatures were asked for when they were not."""
    status, _, errors = call("run", str(project / "job.yaml"), "--cloud", "emulator", *flags)
    assert 4 == status
    assert told in " ".join(errors.split())


def test_signing_something_else_is_refused(call: Call, project: Path) -> None:
    """A job file is no saved plan."""
    status, _, errors = call("plan", "sign", str(project / "job.yaml"))
    assert 4 == status
    assert "not JSON" in errors
