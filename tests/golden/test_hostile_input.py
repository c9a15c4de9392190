"""Files made to crash, exhaust or stall the reader, each in a process of its own with tight limits."""

import resource
import subprocess
import sys

import pytest

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
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

CASES = {
    "brackets": (b"[" * _MIB, "too-deep"),
    "braces": (b"{" * _MIB, "too-deep"),
    "dashes": (b"- " * (_MIB // 2), "too-deep"),
    "question marks": (b"? " * (_MIB // 2), "too-deep"),
    "nested keys": (b"{a: " * (_MIB // 4), "too-deep"),
    "many values": (b"[" + b"a," * (_MIB // 2 - 1), "too-many-values"),
    "many keys": (b"".join(b"k%d:\n" % n for n in range(60_000)), "unknown-key"),
    "many duplicates": (b"? a\n" * (_MIB // 4), "duplicate-key"),
    "many aliases": (b"a: &a 1\nb: [" + b"*a," * 10_001 + b"]", "too-many-aliases"),
    "long text behind aliases": (
        b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a," * 5000 + b"]",
        "too-many-values",
    ),
    "merge bomb": (
        b"a: &a {" + b",".join(b"k%d: 1" % n for n in range(9000)) + b"}\n"
        b"b: {<<: [" + b"*a," * 9000 + b"]}\n",
        "too-many-values",
    ),
    "long keys above many values": (
        b"? " + b"k" * 400_000 + b"\n: [" + b"a," * 100_000 + b"]\n",
        "missing-key",
    ),
    "tag directives": (
        b"".join(b"%%TAG !%d! b\n" % n for n in range(70_000)) + b"---\na: 1\n",
        "too-many-directives",
    ),
    "mixed list that must be unique": (
        b"pod:\n  gpu_order: [" + b"1,a,[b]," * 20_000 + b"]\n",
        "missing-key",
    ),
    "thousand wrong items": (b"setup: [" + b"1," * 100_000 + b"]\n", "missing-key"),
    "digits": (b"schema_version: " + b"9" * 500_000, "not-finite"),
    "templates inside templates": (b"a: " + b"{{b}, " * 150_000, "unquoted-template"),
    "spaces": (b"a:" + b" " * (_MIB - 2), "unknown-key"),
    "too large": (b"#" * (_MIB + 1), "file-too-large"),
}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    resource.setrlimit(resource.RLIMIT_AS, (1024 * _MIB, 1024 * _MIB))


@pytest.mark.parametrize("name", CASES)
def test_refused_quickly_and_within_memory(name: str) -> None:
    """A hostile file of 1 MiB ends in a diagnostic within 200 MiB and 2 seconds of one core."""
    raw, code = CASES[name]

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
