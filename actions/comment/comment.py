#!/usr/bin/env python3
"""Posts plans as comments of a pull or merge request, one for each job file, and updates them.

Usage: comment.py github|gitlab FOLDER, the folder as `plan.sh` writes it. Needs nothing but Python.

The folder comes from a check that ran a stranger's code, so nothing in it is believed: which pull
request it is for is looked up by the commit, sizes and numbers are bounded, the notice of how far it
can be believed stands above it, and HTML comments and mentions in it have no effect. A comment is
ours if it begins with the marker and our account wrote it.
"""

import hashlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

MARK = "<!-- runpod-deploy plan "
MOST_NEW = 50
"""Comments that one check may add."""
MOST_FOLDERS = 10_000
MOST_BYTES = 65_000
MOST_CHARACTERS = 65_500
MOST_PAGES = 50
TRIES = 4
LONGEST_WAIT_SEC = 60.0
SAID = (
    "<sub>Written by the check of this change, in its own code: it can be believed as far as the "
    "change itself. Before anything is applied, the plan is made anew.</sub>"
)
GONE = (
    "This job file is not among those that were planned any more: it was removed or renamed, or the "
    "check names other files."
)
LEFT_OUT = f"{MARK}left out -->"
TOO_LONG = "The plan is longer than a comment may be."
JOINER = "\u2060"
"""Shows as nothing, and parts what would have an effect as a whole."""


class Refused(Exception):
    """Nothing can be posted; the message says why."""


@dataclass(frozen=True)
class Plan:
    """One job's plan as it came; `same`: nothing changed."""

    job: str
    markdown: str
    same: bool

    @property
    def marker(self) -> str:
        """What the comment begins with: tells the job file without showing any of its name."""
        return f"{MARK}{hashlib.sha256(self.job.encode()).hexdigest()[:32]} -->"

    @property
    def body(self) -> str:
        """The whole comment."""
        body = comment(self.marker, harmless(self.markdown))
        return body if len(body) <= MOST_CHARACTERS else comment(self.marker, TOO_LONG)


def comment(marker: str, text: str) -> str:
    """Return a whole comment: the notice stands where nothing in the text can hide it."""
    return f"{marker}\n{SAID}\n\n{text.rstrip()}\n"


def harmless(markdown: str) -> str:
    """Return a stranger's Markdown without HTML comments, and with nothing that has an effect.

    Neither mentions that would call somebody nor lines that GitLab would carry out (`/approve`).
    """
    # As the plan itself writes an `@` outside of code.
    text = markdown.replace("&#64;<!-- -->", "@").replace("<!--", f"<{JOINER}!--")
    text = re.sub(r"&(?=#0*64(?!\d)|#[xX]0*40(?![0-9a-fA-F])|commat)", "&amp;", text)
    text = re.sub(r"(?m)^(\s*)/", rf"\1{JOINER}/", text)
    return re.sub(rf"((?<![A-Za-z0-9])|&[#A-Za-z0-9]+)@(?!{JOINER})", rf"\1@{JOINER}", text)


@dataclass(frozen=True)
class Comment:
    """A comment of our own account."""

    id: int
    body: str


class Forge(Protocol):
    """Where the comments are."""

    def ours(self) -> Iterator[Comment]:
        """Yield the comments that our account wrote."""

    def create(self, body: str) -> None:
        """Write a new comment."""

    def update(self, comment: int, body: str) -> None:
        """Replace a comment's text."""


@dataclass(frozen=True)
class Artifact:
    """What a check left.

    Attributes:
        folders: Of one job each, in order; what is in them is read when it is needed.
        markers: Of all jobs, unchanged ones among them.
        whole: Whether the check came to its end and every folder can be read: what is missing then
            was not planned.
    """

    folders: "tuple[Path, ...]"
    markers: "frozenset[str]"
    whole: bool

    @property
    def plans(self) -> Iterator[Plan]:
        """Read the plans, one after the other."""
        return (plan for plan in map(_plan, self.folders) if plan is not None)


def artifact_in(folder: Path) -> Artifact:
    """Return what is in `folder`."""
    numbered = (one for one in folder.glob("[0-9]*") if re.fullmatch("[0-9]{3,9}", one.name))
    folders = sorted(numbered, key=lambda one: int(one.name))[: MOST_FOLDERS + 1]
    plans = [_plan(one) for one in folders[:MOST_FOLDERS]]
    markers = frozenset(plan.marker for plan in plans if plan is not None)
    whole = None not in plans and (_text(folder / "count") or "") == str(len(folders))
    return Artifact(folders=tuple(folders[:MOST_FOLDERS]), markers=markers, whole=whole)


def _plan(folder: Path) -> "Plan | None":
    job, status = _text(folder / "job"), _text(folder / "status")
    markdown = _text(folder / "comment.md")
    if job is None or markdown is None or status is None:
        return None
    return Plan(job=job, markdown=markdown, same=status == "0")


def _text(file: Path) -> "str | None":
    if file.is_symlink() or not file.is_file():
        return None
    if file.stat().st_size > MOST_BYTES + 400:
        return TOO_LONG
    return file.read_text("utf-8", "replace")


def post(forge: Forge, artifact: Artifact) -> Iterator[str]:
    """Bring the comments up to date; yields what was done."""
    known: dict[str, Comment] = {}
    for one in forge.ours():
        if one.body.startswith(MARK):
            known.setdefault(one.body.partition("\n")[0].strip(), one)
    new = left_out = 0
    for number, plan in enumerate(artifact.plans, 1):
        before = known.get(plan.marker)
        if before is not None:
            yield f"job {number}: {_update(forge, before, plan.body)}"
        elif plan.same:
            yield f"job {number}: nothing changed, nothing to say"
        elif new < MOST_NEW:
            new += 1
            forge.create(plan.body)
            yield f"job {number}: commented"
        else:
            left_out += 1
    yield from _tell_left_out(forge, known.pop(LEFT_OUT, None), left_out)
    if artifact.whole:
        for marker in known.keys() - artifact.markers:
            yield f"a job that is gone: {_update(forge, known[marker], _gone(known[marker], marker))}"


def _update(forge: Forge, before: Comment, body: str) -> str:
    if before.body.replace("\r\n", "\n").rstrip() == body.rstrip():
        return "the comment says it already"
    forge.update(before.id, body)
    return "comment updated"


def _tell_left_out(forge: Forge, before: "Comment | None", count: int) -> Iterator[str]:
    """Say in a comment of its own how many changed jobs have none."""
    jobs = "1 more job" if count == 1 else f"{count} more jobs"
    text = (
        f"{jobs} changed and got no comment: one check adds {MOST_NEW} at most. See its artifact."
    )
    body = comment(LEFT_OUT, text if count else "No job was left out.")
    if before is not None:
        yield f"left out: {_update(forge, before, body)}"
    elif count:
        forge.create(body)
        yield text


def _gone(before: Comment, marker: str) -> str:
    """Return the comment of a job that is gone, under the heading it had."""
    lines = (line.rstrip() for line in before.body.splitlines())
    heading = next((line[:300] for line in lines if line.startswith("### ")), "")
    return comment(marker, f"{heading}\n\n{GONE}".lstrip())


class Api:
    """JSON over HTTP with a token that is sent to one server only."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        self._base = base.rstrip("/")
        self._headers = {**headers, "User-Agent": "runpod-deploy", "Accept": "application/json"}
        if not self._base.startswith("https://") and not _is_loopback(self._base):
            raise Refused(f"{self._base} is not https")

    def call(self, method: str, path: str, data: "dict[str, Any] | None" = None) -> Any:
        """Return the answer; a server that is busy is asked again.

        Raises:
            Refused: It is an error, or does not come.
        """
        content = None if data is None else json.dumps(data).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self._base}{path}", content, {**self._headers, **kind}, method=method
        )
        for attempt in range(1, TRIES + 1):
            try:
                with _opener().open(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if attempt == TRIES or not _worth_again(method, error):
                    what = f"{method} {path.partition('?')[0]}"
                    raise Refused(f"{what} was answered {error.code}") from error
                time.sleep(_pause(error, attempt))
            except (OSError, ValueError) as error:
                raise Refused(f"{method} {path.partition('?')[0]} failed: {error}") from error
        return None

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the items of a list that comes in pages."""
        for page in range(1, MOST_PAGES + 1):
            sign = "&" if "?" in path else "?"
            items = self.call("GET", f"{path}{sign}per_page=100&page={page}")
            yield from items
            if len(items) < 100:
                return


def _worth_again(method: str, error: urllib.error.HTTPError) -> bool:
    """Return whether a call can be made again: a new comment may be there after a 5xx all the same."""
    limited = error.code == 429 or (error.code == 403 and error.headers.get("Retry-After"))
    return bool(limited) or (error.code >= 500 and method != "POST")


def _pause(error: urllib.error.HTTPError, attempt: int) -> float:
    """Return how many seconds to wait: what the server says, within bounds, else longer each time."""
    said = (error.headers.get("Retry-After") or "").strip()
    return min(float(said) if said.isdecimal() else 2.0**attempt, LONGEST_WAIT_SEC)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A redirect would carry the token elsewhere.
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect)


def _is_loopback(url: str) -> bool:
    return urllib.parse.urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


class Github:
    """The comments of one pull request."""

    def __init__(self, api: Api, repository: str, number: int, author: str) -> None:
        self._api = api
        self._repository = f"/repos/{repository}"
        self._number = number
        self._author = author

    def ours(self) -> Iterator[Comment]:
        """Yield the comments that our account wrote."""
        for item in self._api.pages(f"{self._repository}/issues/{self._number}/comments"):
            if (item.get("user") or {}).get("login") == self._author:
                yield Comment(item["id"], item.get("body") or "")

    def create(self, body: str) -> None:
        """Write a new comment."""
        path = f"{self._repository}/issues/{self._number}/comments"
        self._api.call("POST", path, {"body": body})

    def update(self, comment: int, body: str) -> None:
        """Replace a comment's text."""
        self._api.call("PATCH", f"{self._repository}/issues/comments/{comment}", {"body": body})


class Gitlab:
    """The notes of one merge request."""

    def __init__(self, api: Api, project: str, number: str) -> None:
        self._api = api
        quoted = urllib.parse.quote(project, safe="")
        self._path = f"/projects/{quoted}/merge_requests/{int(number)}/notes"

    def ours(self) -> Iterator[Comment]:
        """Yield the notes that our account wrote."""
        own = self._api.call("GET", "/user")["id"]
        for item in self._api.pages(self._path):
            if (item.get("author") or {}).get("id") == own:
                yield Comment(item["id"], item.get("body") or "")

    def create(self, body: str) -> None:
        """Write a new note."""
        self._api.call("POST", self._path, {"body": body})

    def update(self, comment: int, body: str) -> None:
        """Replace a note's text."""
        self._api.call("PUT", f"{self._path}/{comment}", {"body": body})


def pull_request(api: Api, repository: str, event: Mapping[str, Any], hint: str) -> "int | None":
    """Return the open pull request that a finished check was for; None: it moved on since.

    Args:
        event: What GitHub tells a `workflow_run` workflow.
        hint: A number from the check itself, which only chooses among those that fit.
    """
    run = event.get("workflow_run") or {}
    owner = ((run.get("head_repository") or {}).get("owner") or {}).get("login")
    if run.get("event") != "pull_request" or not owner:
        raise Refused("this is for workflow_run, after a check of a pull request")
    head = urllib.parse.quote(f"{owner}:{run['head_branch']}", safe="")
    fitting = [
        item["number"]
        for item in api.pages(f"/repos/{repository}/pulls?state=open&head={head}")
        if (item.get("head") or {}).get("sha") == run.get("head_sha")
    ]
    if len(fitting) > 1 and hint.isdecimal() and int(hint) in fitting:
        return int(hint)
    if len(fitting) > 1:
        raise Refused(f"the commit is the head of several pull requests: {fitting}")
    return fitting[0] if fitting else None


def _github(folder: Path, environ: Mapping[str, str]) -> "Forge | None":
    token = {"Authorization": f"Bearer {environ['GITHUB_TOKEN']}"}
    api = Api(environ.get("GITHUB_API_URL", "https://api.github.com"), token)
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    repository = environ["GITHUB_REPOSITORY"]
    number = pull_request(api, repository, event, _text(folder / "number") or "")
    if number is None:
        print("The pull request has moved on or is closed: nothing to say here.")
        return None
    author = environ.get("COMMENT_AUTHOR") or "github-actions[bot]"
    return Github(api, repository, number, author)


def _gitlab(_: Path, environ: Mapping[str, str]) -> "Forge | None":
    token = environ.get("RUNPOD_DEPLOY_GITLAB_TOKEN")
    if not token:
        print("There is no RUNPOD_DEPLOY_GITLAB_TOKEN here, as in a fork: see the artifact.")
        return None
    api = Api(environ["CI_API_V4_URL"], {"PRIVATE-TOKEN": token})
    return Gitlab(api, environ["CI_PROJECT_ID"], environ["CI_MERGE_REQUEST_IID"])


def main(argv: "list[str]", environ: Mapping[str, str]) -> int:
    """Post what is in the folder; returns the exit status."""
    if len(argv) != 2 or argv[0] not in {"github", "gitlab"}:
        print(__doc__, file=sys.stderr)
        return 4
    folder = Path(argv[1])
    if not folder.is_dir():
        print(f"There is no {folder}: the check left nothing to say.")
        return 0
    try:
        forge = (_github if argv[0] == "github" else _gitlab)(folder, environ)
        if forge is not None:
            for done in post(forge, artifact_in(folder)):
                print(done)
    except (Refused, KeyError, ValueError) as error:
        told = f"{error} is not set" if isinstance(error, KeyError) else error
        print(f"runpod-deploy comment: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
