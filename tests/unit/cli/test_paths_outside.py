"""A job file from a stranger reads nothing of this machine: neither keys nor accounts, by any road.

A home folder with a key in it is planted. Whatever names the key, directly or through links, is refused
by `validate`, `plan` and `estimate`; and no output of theirs, in any format, holds a word of it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]

KEY = "AKIAPLANTEDKEY7NOTREAL"
"""What stands in every file of the planted home."""
HEAD = """\
schema_version: 3
name: stranger
pod: {image: runpod/base:1.0.2, gpu_order: [NVIDIA L4]}
"""
RUN = "run: {body: 'true'}\n"
KINDS = {
    "script": HEAD + "run: {script: PATH}\n",
    "template script": HEAD + "run: {script: PATH, template: true}\n",
    "source": HEAD + RUN + "staging: [{label: x, source: PATH, destination: /root/x}]\n",
    "secret": HEAD + RUN + "secrets: [{name: x, file: PATH, destination: /root/x}]\n",
    "required": HEAD + RUN + "local: {required_paths: [PATH]}\n",
    "extends": "extends: PATH\n" + HEAD + RUN,
    "broken extends": "extends: PATH\nschema_version: 3\nnope: 1\n",
}
OLD = """\
name: stranger
pod: {image: runpod/base:1.0.2, gpu_order: [NVIDIA L4], datacenters: [EU-RO-1]}
storage: {mode: ephemeral, volume_gb: 20}
run: {script_path: /root/r.sh, log_path: /root/r.log, success_marker: OK, body: echo OK}
"""
OLD_KINDS = {
    "source": OLD + "staging: [{label: x, source: PATH, destination: /root/x}]\n",
    "secret": OLD + "secrets: [{name: x, file: PATH, destination: /root/x}]\n",
    "placeholder": OLD
    + "variables: {p: PATH}\nsecrets: [{name: x, file: '{p}', destination: /x}]\n",
}
WAYS = {
    "absolute": "HOME/.aws/credentials",
    "of the home": "~/.aws/credentials",
    "relative": "../home/.aws/credentials",
    "with detours": "./here/../../home/.aws/./credentials",
    "a link": "link",
    "a link to a link": "again",
    "a linked folder": "folder/credentials",
    "beyond a linked folder": "folder/deeper/../credentials",
    "accounts": "/etc/passwd",
    "a link to accounts": "accounts",
}
REPORTS = (
    ("validate", "--format", "json"),
    ("validate", "--format", "github"),
    ("validate", "--format", "sarif"),
    ("validate", "--strict", "-v"),
    ("plan",),
    ("plan", "--format", "json"),
    ("plan", "--format", "markdown"),
    ("estimate",),
)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project beside a home folder with a key, and links from one into the other."""
    home, project = tmp_path / "home", tmp_path / "project"
    (home / ".aws" / "deeper").mkdir(parents=True)
    (project / "here").mkdir(parents=True)
    for name in ("credentials", "credentials.yaml", "deeper/credentials"):
        (home / ".aws" / name).write_text(f"[default]\naws_access_key_id = {KEY}\n")
    for suffix in ("", ".yaml"):
        (project / f"link{suffix}").symlink_to(home / ".aws" / f"credentials{suffix}")
        (project / f"again{suffix}").symlink_to(f"link{suffix}")
        (project / f"accounts{suffix}").symlink_to("/etc/passwd")
    (project / "folder").symlink_to(home / ".aws", target_is_directory=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(project)
    return project


def silent(*texts: str) -> None:
    """Assert that not a word of what is outside stands in the texts."""
    accounts = Path("/etc/passwd").read_text("utf-8").split("\n", 1)[0]
    for text in texts:
        assert KEY not in text
        assert accounts not in text


def refused(call: Call, project: Path, *commands: tuple[str, ...]) -> None:
    """Assert that `plan`, or the commands, refuse the job file and tell nothing of what it names."""
    for command in commands or (("plan", "--scripts", "-v", "-o", "plan.json"),):
        status, out, err = call(command[0], "job.yaml", *command[1:])

        assert status == 4, (command, out, err)
        silent(out, err)
    assert not (project / "plan.json").exists()


def named(path: str, *, yaml: bool) -> str:
    """Return a path with the planted home, and the ending that a job file must have."""
    filled = path.replace("HOME", str(Path.home()))
    return f"{filled}.yaml" if yaml and not filled.startswith("/etc") else filled


def jobs() -> dict[str, str]:
    """Return a job file for each kind of path and each way to write it, by a name for it."""
    files = {
        f"{kind}, {way}": text.replace("PATH", named(path, yaml="extends" in kind))
        for kind, text in KINDS.items()
        for way, path in WAYS.items()
    }
    files |= {
        f"version 2: {kind}, {way}": text.replace("PATH", named(WAYS[way], yaml=False))
        for kind, text in OLD_KINDS.items()
        for way in ("of the home", "relative", "a link", "accounts")
    }
    return files


JOBS = tuple(jobs())


def test_all_of_them_are_refused_by_validate(stranger: Path, call: Call) -> None:
    """Every path out of the project is an error where it stands, and its content appears nowhere."""
    files = {f"{number}.yaml": text for number, text in enumerate(jobs().values())}
    for name, text in files.items():
        (stranger / name).write_text(text)

    status, out, err = call("validate", *files, "--format", "json")

    assert status == 4
    silent(out, err)
    assert [one["file"] for one in json.loads(out)["files"] if one["ok"]] == []
    assert len(json.loads(out)["files"]) == len(files) > 80


@pytest.mark.parametrize("name", JOBS)
def test_none_of_them_gets_a_plan(name: str, stranger: Path, call: Call) -> None:
    """A path out of the project is refused wherever it stands, in files of both versions."""
    (stranger / "job.yaml").write_text(jobs()[name])

    refused(call, stranger)


@pytest.mark.parametrize("kind", ["script", "secret", "broken extends"])
def test_no_command_and_no_format_tells_more(kind: str, stranger: Path, call: Call) -> None:
    """Text, JSON, annotations, SARIF, plans and estimates are all without a word of the key."""
    (stranger / "job.yaml").write_text(jobs()[f"{kind}, a link"])

    refused(call, stranger, *REPORTS)


@pytest.mark.parametrize("root", ["HOME", "..", "~", "/", "folder", "../home/.aws"])
def test_the_project_root_is_no_way_out(root: str, stranger: Path, call: Call) -> None:
    """A root outside is refused before a source below it is looked at."""
    root = root.replace("HOME", str(Path.home()))
    (stranger / "job.yaml").write_text(
        f"{HEAD}{RUN}local: {{project_root: {root}}}\n"
        "staging: [{label: x, source: credentials, destination: /root/x}]\n"
    )

    refused(call, stranger)


def test_a_link_in_a_staged_folder_travels_as_a_link(stranger: Path, call: Call) -> None:
    """What a link inside of a source leads to is not read: neither its content nor its digest is planned."""
    (stranger / "here" / "inner").symlink_to(stranger / "link")
    (stranger / "here" / "tree").symlink_to(Path.home() / ".aws", target_is_directory=True)
    (stranger / "job.yaml").write_text(KINDS["source"].replace("PATH", "here"))

    _, out, err = call("plan", "job.yaml", "--format", "json")

    assert KEY not in out + err
    assert "deeper" not in out + err


def test_what_the_user_allows_is_read(stranger: Path, call: Call) -> None:
    """With `--allow-path` the same file is taken: so it was the path that was refused, and nothing else."""
    (stranger / "job.yaml").write_text(KINDS["source"].replace("PATH", WAYS["a link"]))
    allowed = ("--allow-path", str(Path.home() / ".aws"))

    assert call("validate", "job.yaml")[0] == 4
    assert call("validate", "job.yaml", *allowed)[0] == 0
