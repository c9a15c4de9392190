"""What the emulator's daemon takes from its surroundings."""

import pytest

from runpod_deploy.emulator.daemon import given_key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("rpa_MINE", "rpa_MINE"),
        (" rpa_MINE\r\n", "rpa_MINE"),
        ("rpa MINE", None),
        ("rpa_MINE\nX: y", None),
        ("schlüssel", None),
        ("\n", None),
        ("", None),
    ],
)
def test_only_a_key_that_a_header_can_carry_is_taken(value: str, key: str | None) -> None:
    """A pasted line end is dropped; anything else unfit gives way to a key of the emulator's own."""
    assert key == given_key({"RUNPOD_API_KEY": value})


def test_without_a_key_none_is_given() -> None:
    """The emulator then makes one."""
    assert given_key({}) is None
