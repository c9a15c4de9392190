"""Files made to crash, exhaust or stall the reader, each in a process of its own with tight limits."""

import resource
import subprocess
import sys

import pytest

from hostile_files import HOSTILE

_MIB = 1024 * 1024
_READ = """
import resource, sys, time
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.load import load_bytes
import jsonschema
raw = sys.stdin.buffer.read()
started = time.process_time()
try:
    load_bytes(raw, display="job.yaml")
except InvalidInput as error:
    print(error.diagnostics[0].code)
else:
    print("accepted")
print(time.process_time() - started)
try:
    # Not the peak of `getrusage`: on Linux that one counts what the parent held when it forked.
    lines = open("/proc/self/status").read().splitlines()
    print(next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")))
except FileNotFoundError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024))
"""


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    resource.setrlimit(resource.RLIMIT_AS, (1024 * _MIB, 1024 * _MIB))


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_quickly_and_within_memory(name: str) -> None:
    """A hostile file of 1 MiB ends in a diagnostic within 200 MiB and 2 seconds of one core."""
    raw, code = HOSTILE[name]

    done = subprocess.run(
        [sys.executable, "-c", _READ],
        input=raw,
        capture_output=True,
        check=False,
        preexec_fn=_limit,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    said, seconds, mebibytes = done.stdout.decode().split()
    assert code == said
    assert float(seconds) < 2
    assert int(mebibytes) < 200
