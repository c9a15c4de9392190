"""Runs the commands of setup and preflight on the pod, their output shown and kept."""

from __future__ import annotations

import asyncio
import shlex
from collections import deque

from runpod_deploy.compiler.plan import Script
from runpod_deploy.errors import CommandFailed, StepFailed
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.failure import COMMAND_HEAD, COMMAND_LOG
from runpod_deploy.record.masking import StreamMasker

TAIL_LINES = 12
LONGEST_SHOWN = 1000


async def run_phase(ctx: RunContext, phase: str) -> None:
    """Run the scripts of `phase` one after the other, stopping at the first that fails.

    Those that ended well under an earlier executor of this run are not run again.

    Raises:
        CommandFailed: A command ended with a non-zero status; the message holds its last lines.
        StepFailed: A command took longer than its limit (cause `timeout`).
    """
    for script in ctx.plan.scripts:
        if script.phase == phase and script.name not in ctx.earlier.commands:
            await run_command(ctx, script)


async def run_command(ctx: RunContext, script: Script) -> None:
    """Run one script; its output goes, masked, to `commands.log` and to the listener."""
    began = ctx.clock.monotonic()
    ctx.journal.write("command_started", name=script.name)
    tail: deque[bytes] = deque(maxlen=TAIL_LINES)
    status: int | None = None
    timer = asyncio.timeout(script.timeout_sec)
    try:
        async with timer:
            status = await _stream(ctx, script, tail)
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise StepFailed(
            f"{script.name} did not end within {script.timeout_sec:g} s.{_shown(tail)}",
            cause="timeout",
            help=f"Raise timeout_sec of that {script.phase} command if it may take longer.",
        ) from error
    finally:
        ctx.note(
            "command_completed",
            name=script.name,
            exit_code=status,
            duration_sec=round(ctx.clock.monotonic() - began, 3),
        )
    if status != 0:
        raise CommandFailed(
            f"{script.name} ended with exit status {status}.{_shown(tail)}", exit_status=status
        )


async def _stream(ctx: RunContext, script: Script, tail: deque[bytes]) -> int:
    home = ctx.fill(ctx.plan.home)
    # The name tells what an earlier executor left running of the same command: it is ended first.
    name = f"RUNPOD_DEPLOY_STEP={shlex.quote(script.name)}"
    words = ["sh", f"{home}/bin/step.sh", str(int(script.with_env)), *map(ctx.fill, script.command)]
    masker = StreamMasker(ctx.masker)
    rest = b""
    status = 0
    with (ctx.folder.path / COMMAND_LOG).open("ab") as log:

        def show(piece: bytes) -> None:
            nonlocal rest
            log.write(piece)
            log.flush()
            ctx.progress.output(script.name, piece)
            *lines, rest = (rest + piece).split(b"\n")
            tail.extend(line[-LONGEST_SHOWN:] for line in lines)
            rest = rest[-LONGEST_SHOWN:]

        log.write(f"{COMMAND_HEAD}{script.name}\n".encode())
        try:
            async for piece in ctx.need_transport().stream(
                f"{name} {shlex.join(words)} 2>&1 </dev/null"
            ):
                show(masker.feed(piece))
        except CommandFailed as error:
            status = error.exit_status
        finally:
            # A prompt that nobody answers has no newline, and says best why it hangs.
            show(masker.flush())
            if rest:
                tail.append(rest)
    return status


def _shown(tail: deque[bytes]) -> str:
    if not tail:
        return " It printed nothing."
    # Of a progress bar, what was to be seen last.
    seen = [line.rstrip(b"\r").rpartition(b"\r")[2] for line in tail]
    lines = [printable(line.decode("utf-8", "replace"), LONGEST_SHOWN) for line in seen]
    return " Its last lines:\n" + "\n".join(f"  {line}" for line in lines)
