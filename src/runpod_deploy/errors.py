"""Everything that can go wrong, in one place, each kind with its exit status.

RunpodDeployError
├── InvalidInput              4   the job file, a plan file, a flag: carries every diagnostic found
├── JobFailed                 1   the job ran and failed, or a step before it did
│   ├── StepFailed            1   a step of the run could not do its work
│   │   ├── CommandFailed     1   a remote command ended with a non-zero status
│   │   ├── OverMonthlyCap    6   the month's money is spent; no pod was created
│   │   └── HostUnusable      1   this pod's host will not do; the next candidate may
│   ├── TransportError        1   SSH
│   │   ├── ConnectFailed     1   nobody answered in time
│   │   ├── AuthRejected      1   the pod does not know the key
│   │   ├── HostKeyChanged    1   another machine answers at the pod's address
│   │   └── ConnectionLost    1   an established connection broke; the job may live on
│   └── CloudError            1   RunPod's API refused or failed
│       ├── NotFound          1   404
│       ├── Conflict          1   409: not possible in the present state
│       ├── RequestInvalid    1   422, 413: our body is wrong; never retried
│       ├── CandidateRefused  1   400, 403: this candidate cannot be had, the next one may
│       ├── RateLimited       1   429
│       ├── Unavailable       1   not reached, or a read that failed: nothing happened, ask again
│       │   └── Unreachable   1   nobody answers at the API's address
│       └── EffectUnknown     1   5xx, time-out: the effect may have happened
├── StockOut                  3   every candidate of the ring refused
├── AccountError              5   401, 402: key or balance
├── PlanRefused               6   stale, tampered, unsigned or against policy
├── Leaked                    7   a paid resource could not be confirmed gone
├── Kept                      8   a pod was kept or left running on purpose
├── UnknownOutcome            9   the job's end is not known; never taken for success
└── InternalError            70   our bug
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from runpod_deploy.frozen import frozen

EXIT_OK = 0
EXIT_CHANGED = 2
EXIT_SIGINT = 130
EXIT_SIGTERM = 143


class Severity(StrEnum):
    """How bad a diagnostic is: only an error stops the work."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Position:
    """A place in a text file; `line` and `column` count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Diagnostic:
    """One finding, told so that the reader knows what to do.

    Attributes:
        severity: Only `Severity.ERROR` stops the work.
        code: Stable kebab-case name of the kind of finding, for switching warnings off.
        summary: Fixed short text without user data.
        detail: Full sentences: what is wrong, why, what was meant.
        where: Place in the user's file, when there is one.
        source_line: The text of that line, for the caret view.
        suggestion: The near miss: what was probably meant.
        help: What to do next; a command to copy stands alone on its line.
    """

    severity: Severity
    code: str
    summary: str
    detail: str
    where: Position | None = None
    source_line: str | None = None
    suggestion: str | None = None
    help: str | None = None


class RunpodDeployError(Exception):
    """Base of all our errors; `help` says what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class InvalidInput(RunpodDeployError):
    """A file or flag says something that cannot be; holds every diagnostic, errors and warnings."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        diagnostics: tuple[Diagnostic, ...] = (),
        help: str | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.diagnostics = diagnostics


class JobFailed(RunpodDeployError):
    """The job, or a step on the way to it, failed."""


class StepFailed(JobFailed):
    """A step could not do its work; `cause` is a short machine-readable reason."""

    def __init__(self, message: str, *, cause: str, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.cause = cause


class CommandFailed(StepFailed):
    """A remote command ended with `exit_status`; -1 when a signal ended it."""

    def __init__(self, message: str, *, exit_status: int, help: str | None = None) -> None:
        super().__init__(message, cause="remote_command", help=help)
        self.exit_status = exit_status


class OverMonthlyCap(StepFailed):
    """`budget.monthly_cap_usd` leaves nothing for another pod; none was created."""

    exit_code = 6


class HostUnusable(StepFailed):
    """The pod's host never got ready or is not what the plan needs; another candidate may do."""


class TransportError(JobFailed):
    """SSH to the pod failed."""


class ConnectFailed(TransportError):
    """No SSH server answered in time."""


class AuthRejected(TransportError):
    """The SSH server answered and refused our key."""


class HostKeyChanged(TransportError):
    """The address of the pod answers with another host key than the one enrolled."""


class ConnectionLost(TransportError):
    """An established connection broke; what ran on the pod may still run."""


class CloudError(JobFailed):
    """RunPod's API refused or failed; `status` is the HTTP status, 0 when none arrived."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        request_id: str | None = None,
        retry_after: float | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class NotFound(CloudError):
    """404: the resource is not there (any more)."""


class Conflict(CloudError):
    """409: the action is not possible in the resource's present state."""


class RequestInvalid(CloudError):
    """422 or 413: the request body is wrong; retrying or another candidate cannot help."""


class CandidateRefused(CloudError):
    """400 or 403: no capacity or a rule against this candidate; another one may do."""


class RateLimited(CloudError):
    """429: wait `retry_after` seconds."""


class Unavailable(CloudError):
    """The API was not reached or could not answer, and nothing can have happened: ask again."""


class Unreachable(Unavailable):
    """Nobody answers at the API's address: no network, a wrong name, a closed port, a bad proxy."""


class EffectUnknown(CloudError):
    """5xx, a broken connection or a time-out: the effect may have happened all the same."""


class StockOut(RunpodDeployError):
    """Every candidate of the ring refused; the message lists each refusal."""

    exit_code = 3


class AccountError(RunpodDeployError):
    """401 or 402: the API key or the balance; no candidate can help."""

    exit_code = 5


class PlanRefused(RunpodDeployError):
    """The plan is stale, tampered with, unsigned or against policy; nothing was created."""

    exit_code = 6


class Leaked(RunpodDeployError):
    """A paid resource could not be confirmed gone; the message names it and how to remove it."""

    exit_code = 7


class Kept(RunpodDeployError):
    """A pod was kept or left running on purpose; it goes on costing money."""

    exit_code = 8


class UnknownOutcome(RunpodDeployError):
    """How the job ended is not known; never taken for success."""

    exit_code = 9


class InternalError(RunpodDeployError):
    """A fault of ours; the message ends with a request for a report."""

    exit_code = 70
