"""`plan verify`, as a command over real repositories: proven, or told what differs."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from runpod_deploy.cli.app import build
from runpod_deploy.facts import kept_source

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
  min_cuda: "12.8"
staging:
  - {label: code, source: src, destination: /root/src}
  - {label: data, source: data, destination: /root/data}
run:
  script: bin/run.sh
"""
IDENTITY = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
LOCAL = ("-c", "protocol.file.allow=always")


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` with an identity, and return what it prints."""
    command = ["git", *IDENTITY, *LOCAL, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def put(path: Path, content: str | bytes) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@dataclass
class Desk:
    """A repository whose job is planned, and a folder for what is saved."""

    root: Path

    @property
    def plan(self) -> Path:
        """The saved plan, outside of the repository."""
        return self.root.parent / "saved" / "plan.json"

    def call(self, *args: str) -> tuple[int, str]:
        """Call the command line; returns the exit status and all that was said, in one line."""
        result = CliRunner().invoke(build(), list(args))
        return result.exit_code, " ".join(result.output.split())

    def save(self, *args: str) -> str:
        """Save a plan; returns what was said."""
        self.plan.parent.mkdir(exist_ok=True)
        job = str(self.root / "jobs" / "job.yaml")
        status, said = self.call("plan", job, "-o", str(self.plan), *args)
        assert 0 == status, said
        return said

    def verify(self, clone: Path | None = None) -> tuple[int, str]:
        """Verify the saved plan."""
        place = str(clone or self.root)
        return self.call("plan", "verify", str(self.plan), "--project", place)

    def proven(self, clone: Path | None = None) -> str:
        """Verify the saved plan, which must hold; returns what was said."""
        status, said = self.verify(clone)
        assert 0 == status, said
        assert "Verified sha256:" in said
        return said

    def refuted(self, clone: Path | None = None) -> str:
        """Verify the saved plan, which must not hold; returns what was said."""
        status, said = self.verify(clone)
        assert 6 == status, said
        return said

    def commit(self) -> str:
        """Commit everything that is not ignored."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "-q", "--allow-empty", "-m", "x")
        return git(self.root, "rev-parse", "HEAD")

    def clone(self, *options: str) -> Path:
        """Return a new clone, as somebody else has it."""
        place = self.root.parent / "clone"
        shutil.rmtree(place, ignore_errors=True)
        git(self.root.parent, "clone", "-q", *options, f"file://{self.root}", "clone")
        return place

    def edit_plan(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what stands beside the plan in the saved file."""
        plan = json.loads(self.plan.read_text())
        change(plan)
        self.plan.write_text(json.dumps(plan))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A repository with a job in a folder of its own, and a lock file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.chdir(tmp_path)
    return made(tmp_path / "repo")


def made(root: Path) -> Desk:
    """Make the repository."""
    put(root / "jobs/job.yaml", JOB)
    put(root / "src/a.py", "a = 1\n")
    put(root / "src/deep/b.py", "b = 1\n")
    put(root / "src/gone.py", "gone\n")
    put(root / "data/one.bin", bytes(range(256)))
    put(root / "bin/run.sh", "python3 /root/src/a.py\n").chmod(0o755)
    put(root / "uv.lock", "version = 1\n")
    git(root, "init", "-q", "-b", "main")
    desk = Desk(root)
    desk.commit()
    return desk


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time stamp of every file, git's own included."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_a_committed_plan_is_proven_whatever_the_work_tree_says(desk: Desk) -> None:
    """Later commits and changes do not matter, and nothing is touched."""
    desk.save("--var", "seed=9")
    assert ["plan.json"] == [one.name for one in desk.plan.parent.iterdir()]
    put(desk.root / "src/a.py", "a = 2\n")
    desk.commit()
    shutil.rmtree(desk.root / "jobs")
    put(desk.root / "src/new.py", "new\n")
    before = everything(desk.root)

    said = desk.proven()
    assert "lock file uv.lock" in said
    assert before == everything(desk.root)
    assert "Verified" in desk.proven(desk.clone())


def test_all_kinds_of_changes_are_proven_somewhere_else(desk: Desk) -> None:
    """Text, binary, exec bits, links, removed, renamed, staged, untracked and ignored files."""
    root = desk.root
    put(root / "src/a.py", "a = 'changed'\n")
    put(root / "data/one.bin", bytes(reversed(range(256))) * 3)
    (root / "src/gone.py").unlink()
    (root / "src/deep/b.py").rename(root / "src/deep/ü renamed.py")
    (root / "bin/run.sh").chmod(0o644)
    (root / "src/link").symlink_to("deep")
    git(root, "add", "src/link")
    put(root / "src/tool", "#!/bin/sh\n").chmod(0o755)
    put(root / "src/.gitignore", "*.tmp\n")
    put(root / "src/left.tmp", "not sent\n")
    put(root / ".gitignore", "data/\n")
    put(root / "data/ignored.bin", b"\0\1\2")
    (root / "data/arrow").symlink_to("one.bin")
    put(root / "jobs/base.yaml", "telemetry: {sample_interval_sec: 30}\n")
    put(root / "jobs/job.yaml", f"extends: base.yaml\n{JOB}")

    said = desk.save()
    assert "plan.json.patch and plan.json.untracked.tar" in said
    clone = desk.clone()
    proof = desk.proven(clone)
    assert "in plan.json.patch" in proof
    assert "in plan.json.untracked.tar" in proof
    assert {"src/left.tmp"}.isdisjoint(proof.split())
    assert "" == git(clone, "status", "--porcelain")

    git(root, "checkout", "-q", "--", ".")
    assert "Verified" in desk.proven()


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "unlink", "stage", "exec", "commit", "ignore", "link"]),
        st.sampled_from(
            ["src/a.py", "src/n w.py", "src/deep/b.py", "data/one.bin", "data/x/y.tmp"]
        ),
        st.sampled_from(["", "one\n", "one\r\ntwo\n", "no end", "\0binary"]),
    ),
    max_size=8,
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CHANGES)
def test_whatever_is_done_to_a_work_tree_its_plan_is_proven(
    desk: Desk, changes: list[tuple[str, str, str]]
) -> None:
    """Random work in a repository; another clone proves the plan from what was kept."""
    shutil.rmtree(desk.root)
    made(desk.root)
    for what, name, content in changes:
        act(desk, what, desk.root / name, content)
    desk.save()
    desk.proven(desk.clone())


def act(desk: Desk, what: str, path: Path, content: str) -> None:
    """Do one thing, unless it cannot be done."""
    if what in {"write", "link"} and not path.is_symlink():
        path.unlink(missing_ok=True)
        if what == "write":
            put(path, content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("a.py")
    elif what == "unlink":
        path.unlink(missing_ok=True)
    elif what == "stage":
        git(desk.root, "add", "--all")
    elif what == "commit":
        desk.commit()
    elif what == "ignore":
        put(path.parent / ".gitignore", "*.tmp\n")
    elif path.is_file() and not path.is_symlink():
        path.chmod(0o755)


def test_what_was_kept_must_be_there_and_unchanged(desk: Desk) -> None:
    """A missing patch cannot be judged; a changed one is refused."""
    put(desk.root / "src/a.py", "a = 2\n")
    put(desk.root / "src/new.py", "new\n")
    desk.save()
    for name in ("plan.json.patch", "plan.json.untracked.tar"):
        file = desk.plan.with_name(name)
        content = file.read_bytes()
        file.unlink()
        status, said = desk.verify()
        assert 4 == status
        assert f"{name}, which holds them, is not beside it" in said
        file.write_bytes(content.replace(b"new", b"bad").replace(b"a = 2", b"a = 3"))
        assert f"{name} is not what the plan was made with" in desk.refuted()
        file.write_bytes(content)
    desk.proven()

    put(desk.root / "src/a.py", "a = 1\n")
    desk.commit()
    desk.save()
    assert ["plan.json"] == [one.name for one in desk.plan.parent.iterdir()]


def test_a_run_folder_stands_for_its_plan(desk: Desk) -> None:
    """It holds the plan of its run, and the patch under a name of its own."""
    put(desk.root / "src/a.py", "a = 2\n")
    desk.save()
    run = desk.root.parent / "20260514T021200Z"
    run.mkdir()
    shutil.copy(desk.plan, run / "plan.json")
    shutil.copy(desk.plan.with_name("plan.json.patch"), run / "source.patch")
    status, said = desk.call("plan", "verify", str(run), "--project", str(desk.root))
    assert 0 == status, said
    assert "1 file changed, in source.patch" in said


def test_another_commit_is_told_by_what_differs(desk: Desk) -> None:
    """A plan that names a commit it was not made from is refuted: files, script and values."""
    other = desk.commit()
    put(desk.root / "src/a.py", "a = 2\n")
    put(desk.root / "bin/run.sh", "echo two\n")
    put(desk.root / "jobs/job.yaml", JOB.replace("NVIDIA L4", "NVIDIA A40"))
    put(desk.root / "uv.lock", "version = 2\n")
    desk.commit()
    desk.save()
    desk.edit_plan(lambda plan: plan["observed"]["git"].update(sha=other))

    said = desk.refuted()
    assert "Not what the commit gives sha256:" in said
    for part in ("payload.code.a.py", "candidates", "scripts.run", "lockfile"):
        assert part in said
    status, text = desk.call(
        "plan", "verify", str(desk.plan), "--project", str(desk.root), "--json"
    )
    assert 6 == status
    document = json.loads(text)
    assert document["verified"] is False
    assert other == document["commit"]
    assert "payload.code.a.py" in {one["field"] for one in document["differences"]}


def test_a_changed_record_of_the_lock_file_is_told(desk: Desk) -> None:
    """It is no part of the hash, and is held against the commit all the same."""
    desk.save()
    desk.edit_plan(lambda plan: plan["observed"]["lockfile"].update(sha256="0" * 64))
    assert "lockfile planned uv.lock sha256 000" in desk.refuted()


def test_a_job_that_the_commit_does_not_have_is_told(desk: Desk) -> None:
    """No file, or one that cannot be planned."""
    first = desk.commit()
    (desk.root / "jobs/job.yaml").rename(desk.root / "jobs/other.yaml")
    broken = desk.commit()
    (desk.root / "jobs/other.yaml").rename(desk.root / "jobs/job.yaml")
    desk.save()
    desk.plan.with_name("plan.json.untracked.tar").unlink()
    desk.plan.with_name("plan.json.patch").unlink()

    def point(sha: str) -> None:
        desk.edit_plan(
            lambda plan: (
                plan["observed"].update(untracked_sha256=None),
                plan["observed"]["git"].update(sha=sha, patch_sha256=None),
            )[0]
        )

    point(broken)
    assert "there is no such file in it" in desk.refuted()
    point(first)
    desk.proven()


def test_a_shallow_clone_names_the_commit_to_fetch(desk: Desk) -> None:
    """Fetched as the message says, the plan is proven."""
    git(desk.root, "config", "uploadpack.allowAnySHA1InWant", "true")
    sha = git(desk.root, "rev-parse", "HEAD")
    desk.save()
    put(desk.root / "src/a.py", "a = 2\n")
    desk.commit()
    clone = desk.clone("--depth", "1")
    status, said = desk.verify(clone)
    assert 4 == status
    assert f"git fetch --depth 1 origin {sha}" in said
    git(clone, "fetch", "-q", "--depth", "1", "origin", sha)
    desk.proven(clone)


def test_line_ends_that_git_settings_change_are_named(desk: Desk) -> None:
    """A plan of a work tree with CRLF is proven under the same settings, and explained under others."""
    windows = desk.clone("-c", "core.autocrlf=true")
    assert b"\r\n" in (windows / "src/a.py").read_bytes()
    here = Desk(windows)
    here.save()
    here.proven()
    said = here.refuted(desk.root)
    assert "payload.code.a.py" in said
    assert "differ in line ends only" in said

    put(windows / "src/a.py", b"a = 2\r\nb = 3\r\n")
    here.save()
    here.proven()


LFS_CLEAN = """\
#!/bin/sh
cat > "$0.tmp"
printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' \
  "$(sha256sum < "$0.tmp" | cut -d ' ' -f 1)" "$(wc -c < "$0.tmp" | tr -d ' ')"
"""


def test_files_of_lfs_count_by_their_pointers(desk: Desk) -> None:
    """Proven with LFS and without it, changed or not; a checkout of pointers is one of pointers."""
    clean = put(desk.root.parent / "clean", LFS_CLEAN)
    clean.chmod(0o755)
    git(desk.root, "config", "filter.lfs.clean", str(clean))
    git(desk.root, "config", "filter.lfs.required", "true")
    put(desk.root / ".gitattributes", "*.bin filter=lfs\n")
    put(desk.root / "data/one.bin", b"large " * 100)
    git(desk.root, "add", "--renormalize", ".")
    desk.commit()
    assert "version https://git-lfs" in git(desk.root, "show", "HEAD:data/one.bin")
    desk.save()
    desk.proven()
    clone = desk.clone()
    desk.proven(clone)

    put(desk.root / "data/one.bin", b"changed " * 100)
    desk.save()
    desk.proven()
    desk.proven(clone)

    pointers = Desk(clone)
    pointers.save()
    pointers.proven()
    pointers.proven(desk.root)


def test_another_filter_is_named(desk: Desk) -> None:
    """It is not run, and what went through it differs."""
    git(desk.root, "config", "filter.upper.clean", "tr a-z A-Z")
    git(desk.root, "config", "filter.upper.smudge", "tr A-Z a-z")
    put(desk.root / ".gitattributes", "src/a.py filter=upper\n")
    git(desk.root, "add", "--renormalize", ".")
    desk.commit()
    desk.save()
    assert "src/a.py go through git's filter 'upper'" in desk.refuted()


def test_files_of_a_submodule_are_kept(desk: Desk) -> None:
    """The commit of the repository does not hold them; at another commit they are the patch's."""
    inner = desk.root.parent / "inner"
    put(inner / "lib.py", "lib = 1\n")
    git(inner, "init", "-q", "-b", "main")
    Desk(inner).commit()
    git(desk.root, "submodule", "--quiet", "add", str(inner), "src/vendor")
    desk.commit()
    assert "plan.json.untracked.tar" in desk.save()
    clone = desk.clone()
    desk.proven(clone)

    put(desk.root / "src/vendor/lib.py", "lib = 2\n")
    desk.save()
    desk.proven(clone)
    Desk(desk.root / "src/vendor").commit()
    desk.save()
    desk.proven(clone)
    desk.plan.with_name("plan.json.untracked.tar").unlink()
    desk.edit_plan(lambda plan: plan["observed"].update(untracked_sha256=None))
    assert "src/vendor/lib.py are in the submodule src/vendor" in desk.refuted(clone)


def test_what_is_too_large_to_keep_counts_by_its_digest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for in the work tree; rules still decide, and a changed one is named."""
    monkeypatch.setattr(kept_source, "MAX_BYTES", 100)
    put(desk.root / ".gitignore", "/data/big/\n")
    desk.commit()
    put(desk.root / "data/big/data.bin", b"x" * 5000)
    put(desk.root / "data/big/small.bin", b"x")
    put(desk.root / "jobs/job.yaml", JOB.replace("source: data", "source: data/big"))
    said = desk.save()
    assert "Too large to be kept beside it: data/big/data.bin (5.0 kB)" in said
    assert "data.bin (5000 bytes) are neither in the commit nor kept" in desk.proven()

    clone = desk.clone()
    said = desk.refuted(clone)
    assert "payload.data.data.bin" in said
    assert "data/big/data.bin are not in the commit" in said
    put(clone / "data/big/data.bin", b"y" * 5000)
    assert "payload.data.data.bin" in desk.refuted(clone)
    put(clone / "data/big/data.bin", b"x" * 5000)
    desk.proven(clone)


def test_an_address_with_a_password_is_taken_out_of_the_patch(desk: Desk) -> None:
    """The plan can be applied, and cannot be proven; both are said."""
    put(desk.root / "src/a.py", "url = 'https://me:hunter2@example.org/x'\n")
    said = desk.save()
    assert "`plan verify` cannot prove this plan" in said
    patch = desk.plan.with_name("plan.json.patch").read_bytes()
    assert b"hunter2" not in patch
    assert b"https://example.org/x" in patch
    assert "a password in an address was taken out" in desk.refuted()


def test_what_cannot_be_verified_says_why(desk: Desk) -> None:
    """Another version of the tool, a name that is no commit, no repository, a path out of it."""
    desk.save()
    saved = desk.plan.read_text()

    def judged(change: Callable[[dict[str, Any]], None]) -> str:
        desk.plan.write_text(saved)
        desk.edit_plan(change)
        status, said = desk.verify()
        assert 4 == status, said
        return said

    assert "made by runpod-deploy 9.9" in judged(
        lambda plan: plan["observed"].update(tool_version="9.9")
    )
    assert "names no commit" in judged(lambda plan: plan["observed"]["git"].update(sha="HEAD"))
    assert "names no commit" in judged(lambda plan: plan["observed"].update(git=None))
    assert "outside of the repository" in judged(
        lambda plan: plan["observed"]["git"].update(prefix="../..")
    )
    desk.plan.write_text(saved)
    status, said = desk.verify(desk.root.parent / "saved")
    assert 4 == status
    assert "no git repository" in said


def test_a_source_outside_of_the_repository_cannot_be_verified(desk: Desk) -> None:
    """What was in it is not known to git."""
    outside = put(desk.root.parent / "shared/x.txt", "x\n").parent
    put(desk.root / "jobs/job.yaml", JOB.replace("source: data", "source: ../shared"))
    desk.save("--allow-path", str(outside))
    status, said = desk.verify()
    assert 4 == status
    assert "../shared lies outside of the repository" in said


@pytest.fixture
def no_commit(desk: Desk) -> Desk:
    """A repository before its first commit."""
    shutil.rmtree(desk.root / ".git")
    git(desk.root, "init", "-q")
    return desk


def test_before_the_first_commit_nothing_is_kept(no_commit: Desk) -> None:
    """There is nothing to verify against, and the message says so."""
    no_commit.save()
    assert ["plan.json"] == [one.name for one in no_commit.plan.parent.iterdir()]
    status, said = no_commit.verify()
    assert 4 == status
    assert "before the first commit" in said


def test_the_kept_archive_is_the_same_for_the_same_files(desk: Desk) -> None:
    """Two people with the same files have the same digest in what they sign."""
    put(desk.root / "src/new.py", "new\n")
    desk.save()
    first = desk.plan.with_name("plan.json.untracked.tar").read_bytes()
    (desk.root / "src/new.py").touch()
    desk.save()
    assert first == desk.plan.with_name("plan.json.untracked.tar").read_bytes()
    recorded = json.loads(desk.plan.read_text())["observed"]["untracked_sha256"]
    assert hashlib.sha256(first).hexdigest() == recorded


def test_a_sweep_is_proven_run_by_run_and_as_a_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a dirty tree, with files too large to be kept; a run that is missing or changed is told."""
    job = JOB.replace("seed:", "seeds:").replace("source: data", "source: 'data/{{ part }}'")
    job += "matrix:\n  axes:\n    seed: ['1', '2']\n    part: [a, b]\n"
    put(desk.root / "jobs" / "job.yaml", job)
    for name in ("a", "b"):
        put(desk.root / "data" / name / "small", name)
        put(desk.root / "data" / name / "large", name * 5000)
    monkeypatch.setattr(kept_source, "MAX_BYTES", 3000)
    assert "Too large to be kept" in desk.save()
    ask = ("plan", "verify", str(desk.plan), "--project", str(desk.root))
    status, said = desk.call(*ask)
    assert (0, True) == (status, "sweep 4 runs" in said), said

    whole = json.loads(desk.plan.read_text())
    assert {"1", "2"} == {one["plan"]["matrix"]["values"]["seed"] for one in whole["shards"]}
    archive = hashlib.sha256(Path(f"{desk.plan}.untracked.tar").read_bytes()).hexdigest()
    assert {archive} == {one["observed"]["untracked_sha256"] for one in whole["shards"]}

    def some(shards: list[Any]) -> tuple[int, str]:
        hashes = json.dumps([one["plan_hash"] for one in shards], separators=(",", ":"))
        sealed = f"sha256:{hashlib.sha256(hashes.encode()).hexdigest()}"
        desk.plan.write_text(json.dumps({**whole, "plan_hash": sealed, "shards": shards}))
        return desk.call(*ask)

    status, said = some(whole["shards"][:3])
    assert (6, True) == (status, "runs planned seed=1_part=a" in said)
    status, said = some(whole["shards"][:2])
    assert (0, True) == (status, "those of --var seed=1" in said)
    others = json.loads(json.dumps(whole["shards"]))
    others[3]["observed"]["git"]["sha"] = "0" * 40
    status, said = some(others)
    assert (4, True) == (status, "not made together" in said)

    desk.plan.write_text(json.dumps(whole))
    put(desk.root / "data" / "b" / "large", "c" * 5000)
    status, said = desk.call(*ask, "--json")
    told = json.loads(said)
    assert (6, False) == (status, told["verified"])
    fields = {one["field"] for one in told["differences"]}
    assert {f"seed={seed}_part=b: payload.data.large" for seed in "12"} == fields
