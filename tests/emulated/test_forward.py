"""Ports of a pod on this machine, on the emulator: while a run is carried on, and beside that."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from support.command import Bench, wait_until

pytestmark = pytest.mark.emulated


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Say whether the pod's program answers on a port of this machine."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/a", timeout=5) as answer:
            return bool(answer.read() == b"hello\n")
    except OSError:
        return False


def test_ports_lead_to_the_pod_as_long_as_somebody_watches(bench: Bench) -> None:
    """By the job file and by the flag; a taken one costs nothing, and all are let go at the end."""
    here, there, beside = free_port(), free_port(), free_port()
    serve = f"timeout 120 python3 -m http.server {there} --bind 127.0.0.1"
    bench.job(run={"body": f"cd /root; echo hello > a; {serve}\n"}, forward=[f"{here}:{there}"])
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: answers(here) or process.poll() is not None, timeout=90)
    looking = bench.start("attach", "last", "--forward", f"{beside}:{there}")
    wait_until(lambda: answers(beside) or looking.poll() is not None, timeout=90)
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")

    assert (status, len(bench.runs())) == (4, 1)
    assert f"port {here} of this machine is taken by another program" in output
    assert bench.run("cancel", "last")[0] == 0
    assert f"127.0.0.1:{here} leads to port {there} of the pod." in process.communicate()[0]
    assert f"127.0.0.1:{beside} leads to port {there} of the pod." in looking.communicate()[0]
    assert not answers(here)
    assert not answers(beside)
