"""Shell on the pod: how a script is called there, and what its exit status means."""

import shlex

from runpod_deploy.errors import CommandFailed, StepFailed
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.untrusted import first_lines, printable

# What our scripts exit with; the numbers are out of the way of what tar, xargs and sh use.
CAUSES = {
    41: "destination_conflict",
    42: "verify_failed",
    43: "missing_tool",
    44: "remote_write",
    45: "remote_unpack",
    46: "incomplete",
}

# Worth the start of python3, whose hashlib is several times as fast as many images' sha256sum and
# uses all cores.
_LARGE = 8 * 1024 * 1024
_LARGE_FILE = 16 * 1024

_DIGESTS = r"""
digests() {
  if [ $LARGE = 0 ] && sha256sum -z /dev/null >/dev/null 2>&1; then
    xargs -0 -r sha256sum -z --
  elif python3 -c 'import concurrent.futures, hashlib' >/dev/null 2>&1; then
    python3 -c '
import concurrent.futures, hashlib, os, sys
def line(name):
    digest = hashlib.sha256()
    try:
        with open(name, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        sys.stderr.write(str(error) + "\n")
        return b""
    return digest.hexdigest().encode() + b"  " + name + b"\0"
names = [name for name in sys.stdin.buffer.read().split(b"\0") if name]
with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    for text in pool.map(line, names):
        sys.stdout.buffer.write(text)
'
  elif sha256sum -z /dev/null >/dev/null 2>&1; then
    xargs -0 -r sha256sum -z --
  else
    echo "the image has neither sha256sum of GNU coreutils 8.25 or later nor python3" >&2
    exit 43
  fi
}
"""


def digests(files: int, size: int) -> str:
    """Return the shell function `digests`, for a number of files of `size` bytes in all.

    It reads NUL-ended names and writes `<sha256>  <name>`, NUL-ended and in that order, leaving out
    what cannot be read.
    """
    large = size >= max(_LARGE, files * _LARGE_FILE)
    return f"LARGE={int(large)}{_DIGESTS}"


def call(script: str, *arguments: str) -> str:
    """Return the command that runs a POSIX script with `$1 $2 …`, whatever the login shell is."""
    quoted = " ".join(shlex.quote(argument) for argument in ("rd", *arguments))
    return f"env LC_ALL=C sh -c {shlex.quote(script)} {quoted}"


def plain_path(path: str) -> str:
    """Return a path on the pod that no program takes for an option."""
    return path if path.startswith("/") else f"./{path}"


def failure(done: Completed, doing: str) -> StepFailed:
    """Return the error for a script that failed while `doing` something.

    Its cause is `disk_full` when the pod has no room, what `CAUSES` says, or `remote_command`.
    """
    return _failure(done.exit_status, first_lines(done.stderr), doing)


def failed(exc: CommandFailed, doing: str) -> StepFailed:
    """Return the same for a script whose output was streamed."""
    words = exc.message.partition(f"status {exc.exit_status}: ")[2]
    return _failure(exc.exit_status, printable(words), doing)


def _failure(status: int, words: str, doing: str) -> StepFailed:
    said = words or "it wrote no error message"
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return StepFailed(
            f"{printable(doing)}: the pod's disk is full: {said}",
            cause="disk_full",
            help="Raise pod.container_disk_gb or storage.volume_gb, or stage elsewhere.",
        )
    message = f"{printable(doing)} failed on the pod: {said}"
    if status in CAUSES:
        return StepFailed(message, cause=CAUSES[status])
    return CommandFailed(message, exit_status=status)
