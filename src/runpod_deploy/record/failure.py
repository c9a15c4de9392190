"""Why a run failed, with the line that proves it.

How the run ended is known from its events; what made the job end so stands in its log, if anywhere.
A line counts only near the log's end: what a job survived is not what ended it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.record.reading import open_regular
from runpod_deploy.record.run import Run, RunState

NEAR_THE_END_LINES = 400
_TAIL_BYTES = 256 * 1024
_LONGEST_LINE = 2000
LOG_NAME = "run.log"
DMESG_NAME = "dmesg_tail.txt"


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
    "not_verified": "Required results could not be brought home and verified.",
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

# What stands before the last line of a traceback: torchrun's `[rank0]: `, the bar of a group.
_LEAD = r"^(?:\s|\[rank\d+\]:|\|)*"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "cuda_oom",
        re.compile(
            r"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED"
            r"|RESOURCE_EXHAUSTED: Out of memory|HIP out of memory"
        ),
    ),
    (
        "cuda_mismatch",
        re.compile(
            r"NVIDIA driver on your system is too old|CUDA driver version is insufficient"
            r"|no kernel image is available for execution|CUDA_ERROR_(?:NO_BINARY_FOR_GPU|SYSTEM_"
            r"DRIVER_MISMATCH|UNSUPPORTED_PTX_VERSION)|provided PTX was compiled with an unsupported"
            r"|Driver/library version mismatch|forward compatibility was attempted on non supported HW"
            r"|unsatisfied condition: cuda>="
        ),
    ),
    ("disk_full", re.compile(r"No space left on device|Disk quota exceeded|ENOSPC")),
    (
        "host_oom",
        re.compile(
            _LEAD
            + r"MemoryError\b|Cannot allocate memory|DefaultCPUAllocator: (?:can't|not enough)"
            r"|oom-kill|DataLoader worker .* is killed by signal: Killed"
        ),
    ),
    ("import_error", re.compile(_LEAD + r"(?:ModuleNotFoundError|ImportError): ")),
    (
        "auth",
        re.compile(
            r"401 (?:Client Error|Unauthorized)|403 (?:Client Error|Forbidden)|GatedRepoError"
            r"|Invalid (?:user token|API key|credentials)|Permission denied \(publickey"
            r"|authentication required|AccessDenied\b"
        ),
    ),
)
_KERNEL = re.compile(r"Out of memory: Killed process|Memory cgroup out of memory|oom-kill:")


def classify(run: Run, folder: Path) -> Failure | None:
    """Return why the run in `folder` failed; None for one that succeeded or goes on.

    Reads the end of the log and the kernel's messages; what cannot be read proves nothing.
    """
    if run.state is RunState.SUCCEEDED or not run.state.final:
        return None
    kind = _BY_CAUSE.get(run.cause or "")
    code = run.job_end.exit_code if run.job_end else None
    if kind in {None, "unknown"} and code != 0:
        found = _in_the_log(folder)
        if found is not None:
            return found
        if code in {137, -9} or kind == "unknown":
            killed = _in_the_kernels_messages(folder)
            if killed is not None:
                return killed
    if kind is None and code is not None and (128 < code < 160 or code < 0):
        return Failure(kind="killed", text=f"The job was ended by {_signal(code)}.")
    return _by_cause(kind, run, code)


def _by_cause(kind: str | None, run: Run, code: int | None) -> Failure:
    if kind is not None:
        return Failure(kind=kind, text=KINDS[kind])
    if code:
        return Failure(kind="exit_code", text=f"The job ended with exit code {code}.")
    error = next((one.error for one in reversed(run.steps) if one.error), None)
    return Failure(kind="step", text=(error or KINDS["step"]).partition("\n")[0])


def _signal(code: int) -> str:
    number = -code if code < 0 else code - 128
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def _in_the_log(folder: Path) -> Failure | None:
    """Return what the last telling line near the log's end says."""
    for number, text in _last_lines(folder / LOG_NAME):
        for kind, pattern in _PATTERNS:
            found = pattern.search(text)
            if found is not None:
                return _proved(kind, LOG_NAME, number, text, found)
    return None


def _in_the_kernels_messages(folder: Path) -> Failure | None:
    for number, text in _last_lines(folder / DMESG_NAME):
        found = _KERNEL.search(text)
        if found is not None:
            return _proved("host_oom", DMESG_NAME, number, text, found)
    return None


def _proved(kind: str, file: str, line: int, text: str, found: re.Match[str]) -> Failure:
    # Of a very long line the part that is the proof.
    start = 0 if found.end() <= _LONGEST_LINE else found.start() - _LONGEST_LINE // 2
    shown = text[start : start + _LONGEST_LINE].strip()
    evidence = Evidence(file=file, line=line, text=shown)
    return Failure(kind=kind, text=KINDS[kind], evidence=evidence)


def _last_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the last lines, the last one first."""
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
        return
    kept = list(enumerate(lines, start=before + 1))[-NEAR_THE_END_LINES:]
    for number, raw in reversed(kept):
        # A progress bar draws many lines over one another; only the last drawing was seen.
        text = raw.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
        yield number, _COLOUR.sub("", text)


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
