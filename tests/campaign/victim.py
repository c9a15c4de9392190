"""Runs the command line and kills its own process, by SIGKILL, right after a line of the journal.

`python victim.py K ARGUMENT…` is `runpod-deploy ARGUMENT…` that dies after the K-th line that it writes.
The kill is one that nothing can catch; only its moment is arranged.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from runpod_deploy.cli.app import run
from runpod_deploy.record.journal import Journal


def main() -> None:
    """Arrange the kill, then do what was asked."""
    last = int(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    append, written = Journal._append, 0

    def watched(self: Journal, line: bytes, *, durable: bool) -> Any:
        nonlocal written
        append(self, line, durable=durable)
        written += 1
        if written >= last:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._append = watched
    run()


if __name__ == "__main__":
    main()
