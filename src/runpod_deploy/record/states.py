"""The states a run goes through."""

from enum import StrEnum


class RunState(StrEnum):
    """The states of a run; only `SUCCEEDED` is a success."""

    NEW = "NEW"
    WORKING = "WORKING"
    DETACHED = "DETACHED"  # working, with nobody watching
    UNDOING = "UNDOING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    KEPT = "KEPT"  # results not verified here, so the pod that holds them was kept
    UNKNOWN = "UNKNOWN"
    LEAKED = "LEAKED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in {RunState.NEW, RunState.WORKING, RunState.DETACHED, RunState.UNDOING}
