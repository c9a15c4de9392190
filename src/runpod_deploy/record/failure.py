"""Why a run failed, with the line that proves it.

How the run ended is known from its events; what made the job end so stands in its log, if anywhere.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runpod_deploy.record.reading import open_regular
from runpod_deploy.record.run import Run, RunState

_TAIL_BYTES = 256 * 1024
_LONGEST_LINE = 2000
_LAST_LINES = 400
LOG_NAME = "run.log"
COMMAND_LOG = "commands.log"
COMMAND_HEAD = "--- "
"""Begins the line before what a command printed."""
_RUN_COMMANDS = frozenset({"setup", "preflight"})
DMESG_NAME = "dmesg_tail.txt"
OOM_COUNT = "killed in this container for memory:"
"""Begins the line that tells how many processes the kernel killed, by the container's own count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A line of a file of the run folder; `line` counts from 1."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a run failed.

    Attributes:
        kind: Short name of the kind of failure, one of `KINDS`.
        text: One sentence for people.
        evidence: The line that shows it; None where the end itself says it.
    """

    kind: str
    text: str
    evidence: Evidence | None = None


KINDS: Mapping[str, str] = {
    "cuda_oom": "The GPU ran out of memory.",
    "cuda_mismatch": "The host's driver and the image's CUDA do not fit.",
    "host_oom": "The pod ran out of memory, and the kernel ended the job.",
    "disk_full": "The pod's disk is full.",
    "import_error": "A Python module could not be imported.",
    "auth": "Access was refused: a key or a token is missing, wrong or not allowed.",
    "killed": "The job was ended by a signal.",
    "timeout": "A time limit was reached.",
    "cost_cap": "The cost cap was reached.",
    "idle_gpu": "No GPU did anything for longer than the job file allows.",
    "host_lost": "The pod ended or was taken away while the job ran.",
    "stock_out": "No candidate GPU could be had.",
    "cancelled": "The run was cancelled.",
    "marker_missing": "The job exited 0, but its success marker never came.",
    "failure_marker": "The job exited 0, but its log holds a failure marker.",
    "artifact_missing": "A required result is not there.",
    "not_verified": "Required results could not be brought home, or to their bucket, and verified.",
    "exit_code": "The job ended with an exit code other than 0.",
    "unknown": "How the job ended is not known.",
    "step": "A step of the run could not do its work.",
}
"""Every kind of failure, and what it means."""

_BY_CAUSE: Mapping[str, str] = {
    "StockOut": "stock_out",
    "AccountError": "auth",
    "auth_rejected": "auth",
    "AuthRejected": "auth",
    "max_runtime": "timeout",
    "timeout": "timeout",
    "cost_cap": "cost_cap",
    "idle_gpu": "idle_gpu",
    "pod_killed": "host_lost",
    "connection_lost": "host_lost",
    "cancelled": "cancelled",
    "marker_missing": "marker_missing",
    "failure_marker": "failure_marker",
    "artifact_missing": "artifact_missing",
    "not_verified": "not_verified",
    "UnknownOutcome": "unknown",
}

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KERNEL = re.compile(
    r"Out of memory: Killed process|Memory cgroup out of memory|oom-kill:"
    rf"|^{OOM_COUNT} [1-9]"
)


def classify(run: Run, folder: Path) -> Failure | None:
    """Return why the run in `folder` failed; None for one that succeeded or goes on.

    Reads the end of the log that tells, and the kernel's messages; what cannot be read proves nothing.
    """
    if run.state is RunState.SUCCEEDED or not run.state.final:
        return None
    kind = _BY_CAUSE.get(run.cause or "")
    code = run.job_end.exit_code if run.job_end else None
    log = _log_that_tells(run, kind)
    if kind not in {None, "unknown"} or code == 0 or log is None:
        return _by_cause(kind, run, code)
    known, evidence = _in_the_log(folder / log, code)
    if known in {None, "killed"}:
        killed = _in_the_kernels_messages(folder) if known or _may_be_killed(code) else None
        if killed is not None:
            return Failure(kind="host_oom", text=KINDS["host_oom"], evidence=killed)
    if known is not None and known != "killed":
        return Failure(kind=known, text=KINDS[known], evidence=evidence)
    if known or (code is not None and (128 < code < 160 or code < 0)):
        return Failure(kind="killed", text=_killed(code), evidence=evidence)
    return replace(_by_cause(kind, run, code), evidence=evidence)


def _log_that_tells(run: Run, kind: str | None) -> str | None:
    """Return the log in which the reason may stand: the job's, or that of the commands before it."""
    if run.job_end is not None or kind == "unknown":
        return LOG_NAME
    failed = next((one.name for one in reversed(run.steps) if one.state == "failed"), None)
    return COMMAND_LOG if failed in _RUN_COMMANDS else None


def _may_be_killed(code: int | None) -> bool:
    return code in {None, 137, -9}


def _by_cause(kind: str | None, run: Run, code: int | None) -> Failure:
    if kind is not None:
        return Failure(kind=kind, text=KINDS[kind])
    if code:
        return Failure(kind="exit_code", text=f"The job ended with exit code {code}.")
    error = next((one.error for one in reversed(run.steps) if one.error), None)
    return Failure(kind="step", text=(error or KINDS["step"]).partition("\n")[0])


def _killed(code: int | None) -> str:
    """Return what is known of the signal that ended a job, or one of its processes."""
    if code is None or not (128 < code < 160 or code < 0):
        return "A process of the job was ended by signal SIGKILL."
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"The job was ended by signal {number}."
    if name == "SIGKILL":
        return (
            "The job was ended by signal SIGKILL. The kernel does that when memory is full; "
            "its messages do not tell, or cannot be read on this host."
        )
    return f"The job was ended by signal {name}."


def _in_the_log(log: Path, code: int | None) -> tuple[str | None, Evidence | None]:
    """Return which kind of failure a log's end proves, and the line that tells most of it."""
    # Its patterns take longer to build than those who only read manifests have.
    from runpod_deploy.record.evidence import find_evidence  # noqa: PLC0415 - see above

    first, lines = _last_lines(log)
    if log.name == COMMAND_LOG:
        # Those before the last one ended well.
        heads = [at for at, text in enumerate(lines) if text.startswith(COMMAND_HEAD)]
        lines, first = lines[heads[-1] :] if heads else lines, first + (heads[-1] if heads else 0)
    found = find_evidence(lines, code)
    if found is None:
        return None, None
    text = lines[found.at]
    return found.kind, _proof(log.name, first + found.at, text, found.start, found.end)


def _in_the_kernels_messages(folder: Path) -> Evidence | None:
    first, lines = _last_lines(folder / DMESG_NAME)
    for at in range(len(lines) - 1, -1, -1):
        found = _KERNEL.search(lines[at])
        if found is not None:
            return _proof(DMESG_NAME, first + at, lines[at], found.start(), found.end())
    return None


def _proof(file: str, line: int, text: str, begin: int, end: int) -> Evidence:
    # Of a very long line the part that is the proof.
    start = 0 if end <= _LONGEST_LINE else max(0, begin - _LONGEST_LINE // 2)
    return Evidence(file=file, line=line, text=text[start : start + _LONGEST_LINE].strip())


def _last_lines(path: Path) -> tuple[int, list[str]]:
    """Return the last lines as they were seen on a screen, and the number of the first of them."""
    try:
        with open_regular(path) as stream:
            before = 0
            size = stream.seek(0, 2)
            start = max(0, size - _TAIL_BYTES)
            stream.seek(0)
            while (at := stream.tell()) < start:
                before += stream.read(min(1 << 20, start - at)).count(b"\n")
            lines = stream.read(_TAIL_BYTES).split(b"\n")
    except OSError:
        return 1, []
    kept = lines[-_LAST_LINES:]
    first = before + 1 + len(lines) - len(kept)
    return first, [_seen(raw) for raw in kept]


def _seen(raw: bytes) -> str:
    # A progress bar draws many lines over one another; only the last drawing was seen.
    text = raw.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
    return _COLOUR.sub("", text)


def failure_json(failure: Failure | None) -> dict[str, Any] | None:
    """Return a failure as the manifest holds it."""
    if failure is None:
        return None
    evidence = failure.evidence
    return {
        "kind": failure.kind,
        "text": failure.text,
        "evidence": None
        if evidence is None
        else {"file": evidence.file, "line": evidence.line, "text": evidence.text},
    }
