"""Facts about a project, and what is told of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler_cases import merged
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.errors import InvalidInput, Severity
from runpod_deploy.facts.gather import gather
from runpod_deploy.facts.plan_job import plan_job
from runpod_deploy.schema.load import load

Write = Callable[..., Path]
BASE: dict[str, Any] = {
    "schema_version": 3,
    "name": "hello",
    "pod": {"image": "runpod/base:1.0", "gpu_order": ["NVIDIA A40"]},
}
CODE = {"label": "code", "source": "src", "destination": "/workspace/app"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty repository, with the home folder elsewhere."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "repo"
    (root / ".git").mkdir(parents=True)
    return root


def write_job(folder: Path, over: dict[str, Any]) -> Path:
    """Write a job file into `folder` and return it."""
    base = BASE if "script" in over.get("run", {}) else merged(BASE, {"run": {"body": "true\n"}})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.yaml").write_text(yaml.safe_dump(merged(base, over), allow_unicode=True))
    return folder / "job.yaml"


def grown(root: Path, *paths: str) -> None:
    """Make small files below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def looked_up(folder: Path, over: dict[str, Any], **options: Any) -> Facts:
    """Return the facts about a job file in `folder`."""
    return gather(load(write_job(folder, over)), **options)


def errors(facts: Facts) -> list[str]:
    """Return the codes of the errors among the facts."""
    return [d.code for d in facts.diagnostics if d.severity is Severity.ERROR]


def warnings(facts: Facts) -> list[str]:
    """Return the codes of the warnings among the facts."""
    return [d.code for d in facts.diagnostics if d.severity is Severity.WARNING]


def test_payload_and_excludes(project: Path) -> None:
    """Each staging has its files and the patterns that chose them."""
    grown(project, "src/a.py", "src/a.pyc", "src/data/x", "src/__pycache__/y")

    facts = looked_up(project, {"staging": [CODE | {"excludes": ["data/"]}]})

    assert ["a.py"] == [entry.path for entry in facts.payload["code"]]
    assert ("data/", ".git", ".venv") == facts.excludes["code"][:3]
    assert "job.yaml" == facts.job_file
    assert () == facts.diagnostics


def test_source_and_labels_are_rendered(project: Path) -> None:
    """Templates in the source are filled before it is looked at."""
    grown(project, "src/a")
    over = {"variables": {"where": "src"}, "staging": [CODE | {"source": "{{ where }}"}]}

    assert ["a"] == [entry.path for entry in looked_up(project, over).payload["code"]]


def test_own_run_folders_never_travel(project: Path) -> None:
    """Old results stay here unless a job names one of them as its source."""
    grown(project, "a", "artifacts/runpod/20260101T000000Z/out", "artifacts/other")
    whole = CODE | {"source": "."}
    one = CODE | {"label": "one", "source": "artifacts/runpod/20260101T000000Z"}

    facts = looked_up(project, {"staging": [whole, one]})

    assert ["a", "job.yaml"] == [e.path for e in facts.payload["code"]]
    assert "/artifacts/runpod/" == facts.excludes["code"][0]
    assert ["out"] == [entry.path for entry in facts.payload["one"]]


def test_what_planning_and_running_leave_stays_here_by_default(project: Path) -> None:
    """A saved plan, its neighbours and results change no later plan; a job may take them in again."""
    left = (
        "plan.json",
        "plan.json.patch",
        "night.plan.json",
        "sweep.json",
        "artifacts/report.html",
    )
    grown(project, "a", "data/plan.json", *left)
    whole = CODE | {"source": "."}

    facts = looked_up(project, {"staging": [whole]})
    assert ["a", "data/plan.json", "job.yaml"] == [one.path for one in facts.payload["code"]]

    for more in ({"excludes_default": False}, {"excludes": ["+ /artifacts/", "+ *.json*"]}):
        facts = looked_up(project, {"staging": [whole | more]})
        sent = {one.path for one in facts.payload["code"]}
        assert {"plan.json", "artifacts/report.html"} <= sent


def test_the_state_file_never_travels(project: Path) -> None:
    """What a run that keeps its pod writes beside the code does not change the next run's plan."""
    own = (".gitignore", "hello.json", ".hello.json.lock", "job.schema.json")
    grown(project, "a", *(f".runpod-deploy/{name}" for name in own))
    over = {
        "storage": {"mode": "ephemeral", "volume_gb": 20},
        "lifecycle": {"on_success": "recycle"},
        "staging": [CODE | {"source": ".", "gitignore": False}],
    }

    assert [".runpod-deploy/job.schema.json", "a", "job.yaml"] == [
        entry.path for entry in looked_up(project, over).payload["code"]
    ]


def test_the_job_file_may_lie_apart_from_the_root(project: Path) -> None:
    """The job's path is relative to the root, which is relative to the job file's folder."""
    grown(project, "src/a")

    facts = looked_up(
        project / "jobs" / "x", {"local": {"project_root": "../.."}, "staging": [CODE]}
    )

    assert "jobs/x/job.yaml" == facts.job_file
    assert ["a"] == [entry.path for entry in facts.payload["code"]]


@pytest.mark.parametrize(
    "over",
    [
        {"staging": [CODE | {"source": "../outside"}]},
        {"staging": [CODE | {"source": "link"}]},
        {"run": {"script": "../outside/run.sh"}},
        {"run": {"script": "link/run.sh"}},
        {"secrets": [{"name": "k", "destination": "/k", "file": "../outside/key"}]},
        {"secrets": [{"name": "k", "destination": "/k", "file": "/etc/hostname"}]},
        {"secrets": [{"name": "k", "destination": "/k", "file": "~/key"}]},
        {"local": {"required_paths": ["../outside"]}},
        {"local": {"project_root": "../outside"}},
    ],
)
def test_paths_that_leave_the_repository_are_refused(over: dict[str, Any], project: Path) -> None:
    """No path of a job may lead out, by dots or by links; a person may allow it."""
    outside = project.parent / "outside"
    grown(outside, "run.sh", "key")
    grown(project.parent, "home/key")
    (project / "link").symlink_to(outside)

    assert ["path-outside"] == errors(looked_up(project, over))
    assert [] == errors(looked_up(project, over, allow_paths=[project.parent, Path("/etc")]))


@pytest.mark.parametrize(
    ("over", "codes"),
    [
        ({"local": {"project_root": "a" * 300}}, ["missing-path"]),
        ({"local": {"project_root": "a/" * 3000}}, ["missing-path"]),
        ({"staging": [CODE | {"source": "~nobody-of-that-name/x"}]}, ["absolute-path"]),
        ({"run": {"script": "~nobody-of-that-name/x"}}, ["absolute-path"]),
        (
            {"secrets": [{"name": "k", "destination": "/k", "file": "~nobody-of-that-name/x"}]},
            [],
        ),
    ],
)
def test_paths_that_the_system_cannot_take_are_diagnostics(
    over: dict[str, Any], codes: list[str], project: Path
) -> None:
    """A name that is too long, or the home of a user who does not exist, ends in no traceback."""
    assert codes == errors(looked_up(project, over))


@pytest.mark.parametrize(
    "over",
    [
        {"run": {"script": ".git/config"}},
        {"run": {"script": "link/config"}},
        {"staging": [CODE | {"source": ".git"}]},
        {"secrets": [{"name": "k", "destination": "/k", "file": ".git/config"}]},
    ],
)
def test_gits_own_folder_is_no_part_of_the_repository(over: dict[str, Any], project: Path) -> None:
    """Its config may hold a token: no path of a job leads there, and nothing of it is read."""
    (project / ".git" / "config").write_text("token = planted")
    (project / "link").symlink_to(".git")
    facts = looked_up(project, over)

    assert ["path-outside"] == errors(facts)
    assert "planted" not in repr(facts)


def test_without_a_repository_the_job_files_folder_is_the_bound(project: Path) -> None:
    """Where there is no git, nothing above the job file may be touched."""
    (project / ".git").rmdir()
    grown(project, "src/a")
    over = {"staging": [CODE | {"source": "../src"}]}

    assert ["path-outside"] == errors(looked_up(project / "jobs", over))


def test_a_repository_of_everything_is_no_bound(project: Path) -> None:
    """A home folder under git does not open all of a user's files to a job file."""
    home = project.parent / "home"
    (home / ".git").mkdir()
    grown(home, ".ssh/id_ed25519")
    over = {"staging": [CODE | {"source": "../.ssh"}]}

    assert ["path-outside"] == errors(looked_up(home / "project", over))


def test_home_and_root_are_no_projects(project: Path) -> None:
    """One `..` too many does not send everything."""
    home = project.parent / "home"
    facts = looked_up(
        home / "project", {"local": {"project_root": ".."}, "staging": [CODE | {"source": "."}]}
    )

    assert ["project-root"] == errors(facts)
    assert {} == facts.payload
    root = looked_up(project, {"local": {"project_root": "/"}})
    assert ["project-root"] == errors(root)


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"staging": [CODE | {"source": "nope"}]}, "missing-path"),
        ({"staging": [CODE | {"source": "/abs"}]}, "absolute-path"),
        ({"run": {"script": "nope.sh"}}, "missing-path"),
        ({"run": {"script": "src"}}, "script-file"),
        ({"run": {"script": "latin1.sh"}}, "script-file"),
        ({"local": {"project_root": "nope"}}, "missing-path"),
        ({"staging": [CODE | {"source": "odd"}]}, "link-leaves-source"),
    ],
)
def test_what_a_plan_cannot_be_made_without(over: dict[str, Any], code: str, project: Path) -> None:
    """A missing or unfit file that the plan would hold is an error."""
    grown(project, "src/a", "odd/x")
    (project / "latin1.sh").write_bytes(b"echo\n# caf\xe9\n")
    (project / "odd" / "l").symlink_to("/etc/passwd")

    assert [code] == errors(looked_up(project, over))


def test_an_absolute_source_is_told_its_relative_spelling(project: Path) -> None:
    """The near miss of an absolute path inside the project is the path from its root."""
    facts = looked_up(project, {"staging": [CODE | {"source": str(project / "src")}]})

    assert "src" == facts.diagnostics[0].suggestion


def test_what_is_needed_at_apply_only_warns(project: Path) -> None:
    """A plan can be made where secrets are not, as for a pull request."""
    over = {
        "secrets": [{"name": "k", "destination": "/k", "file": ".key"}],
        "local": {"required_paths": ["data/in"]},
    }
    facts = looked_up(project, over)

    assert [] == errors(facts)
    assert ["missing-path", "missing-path"] == warnings(facts)


def test_secrets_are_never_read(project: Path) -> None:
    """A secret that is no file is told, with what it is; opening this pipe would never end."""
    os.mkfifo(project / "pipe")
    (project / "folder").mkdir()
    over = {
        "secrets": [
            {"name": "k", "destination": "/k", "file": "pipe"},
            {"name": "l", "destination": "/l", "file": "folder"},
        ],
        "notify": {"webhook": {"file": "folder/../pipe"}},
    }
    facts = looked_up(project, over)

    assert ["not-a-file"] * 3 == errors(facts)
    assert ["a pipe", "a folder", "a pipe"] == [
        one.detail.split("is ")[1].split(",")[0] for one in facts.diagnostics
    ]


def test_a_missing_path_says_where_it_was_looked_for(project: Path) -> None:
    """The project root is named, and the neighbour that was probably meant."""
    grown(project, "data/train.csv")
    over = {"local": {"required_paths": ["data/trian.csv", "no/folder"]}}
    near, alone = looked_up(project, over).diagnostics

    assert f"no `data/trian.csv` in the project root, `{project}`." in near.detail
    assert ["data/train.csv", None] == [near.suggestion, alone.suggestion]


def test_a_path_of_the_machine_is_told_what_travels(project: Path) -> None:
    """Whoever stages an account's file learns that secrets have a section of their own."""
    facts = looked_up(project, {"staging": [CODE | {"source": "~/.aws/credentials"}]})

    assert ["absolute-path"] == errors(facts)
    assert "`secrets:`" in (facts.diagnostics[0].help or "")


def test_the_script_is_read_as_it_is(project: Path) -> None:
    """Carriage returns and a missing last newline are kept."""
    (project / "run.sh").write_bytes(b"a\r\n'EOF'\nb")

    assert "a\r\n'EOF'\nb" == looked_up(project, {"run": {"script": "run.sh"}}).script_text


def test_broken_templates_are_not_looked_up(project: Path) -> None:
    """A source that could not be rendered is told by the compiler, not called missing."""
    assert () == looked_up(project, {"staging": [CODE | {"source": "{{ nope }}"}]}).diagnostics


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git have nothing to say: unit tests start no program."""
    monkeypatch.setattr("runpod_deploy.facts.observe.git_state", lambda _root: None)


@pytest.mark.usefixtures("no_git")
def test_a_plan_does_not_depend_on_place_time_or_working_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files elsewhere, touched, planned from another folder: the same plan."""
    hashes = []
    for folder in (project / "here", project / "there" / "deep"):
        grown(folder, "src/a b", "src/é\n", "src/empty")
        (folder / "src" / "a b").chmod(0o755)
        (folder / "src" / "link").symlink_to("a b")
        job_file = write_job(folder, {"staging": [CODE]})
        os.utime(folder / "src" / "a b", (1, 1))
        monkeypatch.chdir(folder)
        for named in (job_file, Path("job.yaml"), Path("src/../job.yaml")):
            plan_file, _ = plan_job(load(named), plan_id="0" * 32)
            hashes.append(plan_file.plan_hash)
            assert str(project) not in repr(plan_file.plan)

    assert 1 == len(set(hashes))


@pytest.mark.usefixtures("no_git")
def test_one_byte_and_the_executable_bit_change_the_plan(project: Path) -> None:
    """What travels is what is hashed."""
    grown(project, "src/a")
    config = load(write_job(project, {"staging": [CODE]}))
    first, _ = plan_job(config, plan_id="0" * 32)
    (project / "src" / "a").write_text("src/b")
    second, _ = plan_job(config, plan_id="0" * 32)
    (project / "src" / "a").chmod(0o755)
    third, _ = plan_job(config, plan_id="0" * 32)

    assert 3 == len({first.plan_hash, second.plan_hash, third.plan_hash})


@pytest.mark.usefixtures("no_git")
def test_errors_of_facts_stop_the_plan(project: Path) -> None:
    """What the look-up finds wrong is told together with what the compiler finds."""
    config = load(write_job(project, {"staging": [CODE], "pod": {"ports": ["1/tcp"]}}))

    with pytest.raises(InvalidInput) as caught:
        plan_job(config, plan_id="0" * 32)

    assert ["no-ssh-port", "missing-path"] == [d.code for d in caught.value.diagnostics]


def test_a_job_file_whose_name_no_plan_can_hold_is_told(project: Path) -> None:
    """A name that is not UTF-8 is a diagnostic, as it is for a staged file."""
    job_file = project / os.fsdecode(b"b\xff.yaml")
    facts = looked_up(project, {}, job_file=job_file)

    assert ["name-not-utf8"] == errors(facts)
