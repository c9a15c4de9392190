"""The line of a log that shows why its job ended.

What ends a job is said near the log's end, and last: a job that survives an error goes on and says
other things. So the log is read backwards. A line that tells an error of its own outranks whatever
stands above it; one that only passes on what others said (a launcher, a rank that lost its peer)
does not; and a remark of a job that helped itself counts where nothing else is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

NEAR_THE_END = 400
"""Lines from a log's end within which an error can be what ended the job."""
_JUST_BEFORE = 40
"""Lines within which a traceback can explain an exit code that Python itself does not give."""
_REMARK_WITHIN = 20
_SAME_END = 10
_PYTHON_EXITS = frozenset({None, 1, 120, 134})
_NOT_RUN = frozenset({126, 127})
_SIGKILL = frozenset({137, -9})
_ENDED_FROM_OUTSIDE = frozenset({129, 130, 137, 143, -1, -2, -9, -15})

# What launchers and loggers put before each line of a process.
_PREFIX = re.compile(
    r"(?:\[(?:rank|default)\d+\]:? ?|\[\d+,\d+\]<std(?:err|out)>: ?|\([\w.-]+ pid=\d+[^)]*\) ?"
    r"|(?:ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* ?(?=Traceback|  File|\w+Error))*"
)
_START_MARKER = "__RUNPOD_STEP_START__"

_TELLING: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "cuda_oom",
        re.compile(
            r"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|CUDA error: out of memory"
            r"|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED: Out of memory|HIP out of memory"
            r"|OOM when allocating tensor|cudaMalloc failed: out of memory"
            r"|No executable batch size found|No available memory for the cache blocks"
            r"|KV cache is needed, which is larger than the available KV cache memory"
            r"|Free memory on device .{1,200} is less than desired GPU memory utilization"
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
            r"^[\s|]*MemoryError\b|Cannot allocate memory|DefaultCPUAllocator: (?:can't|not enough)"
            r"|oom-kill|DataLoader worker .{1,100} is killed by signal: Killed"
        ),
    ),
    ("import_error", re.compile(r"^[\s|]*(?:ModuleNotFoundError|ImportError): ")),
    (
        "auth",
        re.compile(
            r"401 (?:Client Error|Unauthorized)|403 (?:Client Error|Forbidden)|GatedRepoError"
            r"|Invalid (?:user token|API key|credentials)|Permission denied \(publickey"
            r"|authentication required|AccessDenied\b"
        ),
    ),
    ("killed", re.compile(r"Signal 9 \(SIGKILL\) received by PID")),
)
_KILLED = re.compile(r"^(?:.{0,300}line \d+: +\d+ )?Killed\b(?!:)")
_SURVIVED = re.compile(
    r"\b(?:retry(?:ing)?|fall(?:ing)? ?back|skipp(?:ed|ing)|ignor(?:ed|ing)|continuing|handled|caught"
    r"|recovered|reducing|halving)\b|^\W*(?:WARN(?:ING)?|INFO|DEBUG|NOTE)\b|Warning: |\bWARN(?:ING)?\b",
    re.IGNORECASE,
)
_PASSED_ON = re.compile(
    r"ChildFailedError|CalledProcessError|non-zero exit status|ProcessRaisedException"
    r"|ProcessExitedException|Engine core initialization failed|EngineDeadError|See root cause above"
    r"|DistBackendError|ProcessGroupNCCL|RemoteError|RayTaskError|ActorDiedError|WorkerCrashedError"
    r"|BrokenPipeError|ConnectionResetError|Connection closed by peer"
    r"|^make(?:\[\d+\])?: \*\*\*|^srun: error|^KeyboardInterrupt"
)
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: .*|:)?$")
_FRAME = re.compile(r'\s+File ".*", line \d+')
_SHELL = re.compile(r"(?:\S*sh|\S*/\S+|-\w*): (?:line )?\d+: |\S+: line \d+: ")
_PLAIN_ERROR = re.compile(
    r"(?:fatal|error|FATAL|ERROR|CRITICAL)(?: |:|\[)|[\w./+-]+: (?:cannot|can't|could not|fatal"
    r"|error|unable|missing|invalid|unrecognized)\b|.{1,200}: No such file or directory$"
    r"|Fatal Python error: |terminate called |Segmentation fault|Bus error|Illegal instruction"
)
_CHAIN = "The above exception was the direct cause of the following exception"
_LONGEST_TRACEBACK = 200
_BEGINNING = 1000
"""Characters of a line in which an error of no known kind has to show itself."""


class Weight(IntEnum):
    """How much a line says about the end, the least first."""

    REMARK = 1
    PASSED_ON = 2
    PLAIN = 3
    ERROR = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A line that tells of an error.

    Attributes:
        at: Its place among the lines that were given, from 0.
        kind: What it proves; None where it is an error of no known kind.
        start, end: Where in the line the proof stands.
    """

    at: int
    weight: Weight
    kind: str | None
    start: int
    end: int


def find_evidence(lines: Sequence[str], code: int | None) -> Finding | None:
    """Return the line that shows best why a job ended, None where no line does.

    Args:
        lines: The last lines of its log, oldest first, without colours.
        code: The job's exit code; None where it is not known.
    """
    first = max(0, len(lines) - NEAR_THE_END)
    fallback: Finding | None = None
    for at in range(len(lines) - 1, first - 1, -1):
        if _START_MARKER in lines[at]:
            break  # what stands above was survived: the job went on with another step
        one = _finding(lines, at, code)
        if one is None or (fallback is not None and not _outranks(one, fallback, lines, code)):
            continue
        if one.weight is Weight.ERROR:
            return one if one.kind is not None else _root(lines, one, code)
        fallback = one
    return fallback


def _outranks(one: Finding, nearer: Finding, lines: Sequence[str], code: int | None) -> bool:
    """Say whether an error explains the end better than one that stands nearer to it."""
    if one.weight <= nearer.weight:
        return False
    if nearer.weight is Weight.PLAIN:
        # What a shell script says after its program failed is a consequence, if it says it at once.
        between = sum(1 for text in lines[one.at + 1 : nearer.at] if text.strip())
        return between <= _SAME_END and code not in _NOT_RUN
    return True


def _finding(lines: Sequence[str], at: int, code: int | None) -> Finding | None:
    text = lines[at]
    lead = _PREFIX.match(text)
    skip = lead.end() if lead is not None else 0
    said, from_end = text[skip:], len(lines) - at
    if code not in _PYTHON_EXITS and from_end > _JUST_BEFORE:
        return None
    ends = _ends_a_traceback(lines, at, said)
    known = _known(said, code)
    if known is not None:
        kind, found = known
        weight = Weight.ERROR
        if not ends and _SURVIVED.search(said[:_BEGINNING]):
            weight = Weight.REMARK
        if weight is Weight.REMARK and from_end > _REMARK_WITHIN:
            return None
        start, end = found.start() + skip, found.end() + skip
        return Finding(at=at, weight=weight, kind=kind, start=start, end=end)
    if code in _ENDED_FROM_OUTSIDE:
        return None
    weighed = _unknown(said[:_BEGINNING], ends=ends, near=from_end <= _REMARK_WITHIN)
    if weighed is None:
        return None
    return Finding(at=at, weight=weighed, kind=None, start=skip, end=len(text))


def _known(said: str, code: int | None) -> tuple[str, re.Match[str]] | None:
    """Return the kind of error that a line names, if a process of that exit code can have had it."""
    killed = _KILLED.search(said)
    if killed is not None and (code in _SIGKILL or "line" in killed[0]):
        return "killed", killed
    for kind, pattern in _TELLING:
        found = pattern.search(said)
        if found is not None and (
            code not in _ENDED_FROM_OUTSIDE or (kind == "host_oom" and code in _SIGKILL)
        ):
            return kind, found
    return None


def _unknown(said: str, *, ends: bool, near: bool) -> Weight | None:
    if _PASSED_ON.search(said) is not None:
        return Weight.PASSED_ON
    if ends:
        return Weight.ERROR
    plain = _SHELL.match(said) or _PLAIN_ERROR.match(said)
    return Weight.PLAIN if near and plain is not None else None


def _ends_a_traceback(lines: Sequence[str], at: int, said: str) -> bool:
    """Return whether a line is the exception under a traceback's last frame."""
    if at == 0 or _EXCEPTION.match(said) is None:
        return False
    above = [_bare(text) for text in lines[max(0, at - 6) : at]]
    if above[-1].startswith("╰"):  # as rich draws it
        return True
    return above[-1][:1].isspace() and any(map(_FRAME.match, above))


def _root(lines: Sequence[str], last: Finding, code: int | None) -> Finding:
    """Return what an exception of no known kind was raised from, where that is a known kind."""
    at = last.at
    for _ in range(8):
        cause = _raised_from(lines, at)
        if cause is None:
            break
        at = cause
        found = _finding(lines, at, code)
        if found is not None and found.kind is not None:
            return found
    return last


def _raised_from(lines: Sequence[str], at: int) -> int | None:
    """Return where the exception stands that the one at `at` was raised from; None if from none."""
    lowest = max(0, at - _LONGEST_TRACEBACK)
    above = range(at - 1, lowest, -1)
    top = next((i for i in above if "Traceback (" in lines[i]), None)
    if top is None:
        return None
    said = [i for i in range(max(0, top - 3), top) if _bare(lines[i]).strip()]
    if not said or _CHAIN not in lines[said[-1]]:
        return None
    before = range(said[-1] - 1, max(0, said[-1] - _LONGEST_TRACEBACK), -1)
    return next((i for i in before if _ends_a_traceback(lines, i, _bare(lines[i]))), None)


def _bare(text: str) -> str:
    lead = _PREFIX.match(text)
    return text[lead.end() :] if lead is not None else text
