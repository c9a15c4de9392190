"""The scripts on the pod: whatever a value holds, a shell reads it as one word and runs nothing of it."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.compiler.late_bound import fill_quoted, token
from support.pod_scripts import render, run_context

HOSTILE = [
    "",
    " ",
    "it's",
    '"',
    "$(touch /tmp/pwned)",
    "`id`",
    "a; rm -rf /",
    "a\nb=c\nexport PATH=",
    "${HOME}",
    "#no comment",
    "back\\slash\\",
    "~root",
    "*?[a]",
    "-n",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "trailing\n",
    "ünïcode \u202e",
    "''''",
    "\t\r",
]


def words(text: str) -> list[str]:
    """Return the words a shell reads, comments left out."""
    return shlex.split(text, comments=True, posix=True)


@pytest.mark.parametrize("value", HOSTILE)
def test_env_exports_exactly_the_values(value: str) -> None:
    """Each export is one word with its value, byte for byte; each file to source is one word."""
    text = render("env", exports={"A": value, "B": "x"}, source_files=[f"/s/{value}"])
    assert [".", f"/s/{value}", "export", f"A={value}", "export", "B=x"] == words(text)


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40))
def test_any_text_is_one_word(value: str) -> None:
    """No text at all ends its own quotes."""
    assert ["export", f"A={value}"] == words(render("env", exports={"A": value}))


@pytest.mark.parametrize("value", HOSTILE)
def test_secret_files_are_asked_for_and_sourced_by_their_names(value: str) -> None:
    """A secret's file is tested and sourced as one word."""
    text = render("env", secret_files=[f"/s/{value}"])
    path = f"/s/{value}"
    ends = words(text.replace("];", "] ;").replace("; fi", " ; fi"))
    assert ["if", "[", "-r", path, "]", ";", "then", ".", path, ";", "fi"] == ends


@pytest.mark.parametrize("value", HOSTILE)
def test_supervisor_holds_paths_and_command_as_words(value: str) -> None:
    """Home, log, working directory, environment and command of the run stand quoted in the supervisor."""
    path = f"/w/{value}"
    text = render(
        "supervisor",
        home=path,
        run=run_context(
            command=["bash", "-c", value, path], env={"E": value}, workdir=path, log_path=path
        ),
    )
    read = words(text)
    assert f"home={path}" in read
    assert f"log={path}" in read
    where = read.index("exec", read.index("launch()"))
    assert ["exec", "bash", "-c", value, path] == read[where : where + 5]
    assert ["export", f"E={value}", "cd", path, "||"] == read[where - 7 : where - 2]


@pytest.mark.parametrize("value", [value for value in HOSTILE if value])
def test_step_sources_its_folder_as_one_word(value: str) -> None:
    """The step script names its folder quoted, the file names behind it."""
    read = words(render("step", home=f"/w/{value}"))
    assert 1 == read.count(f"home=/w/{value}")
    assert 1 == read.count("$home/bin/base-env.sh")
    assert 1 == read.count("$home/bin/env.sh")


@pytest.mark.parametrize("value", HOSTILE)
def test_late_bound_values_cannot_end_their_quotes(value: str) -> None:
    """A token that is filled after rendering, as by a folder's name, stays one word."""
    text = render(
        "base-env", late_bound={"RUN_DIR": token("run_dir"), "RUN_ID": f"a {token('run_id')} b"}
    )
    filled = fill_quoted(text, {"run_dir": value, "run_id": value})
    tail = filled[filled.index("export RUNPOD_DEPLOY_") :]
    assert [
        "export",
        f"RUNPOD_DEPLOY_RUN_DIR={value}",
        "export",
        f"RUNPOD_DEPLOY_RUN_ID=a {value} b",
    ] == words(tail)


def test_boot_script_survives_the_image_that_prints_the_environment() -> None:
    """Official images write each line `NAME=…` of the environment, quoted once more, into a shell file."""
    lines = render("boot").splitlines()
    assert not [line for line in lines if re.match(r"[A-Z_][A-Z0-9_]*=", line)]
    assert not set("\"'`$\\!") & set(lines[0])


@pytest.mark.parametrize(
    "name", ["env", "base-env", "step", "supervisor", "lease", "boot", "upload"]
)
def test_scripts_are_whole_texts(name: str) -> None:
    """Every script ends with a newline and has no Windows line ends or template left."""
    text = render(name, exports={"A": "1"}, late_bound={"RUN_ID": token("run_id")})
    assert text.endswith("\n")
    assert not any(mark in text for mark in ("\r", "{{", "{%", "}}", "%}"))
