"""A pod that is a folder of this machine: the script that runs on pods runs here, in a thread."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from runpod_deploy.errors import CommandFailed, TransportError
from runpod_deploy.executor.ports import Completed, Reader, Writer
from runpod_deploy.executor.sync.far.serve import serve
from runpod_deploy.executor.sync.far.talk import Failed, Talk


@dataclass(eq=False)
class HerePod:
    """A transport whose only commands are our script's.

    Attributes:
        started: How often the script was started.
        commands: What `run` was asked to do.
    """

    started: int = 0
    commands: list[str] = field(default_factory=list)

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,  # noqa: ARG002 - the port has it
        timeout: float | None = None,  # noqa: ARG002 - the port has it
    ) -> Completed:
        """Note the command."""
        self.commands.append(command)
        return Completed(exit_status=0, stdout=b"", stderr=b"")

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Run the script and pass on what it says."""
        assert "none 0" in command
        assert isinstance(stdin, AsyncIterator)
        self.started += 1
        frames, feed = os.pipe()
        answers, said = os.pipe()
        served = asyncio.create_task(asyncio.to_thread(_serve, frames, said))
        feeding = asyncio.create_task(_feed(stdin, feed))
        try:
            while chunk := await asyncio.to_thread(os.read, answers, 65536):
                yield chunk
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            os.close(feed)
            os.close(answers)
            status, words = await served
        if status:
            raise CommandFailed(
                f"a command on pod ended with status {status}: {words}", exit_status=status
            )

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port."""
        raise TransportError(f"nobody listens on port {port} of the pod")

    def host_key(self) -> str:
        """Return no key."""
        return ""

    def latency(self) -> float:
        """Return nothing."""
        return 0.0

    async def close(self) -> None:
        """Do nothing."""


def _serve(frames: int, said: int) -> tuple[int, str]:
    try:
        serve(Talk(frames, said))
    except Failed as exc:
        return exc.status, exc.words
    except OSError as exc:
        return 44, str(exc)
    except EOFError:
        return 46, "the frames ended early"
    else:
        return 0, ""
    finally:
        os.close(frames)
        os.close(said)


async def _feed(stdin: AsyncIterator[bytes], feed: int) -> None:
    async for chunk in stdin:
        view = memoryview(chunk)
        while view:
            view = view[await asyncio.to_thread(os.write, feed, view) :]
