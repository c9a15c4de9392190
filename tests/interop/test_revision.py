"""A job of another revision, against real git: as a clean checkout of it would be planned."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.plan_job import plan_job
from runpod_deploy.facts.revision import AtRevision, plan_at_revision
from runpod_deploy.schema.load import load

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

JOB = """\
schema_version: 3
name: small
variables: {seed: "7"}
local: {project_root: ..}
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
staging:
  - label: code
    source: src
    destination: /root/src
    excludes: ["*.tmp"]
run:
  script: src/run.sh
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` with an identity, and return what it prints."""
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path) -> str:
    """Commit everything, ignored or not, and return the commit."""
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "x")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a job in a folder of its own."""
    root = tmp_path / "repo"
    (root / "jobs").mkdir(parents=True)
    (root / "src" / "deep").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "jobs" / "job.yaml").write_text(JOB)
    (root / "src" / "run.sh").write_text("echo one\n")
    (root / "src" / "deep" / "a.py").write_text("a = 1\n")
    (root / "src" / "run.sh").chmod(0o755)
    (root / "big.bin").write_bytes(b"x" * 4096)
    commit(root)
    return root


def checkout_plan(root: Path, revision: str, place: Path) -> PlanFile:
    """Return the plan that a clean clone at the revision gives."""
    clone = place / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    git(place, "clone", "-q", str(root), "clone")
    git(clone, "checkout", "-q", revision)
    job = clone / "jobs" / "job.yaml"
    return plan_job(load(job), plan_id="0" * 32, use_cache=False)[0]


def at(root: Path, revision: str = "HEAD", **variables: str) -> AtRevision:
    """Plan the job of a revision."""
    return plan_at_revision(revision, root / "jobs" / "job.yaml", variables)


def planned(root: Path, revision: str = "HEAD", **variables: str) -> PlanFile:
    """Return the plan, which is there."""
    plan_file = at(root, revision, **variables).plan_file
    assert plan_file is not None
    return plan_file


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time stamp of every file, git's own included."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


NAMES = st.sampled_from(["a", "b.tmp", "c d", "é", ".hidden", "x.log", "keep.log", "__pycache__"])
PLACES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "exec", "crlf", "link", "ignore", "attributes"])


def write(root: Path, place: str, kind: str, content: str) -> None:
    """Put something at a place, unless something else is in the way."""
    path = root / "src" / "drawn" / place
    if kind in {"ignore", "attributes"}:
        name = ".gitignore" if kind == "ignore" else ".gitattributes"
        path = path.parent / name
        content = "*.log\n!keep.log\nc d\n" if kind == "ignore" else "* text=auto eol=crlf\n"
    if any(part.is_file() or part.is_symlink() for part in [path, *path.parents]) or path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(content or "a")
    else:
        path.write_text(content + ("\r\nx\r\n" if kind == "crlf" else "\n"), newline="")
        path.chmod(0o755 if kind == "exec" else 0o644)


def outcome(make: Callable[[], PlanFile]) -> tuple[PlanFile | None, list[str]]:
    """Return a plan, or the codes of what stands against it."""
    try:
        return make(), []
    except InvalidInput as error:
        return None, [one.code for one in error.diagnostics]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(PLACES, KINDS, st.sampled_from(["", "one", "two"])), max_size=12))
def test_it_equals_a_clean_checkout(
    repository: Path, tmp_path: Path, drawn: list[tuple[str, str, str]]
) -> None:
    """For drawn trees: same files, same bytes after line end conversion, same hash, or both refuse."""
    shutil.rmtree(repository / "src" / "drawn", ignore_errors=True)
    for place, kind, content in drawn:
        write(repository, place, kind, content)
    revision = commit(repository)
    expected, refused = outcome(lambda: checkout_plan(repository, revision, tmp_path))
    plan_file, ours = outcome(lambda: planned(repository, revision))
    assert refused == ours
    if expected is None or plan_file is None:
        return
    assert expected.payload == plan_file.payload
    assert expected.plan_hash == plan_file.plan_hash


def test_nothing_is_touched(repository: Path) -> None:
    """Work tree, index and everything in git's folder stay as they are, and so do local changes."""
    (repository / "src" / "run.sh").write_text("echo changed\n")
    (repository / "src" / "new.py").write_text("not added\n")
    before = everything(repository)
    plan_file = planned(repository)
    assert before == everything(repository)
    assert "echo one\n" == plan_file.plan.script("run").text
    assert ["deep/a.py", "run.sh"] == [one.path for one in plan_file.payload["code"]]


def test_only_what_the_job_needs_is_laid_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large files that no job names are not written anywhere."""
    from runpod_deploy.facts.git_tree import GitTree  # noqa: PLC0415 - to look inside

    wanted: list[str] = []
    real = GitTree.lay_out

    def spied(self: GitTree, paths: object) -> None:
        listed = list(paths)
        wanted.extend(listed)
        real(self, listed)

    monkeypatch.setattr(GitTree, "lay_out", spied)
    planned(repository)
    assert "big.bin" not in wanted
    assert "src/deep/a.py" in wanted


def test_a_job_that_was_not_there(repository: Path) -> None:
    """A revision without the job file has no plan, and that is no error."""
    (repository / "jobs" / "job.yaml").unlink()
    revision = commit(repository)
    assert None is at(repository, revision).plan_file


def test_a_project_root_that_nothing_is_needed_of(repository: Path, tmp_path: Path) -> None:
    """It is there because the revision has it, though no file of it is laid out."""
    (repository / "proj").mkdir()
    (repository / "proj" / "notes.txt").write_text("x\n")
    text = JOB.replace("project_root: ..", "project_root: ../proj")
    start = text.partition("staging:")[0]
    (repository / "jobs" / "job.yaml").write_text(start + "run:\n  body: echo\n")
    revision = commit(repository)
    expected = checkout_plan(repository, revision, tmp_path)
    assert expected.plan_hash == planned(repository, revision).plan_hash


def test_values_are_set_where_they_are_declared(repository: Path) -> None:
    """A variable that the older job does not know is left out; one that it knows is set."""
    plan_file = planned(repository, seed="9", later="1")
    assert {"seed": "9"} == plan_file.plan.job.variables


def test_what_it_extends_comes_from_the_revision_too(repository: Path) -> None:
    """The chain of files is the revision's own."""
    job = repository / "jobs" / "job.yaml"
    (repository / "base.yaml").write_text("budget: {cost_cap_usd: 3}\n")
    job.write_text(JOB + "extends: ../base.yaml\n")
    revision = commit(repository)
    (repository / "base.yaml").write_text("budget: {cost_cap_usd: 4}\n")
    assert 3 == planned(repository, revision).plan.budget.cost_cap_usd


def test_what_is_wrong_in_the_revision_is_told_with_its_place(repository: Path) -> None:
    """Diagnostics name the revision."""
    (repository / "jobs" / "job.yaml").write_text(JOB.replace("name: small", "nam: small"))
    revision = commit(repository)
    with pytest.raises(InvalidInput) as refusal:
        at(repository, revision)
    assert f"at {revision} cannot be planned" in refusal.value.message
    where = refusal.value.diagnostics[0].where
    assert where is not None
    assert where.file.startswith(f"{revision}:jobs/job.yaml")


@pytest.mark.parametrize("name", ["nope", "--help", "-x", "", "main:jobs", "HEAD^{tree}"])
def test_a_name_that_is_no_commit(repository: Path, name: str) -> None:
    """It is told; nothing in it is an option to git."""
    with pytest.raises(InvalidInput, match="git knows no commit"):
        at(repository, name)


def test_without_repository_or_git(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidInput, match="no git repository"):
        plan_at_revision("main", tmp_path / "plain" / "job.yaml", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="none on PATH"):
        at(repository)


def test_nothing_of_the_repository_is_executed(repository: Path, tmp_path: Path) -> None:
    """Filters and hooks that a repository's settings name do not run."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=x\n")
    revision = commit(repository)
    for name in ("smudge", "clean", "process"):
        git(repository, "config", f"filter.x.{name}", str(trap))
    git(repository, "config", "filter.x.required", "true")
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(trap, hook)
    plan_file = planned(repository, revision)
    assert not (tmp_path / "sprung").exists()
    assert "echo one\n" == plan_file.plan.script("run").text


def test_files_of_git_lfs_count_as_what_they_stand_for(repository: Path) -> None:
    """Where LFS is set up, a pointer has the size and digest of its content; else it is itself."""
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 7000\n"
    (repository / ".gitattributes").write_text("*.bin filter=lfs -text\n")
    for name in ("w.bin", "quoted.txt"):
        (repository / "src" / name).write_text(pointer)
    revision = commit(repository)
    found = {one.path: one for one in planned(repository, revision).payload["code"]}
    assert len(pointer) == found["w.bin"].size
    git(repository, "config", "filter.lfs.process", "git-lfs filter-process")
    found = {one.path: one for one in planned(repository, revision).payload["code"]}
    assert (7000, digest) == (found["w.bin"].size, found["w.bin"].sha256)
    assert len(pointer) == found["quoted.txt"].size


def test_submodules_are_told(repository: Path, tmp_path: Path) -> None:
    """Where this clone lacks their commit, their files count as absent, with a note."""
    sha = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{sha},src/lib")
    git(repository, "commit", "-q", "-m", "x")
    found = at(repository)
    assert (f"src/lib is a submodule whose commit {sha[:12]}",) == tuple(
        one.partition(" is not in")[0] for one in found.notes
    )
    expected = checkout_plan(repository, "HEAD", tmp_path)
    assert found.plan_file is not None
    assert expected.plan_hash == found.plan_file.plan_hash


def test_submodules_that_are_here_are_read_as_they_were(repository: Path, tmp_path: Path) -> None:
    """Their files at the commit that the revision names, nested ones too, whatever lies there now."""
    inner, middle = tmp_path / "inner", tmp_path / "middle"
    for place, name in ((inner, "i.txt"), (middle, "m.txt")):
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
        (place / name).write_text("one\n")
        commit(place)
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(middle, *add, str(inner), "nested")
    commit(middle)
    git(repository, *add, str(middle), "src/lib")
    git(repository, *add[:3], "update", "--init", "--recursive", "--quiet")
    commit(repository)

    before = everything(repository)
    found = at(repository)
    assert ((), before) == (found.notes, everything(repository))
    job = load(repository / "jobs" / "job.yaml")
    here = plan_job(job, plan_id="0" * 32, use_cache=False)[0]
    assert {"lib/m.txt", "lib/nested/i.txt"} < {one.path for one in here.payload["code"]}
    assert isinstance(found.plan_file, PlanFile)
    assert here.plan_hash == found.plan_file.plan_hash

    library = repository / "src" / "lib"
    (library / "m.txt").write_text("two\n")
    commit(library)
    (library / "nested" / "i.txt").write_text("three\n")
    assert here.plan_hash == planned(repository).plan_hash
    shutil.rmtree(library / "nested")
    (told,) = at(repository).notes
    assert told.startswith("src/lib/nested is a submodule whose commit ")


def test_sparse_and_linked_work_trees(repository: Path, tmp_path: Path) -> None:
    """A work tree that shows a part, or whose `.git` is a file, changes nothing."""
    expected = planned(repository).plan_hash
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "-q", "--detach", str(tree))
    git(tree, "sparse-checkout", "set", "--no-cone", "jobs/")
    assert not (tree / "src" / "run.sh").exists()
    assert expected == planned(tree).plan_hash


def test_a_job_file_that_leads_out_is_refused(repository: Path, tmp_path: Path) -> None:
    """A link in the revision cannot make another file the job."""
    (tmp_path / "other.yaml").write_text(JOB)
    (repository / "jobs" / "job.yaml").unlink()
    (repository / "jobs" / "job.yaml").symlink_to(tmp_path / "other.yaml")
    revision = commit(repository)
    with pytest.raises(InvalidInput, match="leads out"):
        at(repository, revision)


def test_nothing_is_left_behind(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in which the files were laid out is gone afterwards."""
    place = repository.parent / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    planned(repository)
    assert [] == list(place.iterdir())
