"""Commands of two words, beside the command of one that the first word is."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from runpod_deploy.cli.app import Root
from runpod_deploy.cli.lean import LeanCommand

commands = typer.Typer(cls=Root, rich_markup_mode=None)


@commands.command("look", cls=LeanCommand)
def look(file: Annotated[Path, typer.Argument()]) -> None:
    """Look at a file."""
    typer.echo(f"look at {file}")


@commands.command("look twice", cls=LeanCommand)
def look_twice(file: Annotated[Path, typer.Argument()]) -> None:
    """Look at a file again."""
    typer.echo(f"look twice at {file}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("look", "job.yaml"), "look at job.yaml\n"),
        (("look", "twice", "job.yaml"), "look twice at job.yaml\n"),
        (("look", "./twice"), "look at twice\n"),
        (("look", "--", "twice"), "look at twice\n"),
    ],
)
def test_the_second_word_chooses(args: tuple[str, ...], said: str) -> None:
    """A second word that names a command does; anything else is the first one's argument."""
    assert said == CliRunner().invoke(commands, list(args)).stdout


def test_usage_and_help_say_both_words() -> None:
    """What is wrong with such a command is told under its whole name, and the help lists both."""
    wrong = CliRunner().invoke(commands, ["look", "twice"])
    assert 4 == wrong.exit_code
    assert "Usage: runpod-deploy look twice [OPTIONS]" in wrong.stderr
    listed = [
        row.split("  ")[1]
        for row in CliRunner().invoke(commands, ["--help"]).stdout.splitlines()
        if "Look" in row
    ]
    assert ["look", "look twice"] == listed
