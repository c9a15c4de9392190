"""What `logs -f` says when a job that it read from the pod has ended: who brings its results home."""

import time
from io import StringIO
from pathlib import Path

import pytest

from begun_run import Begun
from runpod_deploy.cli import pod_log
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.executor.supervision import Report
from runpod_deploy.forensics.status import read_status
from runpod_deploy.record.run_lock import RunLock


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run whose job goes on."""
    return Begun(project).with_job()


ENDED = Report(state="exited", exit_code=143, log_bytes=9, ended_by="cancelled")


def told(begun: Begun, terminal: Terminal, report: Report) -> str:
    """Return what is said about the end of the job."""
    status = read_status(begun.path, time.time())
    pod_log._tell_end(status, report, terminal)
    assert isinstance(terminal.stderr, StringIO)
    return terminal.stderr.getvalue()


def test_nobody_does(begun: Begun, terminal: Terminal) -> None:
    """The command that does it is named."""
    text = told(begun, terminal, ENDED)
    assert "Nobody has brought its results home yet" in text
    assert "runpod-deploy resume" in text


def test_another_process_does(begun: Begun, terminal: Terminal) -> None:
    """A cancel from elsewhere holds the run: nothing is left to do."""
    RunLock.take(begun.path, owner="me", now=time.time())
    text = told(begun, terminal, ENDED)
    assert "on this machine" in text
    assert "brings its results home" in text
    assert "resume" not in text


def test_it_is_done(begun: Begun, terminal: Terminal) -> None:
    """A run that is over needs nobody any more."""
    begun.gone().state("CANCELLED", "cancelled")
    text = told(begun, terminal, ENDED)
    assert "The run is over, CANCELLED" in text
    assert "resume" not in text
