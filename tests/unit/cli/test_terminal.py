"""Where words go, in which colour, and what a CI runner may not read out of them."""

import pytest

from runpod_deploy.cli.style import wants_color
from runpod_deploy.cli.terminal import defused


@pytest.mark.parametrize(
    ("environ", "tty", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    environ: dict[str, str], tty: bool, colored: bool
) -> None:
    """NO_COLOR comes first, then FORCE_COLOR, then what the stream is."""
    assert colored is wants_color(environ, tty=tty)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("::error::x", ": :error::x"),
        ("  ::set-output name=a::b", "  : :set-output name=a::b"),
        ("fine\n\t::debug::x", "fine\n\t: :debug::x"),
        ("say ##[add-mask]x", "say ## [add-mask]x"),
        ("a::b", "a::b"),
    ],
)
def test_runner_commands_lose_their_form(text: str, safe: str) -> None:
    """Both forms of GitHub's commands are broken up wherever they would work."""
    assert safe == defused(text)
