"""`validate`: which files, in which form, and with which exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.cli.annotations import render_github

Call = Callable[..., tuple[int, str, str]]
WARNED = "lint: {ignore: [no-such-code]}\n"


@pytest.fixture
def jobs(project: Path) -> Path:
    """A folder with a good file, one with a warning, a bad one, and one of something else."""
    folder = project / "jobs"
    folder.mkdir()
    good = (project / "job.yaml").read_text()
    (folder / "good.yaml").write_text(good)
    (folder / "warned.yaml").write_text(good + WARNED)
    (folder / "bad.yaml").write_text(good.replace("name: small", "title: small"))
    (folder / "compose.yaml").write_text("services: {}\n")
    return folder


def test_good_files_get_a_line_each(project: Path, call: Call) -> None:
    """Every file that is right is said to be."""
    (project / "other.yaml").write_text((project / "job.yaml").read_text())
    assert (0, "job.yaml: ok\nother.yaml: ok\n", "") == call("validate", "job.yaml", "other.yaml")


def test_one_bad_file_fails_the_lot_and_hides_nothing(project: Path, call: Call) -> None:
    """All files are checked; the status is 4 when one of them is wrong."""
    (project / "bad.yaml").write_text("schema_version: 3\n")
    status, out, err = call("validate", "bad.yaml", "job.yaml")
    assert (4, "job.yaml: ok\n") == (status, out)
    assert "bad.yaml" in err


def test_nothing_to_check_is_a_usage_error(
    project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without a job file does not pass for success, whether it was named or not."""
    (project / "empty").mkdir()

    status, _, err = call("validate", "empty")
    assert status == 4
    assert "no job file in empty" in err
    assert "`schema_version`" in err
    monkeypatch.chdir(project / "empty")
    status, _, err = call("validate")
    assert status == 4
    assert f"no job file in the working folder, {project / 'empty'}" in err
    assert "runpod-deploy init" in err


def test_without_a_name_the_working_folder_is_checked(
    jobs: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`validate` alone checks the job files of this folder, but never those of a whole home."""
    monkeypatch.chdir(jobs)

    assert (4, "good.yaml: ok\nwarned.yaml: ok\n") == call("validate")[:2]
    monkeypatch.setenv("HOME", str(jobs))
    status, out, err = call("validate")
    assert (4, "") == (status, out)
    assert "validate DIR" in err


@pytest.mark.usefixtures("jobs")
def test_a_folder_is_searched_and_the_rest_counted(call: Call) -> None:
    """Job files of a folder are checked, each once, and other YAML files are told, not complained of."""
    status, out, err = call("validate", "jobs", "jobs/good.yaml")

    assert (status, out) == (4, "jobs/good.yaml: ok\njobs/warned.yaml: ok\n")
    assert err.count("error: ") == 2
    assert "3 job files checked, 1 wrong. 1 other YAML file skipped" in err
    assert "jobs/compose.yaml: skipped, no job file" in call("validate", "jobs", "-v")[2]


@pytest.mark.usefixtures("jobs")
def test_strict_lets_warnings_fail(call: Call) -> None:
    """A warning alone fails with --strict only, and says that it is for that."""
    assert call("validate", "jobs/warned.yaml")[0] == 0
    for how in ("text", "github", "sarif"):
        status, out, err = call("validate", "jobs/warned.yaml", "--strict", "--format", how)

        assert status == 4
        assert ": ok" not in out
        assert "jobs/warned.yaml: refused, because warnings fail with --strict" in err
    assert call("validate", "jobs/good.yaml", "--strict")[0] == 0


@pytest.mark.usefixtures("jobs")
def test_findings_come_as_data_too(call: Call) -> None:
    """The JSON form holds each file with its diagnostics, and what was skipped."""
    status, out, err = call("validate", "jobs", "--format", "json", "-q")

    document = json.loads(out)
    assert (status, err) == (4, "")
    assert document["ok"] is False
    assert {file["file"]: file["ok"] for file in document["files"]} == {
        "jobs/bad.yaml": False,
        "jobs/good.yaml": True,
        "jobs/warned.yaml": True,
    }
    assert document["files"][0]["diagnostics"][0]["file"] == "jobs/bad.yaml"
    assert document["skipped"] == [{"file": "jobs/compose.yaml", "reason": "no job file"}]


@pytest.mark.usefixtures("jobs")
def test_a_runner_gets_commands_that_nothing_defuses(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GitHub runner the annotations are the only lines that are commands."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    status, out, _ = call("validate", "jobs", "--format", "github")

    assert status == 4
    assert [line.partition(" ")[0] for line in out.splitlines()] == [
        "::error",
        "::error",
        "::warning",
    ]
    assert "file=jobs/bad.yaml,line=2" in out
    assert render_github([], environ={}, cwd=Path()) == ""


@pytest.mark.usefixtures("jobs")
def test_code_scanning_gets_one_log_for_all_files(call: Call) -> None:
    """The SARIF log holds the findings of every file."""
    status, out, _ = call("validate", "jobs", "--format", "sarif")

    results = json.loads(out)["runs"][0]["results"]
    assert status == 4
    assert sorted(one["ruleId"] for one in results) == [
        "missing-key",
        "unknown-key",
        "unknown-lint",
    ]


def test_an_unknown_format_is_refused(call: Call) -> None:
    """The forms there are, are listed."""
    status, _, err = call("validate", "job.yaml", "--format", "xml")

    assert status == 4
    assert "github" in err


def test_all_that_is_wrong_is_told_at_once(project: Path, call: Call) -> None:
    """Faults of shape hide neither a typo in a name, nor a path, nor a template; nothing false is said."""
    (project / "job.yaml").write_text(
        "schema_version: 3\nname: bad\n"
        "pod:\n  image: runpod/base:1.0\n  gpu_order: [RTX4090]\n  gpu_cout: 2\n  min_cudaa: '12.8'\n"
        "budget: {cost_cap_usd: lots}\n"
        "staging:\n  - {label: code, source: nowhere, destination: /root/src}\n"
        "run:\n  body: echo {{ sead }}\n"
    )
    for command in ("validate", "plan"):
        status, out, err = call(command, "job.yaml")
        text = out + err
        assert 4 == status
        places = ("5:15", "6:3", "7:3", "8:24", "10:27", "12:17")
        assert [] == [one for one in places if f"job.yaml:{one}" not in text], text
        assert 6 == text.count("--> job.yaml:")
        assert "5 errors, 1 warning" in text


def test_a_wrong_item_hides_nothing_beside_its_list(project: Path, call: Call) -> None:
    """GPUs, paths and names are told all the same, and nothing that the list may have been for."""
    (project / "job.yaml").write_text(
        "schema_version: 3\nname: bad\n"
        "pod:\n  image: runpod/base:1.0.2-ubuntu2204\n  gpu_order: [NVDIA L4]\n"
        "local: {required_paths: [nowhere]}\n"
        "secrets: [HF_TOKEN]\nremote_env: {source_files: [/root/hub.env]}\n"
        "run:\n  body: echo {{ sead }}\n"
    )
    status, _, err = call("validate", "job.yaml")
    assert 4 == status
    places = ("5:15", "6:26", "7:11", "10:17")
    assert [] == [one for one in places if f"job.yaml:{one}" not in err], err
    assert len(places) == err.count("--> job.yaml:"), err
    assert '- {"name": "hub"' in err


def test_a_place_is_not_told_of_twice(project: Path, call: Call) -> None:
    """What the schema refuses and a check as well is one error."""
    text = (project / "job.yaml").read_text()
    (project / "job.yaml").write_text(text.replace("pod:\n", "pod:\n  env: {PUBLIC_KEY: x}\n"))
    status, _, err = call("validate", "job.yaml")
    assert (4, 1) == (status, err.count("--> job.yaml:"))
