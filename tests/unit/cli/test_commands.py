"""Only the command that is asked for is built, and it is the same one."""

import sys
from collections.abc import Callable
from importlib import import_module

import pytest
import typer

from runpod_deploy.cli.app import build, run
from runpod_deploy.cli.commands import COMMANDS, GROUPS, asked_for

WORDS = [*dict.fromkeys(one.name.split(" ")[0] for one in COMMANDS), *GROUPS]


@pytest.mark.parametrize("word", WORDS)
def test_a_command_alone_is_as_among_all(word: str) -> None:
    """Its name, those of two words that begin with it, and the help of each are the same."""
    whole = typer.main.get_command(build()).commands
    alone = typer.main.get_command(build(word)).commands

    assert {name for name in whole if name.split(" ")[0] == word} == set(alone)
    for name, command in alone.items():
        texts = [one.get_help(typer.Context(one, info_name=name)) for one in (command, whole[name])]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("words", [[], ["--help"], ["-v", "plan"], ["plam"], ["--version"], [""]])
def test_whatever_names_no_command_is_for_all_of_them(words: list[str]) -> None:
    """Help, flags before the command and misspelt commands need to know every command."""
    assert asked_for(words) is None


def test_no_list_of_commands_is_cut(
    call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of 80 columns every command has a whole sentence on its own line."""
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], *([name] for name in GROUPS)):
        listed = call(*words, "--help")[1].partition("Commands:\n")[2].partition("\n\n")[0]
        lines = listed.splitlines()
        assert [] == [one for one in lines if not one.endswith(".") or one.endswith("..")], words
        assert max(map(len, lines)) <= 80
        assert words or len(lines) == len(COMMANDS) + len(GROUPS)


def test_every_word_of_a_command_is_known() -> None:
    """The first word decides; what follows does not."""
    assert WORDS == [asked_for([word, "--help"]) for word in WORDS]


def test_each_command_is_where_the_list_says() -> None:
    """Each module has its function, and no name is there twice."""
    for one in COMMANDS:
        assert callable(getattr(import_module(f"runpod_deploy.cli.{one.module}"), one.function))
    assert len(COMMANDS) == len({one.name for one in COMMANDS})


@pytest.mark.parametrize(("completing", "word"), [(False, "plan"), (True, None)])
def test_completion_knows_all_commands(
    monkeypatch: pytest.MonkeyPatch, completing: bool, word: str | None
) -> None:
    """A shell that asks for completions has the words of the command line in its environment instead."""
    asked: list[str | None] = []

    def built(word: str | None = None) -> object:
        asked.append(word)
        return lambda **_: None

    monkeypatch.setattr("runpod_deploy.cli.app.build", built)
    monkeypatch.setattr(sys, "argv", ["runpod-deploy", "plan"])
    if completing:
        monkeypatch.setenv("_RUNPOD_DEPLOY_COMPLETE", "complete_bash")

    run()

    assert [word] == asked
