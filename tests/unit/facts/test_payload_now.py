"""A saved plan's files, read anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from compiler_cases import a_file, job, plan_of
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import PlanRefused
from runpod_deploy.facts.payload_now import payload_now


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a few files."""
    root = tmp_path / "repo"
    (root / ".git").mkdir(parents=True)
    (root / "src").mkdir()
    for name in ("a.py", "b.log", "c.tmp"):
        (root / "src" / name).write_text(name)
    (root / ".gitignore").write_text("*.log\n")
    (tmp_path / "outside").mkdir()
    return root


def planned(source: str = "src", **secret: str) -> Plan:
    """Return a plan that stages `source`."""
    over = {"staging": [{"label": "code", "source": source, "destination": "/x"}]}
    if secret:
        over["secrets"] = [{"name": "k", "destination": "/k", **secret}]
    return plan_of(job(over), payload={"code": (a_file("a.py"),)}, excludes={"code": ("*.tmp",)})


def test_files_are_chosen_as_the_plan_chose_them(root: Path) -> None:
    """The plan's own patterns and ignore files decide, not the job file of today."""
    now = payload_now(planned(), root)

    assert ["a.py"] == [entry.path for entry in now["code"]]
    staging = replace(planned().staging[0], gitignore=False, excludes=())
    now = payload_now(replace(planned(), staging=(staging,)), root)
    assert ["a.py", "b.log", "c.tmp"] == [entry.path for entry in now["code"]]


def test_a_file_that_only_grew_is_as_planned_where_that_counts(root: Path) -> None:
    """A log is taken with what was planned of it; other content, however long, is a change."""
    log, code = root / "src" / "a.py", root / "src" / "c.py"
    code.write_text("x")
    plan = planned()
    first = payload_now(plan, root)
    log.write_text(f"{log.read_text()}a line more\n")
    code.write_text("another beginning")

    now = payload_now(plan, root, planned=first)["code"]
    assert [first["code"][0], "c.py"] == [now[0], now[1].path]
    assert first["code"][1] != now[1]
    assert first["code"][0] != payload_now(plan, root)["code"][0]
    log.write_text("a")
    assert first["code"][0] != payload_now(plan, root, planned=first)["code"][0]


def test_a_missing_source_has_no_files(root: Path) -> None:
    """What is gone is drift, and told as such."""
    assert {"code": ()} == payload_now(planned("gone"), root)


@pytest.mark.parametrize(
    "plan", [planned("../outside"), planned(file="../outside"), planned(file="/etc/hostname")]
)
def test_a_plan_may_not_lead_out_of_the_project(plan: Plan, root: Path) -> None:
    """A plan made by somebody else is held to the bounds of a job file."""
    with pytest.raises(PlanRefused, match="leads out of the repository"):
        payload_now(plan, root)

    assert {"code"} == set(payload_now(plan, root, allow_paths=[root.parent, Path("/etc")]))


def test_home_is_no_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan cannot make a whole home folder travel."""
    monkeypatch.setenv("HOME", str(root))

    with pytest.raises(PlanRefused, match="not a project"):
        payload_now(planned(), root)


def test_what_cannot_travel_makes_the_plan_stale(root: Path) -> None:
    """A link that leads out now was not there when the plan was made."""
    (root / "src" / "link").symlink_to("/etc/passwd")

    with pytest.raises(PlanRefused, match="link-leaves-source"):
        payload_now(planned(), root)
