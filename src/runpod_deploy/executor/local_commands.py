"""Commands of a job file that run on this machine; they run only where somebody allowed it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.bounded_process import run_bounded
from runpod_deploy.executor.untrusted import first_lines

WITHIN_SEC = 60.0
LONGEST_OUTPUT = 1 << 20


class LocalCommandFailed(Exception):
    """A command gave nothing that can be used; the message says why, without what it printed."""


@dataclass(slots=True)
class LocalCommands:
    """The leave to run a job's own commands on this machine; what one printed is kept.

    So the runs of a sweep ask a password store once. `within_sec` is the longest that one may take.
    """

    within_sec: float = WITHIN_SEC
    _printed: dict[tuple[Path, str], asyncio.Future[bytes]] = field(
        default_factory=dict, repr=False
    )

    async def printed(self, command: str, folder: Path, environ: Mapping[str, str]) -> bytes:
        """Return what `command` prints, run by `sh` in `folder`; it gets no terminal and no input.

        Raises:
            LocalCommandFailed: It failed, did not end in time, or printed nothing or too much.
        """
        known = self._printed.get((folder, command))
        if known is None:
            known = asyncio.ensure_future(_printed(command, folder, environ, self.within_sec))
            self._printed[folder, command] = known
        try:
            # One run of a sweep that is cancelled does not end it for the others.
            return await asyncio.shield(known)
        except (LocalCommandFailed, OSError):
            self._printed.pop((folder, command), None)  # whoever is next asks anew
            raise

    async def told(
        self, words: Sequence[str], given: bytes, folder: Path, environ: Mapping[str, str]
    ) -> None:
        """Run a program in `folder`, without a shell, with `given` as its input.

        What it prints is not kept.

        Raises:
            LocalCommandFailed: It failed, or did not end in time.
            OSError: It cannot be started.
        """
        await _ended(words, folder, environ, self.within_sec, given=given)


def refuse_commands(plans: Iterable[Plan], commands: LocalCommands | None) -> None:
    """Refuse plans that would run something here when nobody allowed it.

    Raises:
        InvalidInput: One of them has such commands; they are named.
    """
    if commands is not None:
        return
    wanted = list(dict.fromkeys(text for plan in plans for text in wanted_commands(plan)))
    if wanted:
        shown = "\n".join(f"  {text}" for text in wanted)
        raise InvalidInput(
            f"The job runs commands on this machine, and nobody allowed that:\n{shown}",
            help="Read them. If they are what you want, say --allow-commands.",
        )


def wanted_commands(plan: Plan) -> list[str]:
    """Return the commands that a plan runs on this machine, each once."""
    wanted = [one.command for one in plan.secrets]
    if plan.notify is not None:
        wanted.append(plan.notify.command)
    return list(dict.fromkeys(one for one in wanted if one is not None))


async def _printed(
    command: str, folder: Path, environ: Mapping[str, str], within_sec: float
) -> bytes:
    words = ("/bin/sh", "-c", command)
    out = await _ended(words, folder, environ, within_sec, most=LONGEST_OUTPUT)
    if len(out) > LONGEST_OUTPUT:
        raise LocalCommandFailed(
            "it printed more than 1 MiB and was ended; a secret has at most that"
        )
    if not out.strip():
        raise LocalCommandFailed("it ended well and printed nothing")
    return out


async def _ended(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    within_sec: float,
    *,
    most: int = 0,
    given: bytes | None = None,
) -> bytes:
    """Run a program to its end; return what it printed, of one that is given input nothing."""
    try:
        end = await run_bounded(
            words, folder, environ, within_sec=within_sec, most=most, given=given
        )
    except TimeoutError:
        raise LocalCommandFailed(f"it did not end within {within_sec:g} s") from None
    if end.status:
        raise LocalCommandFailed(f"it ended with status {end.status}: {first_lines(end.err)}")
    return end.out
