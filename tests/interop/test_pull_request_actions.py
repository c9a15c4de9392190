"""The pull request actions, as far as a shell can run them: real git, a fake API on loopback."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = ROOT / "actions"
BOT = "github-actions[bot]"
SHA = "c" * 40
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]
JOB = """\
schema_version: 3
name: small
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order: [NVIDIA L4]
run:
  body: echo one
"""


class Forge:
    """A server with comments; remembers what was asked of it."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.pulls = [{"number": 7, "head": {"sha": SHA}}]
        self.calls: list[tuple[str, str, str]] = []
        self.status = 0
        self.busy: list[int] = []
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN")
                forge.calls.append((self.command, self.path, str(token)))
                status = forge.busy.pop(0) if forge.busy else forge.status or 200
                told = forge.answer(self.command, self.path, body) if status < 400 else {}
                answer = json.dumps(told).encode()
                self.send_response(status)
                if status >= 400 and not forge.status:
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 - as the base class wants

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return what the API says."""
        path, _, query = path.partition("?")
        if path.endswith("/pulls"):
            return self.pulls
        if path == "/user":
            return {"id": 4}
        if method == "GET":
            page = int(query.rpartition("page=")[2])
            return self.comments[(page - 1) * 100 : page * 100]
        if method == "POST":
            self.write(BOT, body["body"])
            return {}
        number = int(path.rpartition("/")[2])
        next(one for one in self.comments if one["id"] == number)["body"] = body["body"]
        return {}

    def write(self, login: str, body: str) -> None:
        """Add a comment of somebody."""
        author = {"login": login, "id": 4 if login == BOT else 9}
        number = len(self.comments) + 1
        self.comments.append({"id": number, "body": body, "user": author, "author": author})


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A forge on loopback."""
    made = Forge()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checked out merge of a pull request: its first parent is the base."""
    root = tmp_path / "repo"
    (root / "jobs").mkdir(parents=True)
    for name in ("a", "b c", "same"):
        (root / "jobs" / f"{name}.yaml").write_text(JOB)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "base")
    (root / "jobs" / "a.yaml").write_text(JOB.replace("echo one", "echo two"))
    (root / "jobs" / "b c.yaml").write_text(JOB.replace("NVIDIA L4", "NVIDIA L40"))
    (root / "jobs" / "new.yaml").write_text(JOB)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "change")
    return root


def git(folder: Path, *arguments: str) -> None:
    """Run git with an identity."""
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def plan(root: Path, jobs: str = "jobs/*.yaml", **environ: str) -> tuple[int, Path, str]:
    """Run the plan action's script; returns its status, its folder and what it printed."""
    tool = root.parent / "tool"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runpod_deploy "$@"\n')
    tool.chmod(0o755)
    out = root / "out"
    done = subprocess.run(
        [ACTIONS / "plan" / "plan.sh"],
        cwd=root,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "JOBS": jobs,
            "BASE": "HEAD^1",
            "OUT": str(out),
            "RUNPOD_DEPLOY": str(tool),
            "GITHUB_REF": "refs/pull/7/merge",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, out, done.stdout + done.stderr


def told(out: Path) -> dict[str, tuple[str, str]]:
    """Return job to status and Markdown."""
    return {
        (one / "job").read_text(): (
            (one / "status").read_text(),
            (one / "comment.md").read_text(),
        )
        for one in sorted(out.glob("[0-9]*"))
    }


def test_a_merge_request_is_commented_on_when_a_job_cannot_be_planned(tmp_path: Path) -> None:
    """And its check fails all the same, as GitLab runs the lines: in one shell that stops at errors."""
    document = yaml.safe_load((ACTIONS / "gitlab" / "plan.gitlab-ci.yml").read_text())
    lines = document["runpod-deploy-plan"]["script"][2:]
    (tmp_path / "actions" / "plan").mkdir(parents=True)
    (tmp_path / "actions" / "comment").mkdir()
    script = tmp_path / "actions" / "plan" / "plan.sh"
    script.write_text("#!/bin/sh\nexit 4\n")
    script.chmod(0o755)
    (tmp_path / "actions" / "comment" / "comment.py").write_text("print('commented')\n")
    text = "\n".join(["set -eo pipefail", *lines]).replace("/tmp/runpod-deploy", str(tmp_path))
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
    assert (4, "commented\n") == (done.returncode, done.stdout), done.stderr


def comment(forge: Forge, folder: Path, kind: str = "github", **changes: str) -> tuple[int, str]:
    """Run the comment action's program; returns its status and what it printed."""
    event = folder.parent / "event.json"
    owner = {"owner": {"login": "stranger"}}
    run = {"event": "pull_request", "head_repository": owner, "head_branch": "x&y", "head_sha": SHA}
    event.write_text(json.dumps({"workflow_run": run}))
    done = subprocess.run(
        [sys.executable, ACTIONS / "comment" / "comment.py", kind, folder],
        env={
            "PATH": os.environ["PATH"],
            "GITHUB_TOKEN": "t0ken",
            "GITHUB_API_URL": forge.url,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(event),
            "CI_API_V4_URL": forge.url,
            "CI_PROJECT_ID": "g/p",
            "CI_MERGE_REQUEST_IID": "7",
            **changes,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


def artifact(folder: Path, *plans: tuple[str, str, str]) -> Path:
    """Write a folder as the plan action does: job, status, Markdown."""
    for number, (job, status, markdown) in enumerate(plans, 1):
        one = folder / f"{number:03}"
        one.mkdir(parents=True, exist_ok=True)
        (one / "job").write_text(job)
        (one / "status").write_text(status)
        (one / "comment.md").write_text(markdown)
    return folder


def test_every_job_is_planned_against_the_base(repository: Path) -> None:
    """Changed, new and unchanged jobs, names with blanks among them; nothing else is needed."""
    status, out, said = plan(repository)
    assert 0 == status, said
    found = told(out)
    assert ["jobs/a.yaml", "jobs/b c.yaml", "jobs/new.yaml", "jobs/same.yaml"] == list(found)
    assert ["2", "2", "2", "0"] == [one for one, _ in found.values()]
    assert "+echo two" in found["jobs/a.yaml"][1]
    assert "**New**" in found["jobs/new.yaml"][1]
    assert "7" == (out / "number").read_text()


def test_a_job_that_cannot_be_planned_fails_the_check(repository: Path) -> None:
    """Its diagnostics are in the log, not in the comment, and the other jobs are planned."""
    (repository / "jobs" / "a.yaml").write_text("nam: x\n")
    status, out, said = plan(repository)
    assert 4 == status
    assert "jobs/a.yaml:1" in said
    assert "cannot be planned" in told(out)["jobs/a.yaml"][1]
    assert "2" == told(out)["jobs/b c.yaml"][0]


def test_a_broken_base_shows_the_whole_plan(repository: Path) -> None:
    """A change that mends a job is no failure."""
    (repository / "jobs" / "a.yaml").write_text("nam: x\n")
    git(repository, "commit", "-qam", "broken")
    (repository / "jobs" / "a.yaml").write_text(JOB)
    status, out, _ = plan(repository, "jobs/a.yaml", BASE="HEAD")
    assert (0, "2") == (status, told(out)["jobs/a.yaml"][0])
    assert "#### Cost" in told(out)["jobs/a.yaml"][1]


def test_what_a_pull_request_names_is_not_executed(repository: Path) -> None:
    """Job names with shell in them are names."""
    evil = "$(touch sprung)`touch sprung`; touch sprung;.yaml"
    (repository / "jobs" / evil).write_text(JOB)
    status, out, _ = plan(repository, f"jobs/*.yaml\njobs/{evil}\n-x.yaml")
    assert 0 == status
    assert f"jobs/{evil}" in told(out)
    assert [] == list(repository.rglob("sprung"))


def test_one_comment_for_each_job_kept_up_to_date(forge: Forge, repository: Path) -> None:
    """From the real plans: the first time written, then left, then updated, never doubled."""
    _, out, _ = plan(repository)
    assert 0 == comment(forge, out)[0]
    assert 3 == len(forge.comments)
    assert 0 == comment(forge, out)[0]
    assert {"GET", "POST"} == {method for method, _, _ in forge.calls}
    (repository / "jobs" / "a.yaml").write_text(JOB.replace("echo one", "echo three"))
    shutil.rmtree(out)
    _, out, _ = plan(repository)
    assert 0 == comment(forge, out)[0]
    assert 3 == len(forge.comments)
    assert 1 == sum("+echo three" in one["body"] for one in forge.comments)
    assert {"Bearer t0ken"} == {token for _, _, token in forge.calls}


def test_a_change_that_was_taken_back_is_told(forge: Forge, tmp_path: Path) -> None:
    """A job that is as before gets no comment, but one that is there is updated."""
    folder = artifact(tmp_path / "p", ("a.yaml", "0", "no change\n"), ("b.yaml", "2", "x\n"))
    comment(forge, folder)
    assert 1 == len(forge.comments)
    artifact(folder, ("a.yaml", "0", "no change\n"), ("b.yaml", "0", "no change any more\n"))
    comment(forge, folder)
    assert "no change any more" in forge.comments[0]["body"]


def test_a_comment_of_somebody_else_is_never_taken(forge: Forge, tmp_path: Path) -> None:
    """Who copies our marker does not get his comment changed, on whatever page it is."""
    folder = artifact(tmp_path / "p", ("a.yaml", "2", "plan\n"))
    comment(forge, folder)
    marker = forge.comments[0]["body"].splitlines()[0]
    forge.comments.clear()
    for _ in range(150):
        forge.write("stranger", f"{marker}\nmine")
    forge.write(BOT, f"{marker}\nold")
    comment(forge, folder)
    assert 151 == len(forge.comments)
    assert {f"{marker}\nmine"} == {one["body"] for one in forge.comments[:150]}
    assert "plan" in forge.comments[150]["body"]


def test_another_commit_than_the_heads_says_nothing(forge: Forge, tmp_path: Path) -> None:
    """The pull request is found by its commit, not by what the artifact says."""
    folder = artifact(tmp_path / "p", ("a.yaml", "2", "plan\n"))
    (folder / "number").write_text("1")
    forge.pulls = [{"number": 1, "head": {"sha": "d" * 40}}]
    status, said = comment(forge, folder)
    assert 0 == status
    assert "moved on" in said
    assert [] == forge.comments
    assert any("head=stranger%3Ax%26y" in path for _, path, _ in forge.calls)


def test_two_pull_requests_of_one_commit(forge: Forge, tmp_path: Path) -> None:
    """The number in the artifact chooses among those that fit, and no other can be chosen."""
    folder = artifact(tmp_path / "p", ("a.yaml", "2", "plan\n"))
    forge.pulls = [{"number": 7, "head": {"sha": SHA}}, {"number": 8, "head": {"sha": SHA}}]
    assert 1 == comment(forge, folder)[0]
    (folder / "number").write_text("9")
    assert 1 == comment(forge, folder)[0]
    (folder / "number").write_text("8")
    assert 0 == comment(forge, folder)[0]
    assert "POST" in {method for method, path, _ in forge.calls if "/issues/8/" in path}


def test_hostile_artifacts(forge: Forge, tmp_path: Path) -> None:
    """A link is not followed, a huge text is not posted, a planted marker is no marker."""
    (tmp_path / "secret").write_text("t0ken of somebody")
    folder = artifact(
        tmp_path / "p",
        ("a", "2", "x"),
        ("b", "2", "y" * 300_000),
        ("c", "2", "<!-- runpod-deploy plan z -->"),
    )
    (folder / "001" / "comment.md").unlink()
    (folder / "001" / "comment.md").symlink_to(tmp_path / "secret")
    assert 0 == comment(forge, folder)[0]
    bodies = [one["body"] for one in forge.comments]
    assert 2 == len(bodies)
    assert "longer than a comment may be" in bodies[0]
    assert 1 == bodies[1].count("<!-- runpod-deploy")
    assert all("somebody" not in body for body in bodies)


def test_an_error_of_the_forge_is_told(forge: Forge, tmp_path: Path) -> None:
    """Without a traceback, and without the token."""
    forge.status = 403
    status, said = comment(forge, artifact(tmp_path / "p", ("a", "2", "x")))
    assert 1 == status
    assert "answered 403" in said
    assert "t0ken" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("busy", [[429], [403], [502, 503, 429]])
def test_a_busy_forge_is_asked_again(forge: Forge, tmp_path: Path, busy: list[int]) -> None:
    """As long as it says, and not for ever."""
    forge.busy = list(busy)
    folder = artifact(tmp_path / "p", ("a", "2", "x"))
    assert 0 == comment(forge, folder)[0]
    assert 1 == len(forge.comments)
    forge.busy = [503] * 9
    status, said = comment(forge, folder)
    assert (1, True) == (status, "answered 503" in said)
    assert 5 == len(forge.busy)


def test_a_new_comment_whose_answer_was_lost_is_not_written_twice(
    forge: Forge, tmp_path: Path
) -> None:
    """After a 5xx nobody knows; the next check of the pull request sees it."""
    forge.busy = [200, 200, 500]
    status, said = comment(forge, artifact(tmp_path / "p", ("a", "2", "x")))
    assert (1, True) == (status, "POST" in said and "answered 500" in said)
    assert 1 == sum(method == "POST" for method, _, _ in forge.calls)


def test_notes_of_a_merge_request(forge: Forge, tmp_path: Path) -> None:
    """The same on GitLab; without a token, as in a fork, nothing is asked."""
    folder = artifact(tmp_path / "p", ("a", "2", "x"))
    status, said = comment(forge, folder, "gitlab")
    assert (0, []) == (status, forge.calls), said
    token = {"RUNPOD_DEPLOY_GITLAB_TOKEN": "glpat"}
    assert 0 == comment(forge, folder, "gitlab", **token)[0]
    forge.write("stranger", forge.comments[0]["body"])
    artifact(folder, ("a", "2", "later"))
    assert 0 == comment(forge, folder, "gitlab", **token)[0]
    assert 2 == len(forge.comments)
    assert "later" in forge.comments[0]["body"]
    assert ("PUT", "/projects/g%2Fp/merge_requests/7/notes/1", "glpat") in forge.calls


def test_the_token_goes_to_https_only(forge: Forge, tmp_path: Path) -> None:
    """Another address than loopback has to be https."""
    folder = artifact(tmp_path / "p", ("a", "2", "x"))
    status, said = comment(forge, folder, GITHUB_API_URL="http://api.example.org")
    assert 1 == status
    assert "is not https" in said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_scripts_are_clean() -> None:
    """The linter of shell scripts has nothing to say."""
    done = subprocess.run(
        ["shellcheck", ACTIONS / "plan" / "plan.sh"], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout)


@pytest.mark.parametrize("file", sorted(ACTIONS.rglob("*.yml")), ids=lambda one: one.name)
def test_no_untrusted_text_stands_in_a_script(file: Path) -> None:
    """No `run` holds an expression, and what runs a stranger's code gets no secret."""
    text = file.read_text()
    document = yaml.safe_load(text)
    steps = [
        step
        for job in [*document.get("jobs", {}).values(), document.get("runs", {})]
        for step in job.get("steps", [])
    ]
    assert all("${{" not in step.get("run", "") for step in steps)
    assert "pull_request_target" not in text
    assert "secrets." not in text
    if file.name == "plan.yml":
        assert {"contents": "read"} == document["permissions"]
