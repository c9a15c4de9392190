"""`init`: what is written, what is left alone, and that each starter is a job that compiles."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.cli.init_command import Template
from runpod_deploy.schema.hover import published_schema
from runpod_deploy.templates.starter import STARTERS

Call = Callable[..., tuple[int, str, str]]
MODELINE = "# yaml-language-server: $schema=.runpod-deploy/job.schema.json"
each_template = pytest.mark.parametrize("template", Template)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def payload(folder: Path) -> set[str]:
    """Return what the plan in `folder` sends."""
    document = json.loads((folder / "plan.json").read_text())
    first = document["shards"][0] if "shards" in document else document
    return {entry["path"] for files in first["payload"].values() for entry in files}


def test_every_template_has_its_files() -> None:
    """The templates that the command offers are those that there are."""
    assert sorted(Template) == list(STARTERS)


@each_template
def test_a_starter_compiles_without_a_finding(empty: Path, call: Call, template: Template) -> None:
    """An untouched starter is right, and says which schema an editor finds beside it."""
    assert 0 == call("init", "-t", template)[0]

    assert (0, "job.yaml: ok\n", "") == call("validate", "job.yaml", "--strict")
    assert 0 == call("plan", "job.yaml", "-o", "plan.json")[0]
    assert MODELINE == (empty / "job.yaml").read_text().splitlines()[0]
    assert published_schema("job") == (empty / ".runpod-deploy" / "job.schema.json").read_bytes()


@pytest.mark.usefixtures("empty")
@each_template
def test_a_starter_sends_the_program_and_nothing_about_the_job(
    empty: Path, call: Call, template: Template
) -> None:
    """Job file, plan, schema and ignore rules stay at home, so that editing them sends nothing."""
    call("init", "-t", template)
    call("plan", "job.yaml", "-o", "plan.json")
    call("plan", "job.yaml", "-o", "plan.json")

    programs = {path.name for path in empty.glob("*.py")}

    assert programs == payload(empty)
    assert (template is Template.HELLO) == (not programs)


@each_template
def test_each_named_command_exists(empty: Path, call: Call, template: Template) -> None:
    """The commands in the comments, and those of the Makefile fragment, are commands there are."""
    _, _, said = call("init", "-t", template)
    texts = [said, *((empty / name).read_text() for name in ("job.yaml", "runpod.mk"))]
    commands = set(re.findall(r"(?:runpod-deploy|\(RUNPOD_DEPLOY\)) +([a-z-]+)", "".join(texts)))

    assert {"validate", "plan", "apply", "schema"} <= commands
    assert [] == [name for name in commands if call(name, "--help")[0] != 0]


@pytest.mark.usefixtures("empty")
def test_what_to_do_next_is_said(call: Call) -> None:
    """The last lines can be pasted into the shell; a folder is made where there is none."""
    status, out, err = call("init", "new/project")

    assert (0, "") == (status, out)
    assert "Written: new/project/job.yaml" in err
    assert "\n  runpod-deploy plan new/project/job.yaml\n" in err
    assert 0 == call("plan", "new/project/job.yaml")[0]


def test_a_job_file_of_yours_is_not_replaced(empty: Path, call: Call) -> None:
    """A file in the way is named, nothing at all is written, and --force replaces it."""
    (empty / "job.yaml").write_text("mine\n")

    status, _, err = call("init")

    assert 4 == status
    assert "job.yaml is there already, and nothing was written" in err
    assert ["job.yaml"] == [path.name for path in empty.iterdir()]
    assert "mine\n" == (empty / "job.yaml").read_text()

    assert 0 == call("init", "--force")[0]
    assert (empty / "job.yaml").read_text().startswith(MODELINE)


def test_a_program_of_yours_is_never_replaced(empty: Path, call: Call) -> None:
    """The sample program stands in for yours: where there is one it stays, even with --force."""
    (empty / "train.py").write_text("mine\n")

    for flags in ((), ("--force",)):
        status, _, err = call("init", "-t", "train", *flags)
        assert 0 == status
        assert "Left as it is: train.py" in err
    assert "mine\n" == (empty / "train.py").read_text()


def test_a_second_call_changes_nothing(empty: Path, call: Call) -> None:
    """Files that are there with the same content are no obstacle."""
    call("init", "-t", "eval")
    before = {path: path.read_bytes() for path in empty.rglob("*") if path.is_file()}

    assert 0 == call("init", "-t", "eval")[0]
    assert before == {path: path.read_bytes() for path in empty.rglob("*") if path.is_file()}


def test_a_link_in_the_way_is_not_followed(empty: Path, call: Call, tmp_path: Path) -> None:
    """A dangling link counts as a file that is there."""
    (empty / "runpod.mk").symlink_to(tmp_path / "elsewhere")

    assert 4 == call("init")[0]
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_left_half_done(empty: Path, call: Call) -> None:
    """When a file cannot be written, those written before it are taken back."""
    (empty / ".runpod-deploy").write_text("a file where a folder is needed\n")

    status, _, err = call("init")

    assert 4 == status
    assert ".runpod-deploy/job.schema.json cannot be written" in err
    assert [".runpod-deploy"] == [path.name for path in empty.iterdir()]


def test_a_key_of_the_future_is_answered_with_what_to_do_now(empty: Path, call: Call) -> None:
    """A kind of cluster that is not carried out is refused as planned, with the way that works today."""
    call("init", "-t", "hello")
    with (empty / "job.yaml").open("a") as job:
        job.write("cluster: {nodes: 2, type: RAY}\n")

    status, _, err = call("plan", "job.yaml")

    assert 4 == status
    assert "planned" in err
    assert "`TRAINING` runs the script on every node" in " ".join(err.split())
