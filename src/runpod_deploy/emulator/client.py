"""Find, start and stop the emulator daemon; what the command line calls.

Importing this module is cheap: nothing of the server side comes along.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

from runpod_deploy.emulator.contact import EmulatorInfo, process_exists, read_contact
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.place import Place, anchored, place_from
from runpod_deploy.emulator.wire import WireError, call

__all__ = [
    "EmulatorError",
    "EmulatorInfo",
    "EmulatorOptions",
    "add_faults",
    "admin",
    "clear_faults",
    "ensure_running",
    "find",
    "list_pods",
    "status",
    "stop",
]

PROBE_SECONDS = 2.0
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 15
STOP_SECONDS = 15.0


class EmulatorError(Exception):
    """The emulator did not come up or did not answer; the message says what to do."""


def find(env: Mapping[str, str]) -> EmulatorInfo | None:
    """Give the running emulator; None when there is none, also behind a stale contact file."""
    info = read_contact(place_from(env).contact)
    if info is None:
        return None
    try:
        answered = call(info, "GET", "/_emulator/status", timeout=PROBE_SECONDS)
    except WireError:
        return None
    return info if answered["pid"] == info.pid else None


def ensure_running(
    env: Mapping[str, str],
    *,
    options: EmulatorOptions = EmulatorOptions(),  # noqa: B008 - frozen
    timeout: float = 15,
) -> EmulatorInfo:
    """Give the running emulator, started if need be.

    Args:
        env: RUNPOD_API_KEY becomes the emulator's key; RUNPOD_DEPLOY_EMULATOR_DIR and the XDG
            variables say where it lives.
        options: Only used for a start: one that runs already stays as it is.
        timeout: Seconds until it must answer.

    Raises:
        EmulatorError: It did not come up; holds the end of its log.
    """
    deadline = time.monotonic() + timeout
    place = place_from(env)
    silent = 0
    while time.monotonic() < deadline:
        info = find(env)
        if info is not None:
            return info
        outcome = _spawn(place, env, options, deadline)
        if "error" in outcome:
            raise EmulatorError(_explain(place, outcome["error"]))
        silent += not outcome
        if silent > 1:
            raise EmulatorError(_explain(place, "its process ended before it was ready"))
        time.sleep(POLL_SECONDS)
    raise EmulatorError(_explain(place, f"no answer in {timeout:g} s"))


def stop(env: Mapping[str, str]) -> bool:
    """End the running emulator and wait until it is gone; False when none runs.

    Raises:
        EmulatorError: It did not end.
    """
    info = read_contact(place_from(env).contact)
    if info is None:
        return False
    try:
        call(info, "POST", "/_emulator/shutdown")
    except WireError:
        # It may have ended faster than it answered, or be too busy to answer.
        with contextlib.suppress(ProcessLookupError):
            os.kill(info.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while process_exists(info.pid):
        if time.monotonic() > deadline:
            raise EmulatorError(
                f"The emulator (pid {info.pid}) does not end. Its log is "
                f"{place_from(env).log}; end it with: kill -9 {info.pid}"
            )
        time.sleep(POLL_SECONDS)
    return True


def status(env: Mapping[str, str]) -> dict[str, Any]:
    """Describe the emulator: `running`, and if it does, what its admin API says, and `url`."""
    info = find(env)
    if info is None:
        return {"running": False}
    return {"running": True, "url": info.url, **admin(info, "GET", "status")}


def list_pods(env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the pods that exist, as the API words them; none when no emulator runs."""
    info = find(env)
    return [] if info is None else cast("list[dict[str, Any]]", admin(info, "GET", "pods")["pods"])


def add_faults(info: EmulatorInfo, faults: Iterable[str | Mapping[str, Any]]) -> None:
    """Put faults in force on a running emulator, as texts or objects.

    Raises:
        EmulatorError: One cannot be understood.
    """
    admin(info, "POST", "faults", {"faults": list(faults)})


def clear_faults(info: EmulatorInfo) -> None:
    """Take all faults away."""
    admin(info, "DELETE", "faults")


def admin(info: EmulatorInfo, method: str, path: str, body: object = None) -> Any:
    """Send one request below `/_emulator/`.

    Raises:
        EmulatorError: It was refused, or nobody answered.
    """
    try:
        return call(info, method, f"/_emulator/{path}", body)
    except WireError as exc:
        raise EmulatorError(str(exc)) from exc


def _spawn(
    place: Place, env: Mapping[str, str], options: EmulatorOptions, deadline: float
) -> dict[str, str]:
    """Start the daemon and read the one line it says about its start."""
    place.make()
    command = [sys.executable, "-m", "runpod_deploy.emulator", "--daemon", *options.to_argv()]
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            command,
            env=anchored(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            start_new_session=True,
        )
    except OSError as exc:
        raise EmulatorError(f"Cannot start the emulator with {sys.executable}: {exc}") from exc
    finally:
        os.close(descriptor)
    # The process leaves at once: the daemon is its child, so that nobody has to reap it.
    with process, process.stdout or contextlib.nullcontext() as stream:
        line = _first_line(stream, deadline)
    try:
        outcome = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, str]", outcome)


def _first_line(stream: IO[bytes] | None, deadline: float) -> bytes:
    if stream is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if selector.select(max(0.0, deadline - time.monotonic())):
            return stream.readline()
    return b""


def _explain(place: Place, reason: str) -> str:
    try:
        lines = place.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])
    seen = f"\nThe end of its log ({place.log}):\n{tail}" if tail else f"\nIts log is {place.log}."
    return (
        f"The emulator did not start: {reason}{seen}\n"
        "To see it start in the foreground: python -m runpod_deploy.emulator"
    )
