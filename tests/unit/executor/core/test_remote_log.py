"""A job's log read from its pod by somebody who only looks."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from runpod_deploy.errors import ConnectFailed, StepFailed, TransportError
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.remote_log import RemoteLog
from support.fake_pod import FakeJob, FakeMachine, FakeTransport
from support.virtual_time import FakeClock, run_virtual

CHUNKS = [(float(at), b"line %d\n" % at) for at in range(1, 6)]
WHOLE = b"".join(piece for _, piece in CHUNKS)


class Counted(FakeTransport):
    """A connection to a pod that also knows `wc -c`."""

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Answer how long the log, or the end of it, is."""
        log = self.machine.job.log(asyncio.get_running_loop().time())
        last = re.search(r"head -c (\d+) .* tail -n (\d+) \| wc -c", command)
        if last:
            lines = log[: int(last[1])].splitlines(keepends=True)
            log = b"".join(lines[-int(last[2]) :] if int(last[2]) else [])
        if "wc -c" in command:
            self._check()
            return Completed(exit_status=0, stdout=b"%d\n" % len(log), stderr=b"")
        return await super().run(command, stdin=stdin, timeout=timeout)


class Bench:
    """A job on a machine, and somebody who reads its log."""

    def __init__(self, **job: object) -> None:
        self.machine = FakeMachine(job=FakeJob(**{"chunks": list(CHUNKS), "lasts": 6.0, **job}))
        self.clock = FakeClock()
        self.refuses = 0
        self.got = b""
        self.losses: list[TransportError] = []
        self.log = RemoteLog(self.connect, home="/h", path="/h/run.log", clock=self.clock)

    async def connect(self) -> FakeTransport:
        """Connect, unless nobody answers."""
        if self.refuses:
            self.refuses -= 1
            raise ConnectFailed("nobody answers")
        return Counted(self.machine, self.clock.gate)

    def sink(self, piece: bytes) -> None:
        """Take a piece."""
        self.got += piece

    async def lost(self, error: TransportError) -> None:
        """Note a loss."""
        self.losses.append(error)

    def begin(self) -> None:
        """Start the job now."""
        self.machine.job.start(asyncio.get_running_loop().time(), 0, "-")


def test_followed_to_its_end_it_is_whole() -> None:
    """Every byte once, and how the job ended."""
    bench = Bench(exit_code=3)

    async def work() -> int | None:
        bench.begin()
        return (await bench.log.follow(bench.sink, bench.lost)).exit_code

    assert 3 == run_virtual(work())
    assert (WHOLE, []) == (bench.got, bench.losses)


def test_a_lost_connection_is_made_again_at_the_byte() -> None:
    """Nothing comes twice and nothing is missing, also when nobody answers for a while."""
    bench = Bench()

    async def work() -> None:
        bench.begin()
        reading = asyncio.create_task(bench.log.follow(bench.sink, bench.lost))
        await asyncio.sleep(2.5)
        bench.refuses = 2
        bench.machine.drop()
        await reading

    run_virtual(work())
    assert WHOLE == bench.got
    assert 3 == len(bench.losses)


def test_whoever_is_told_of_the_loss_may_give_up() -> None:
    """As when the cloud says that the pod is gone."""
    bench = Bench()

    async def gone(_error: TransportError) -> None:
        raise StepFailed("the pod is gone", cause="pod_gone")

    async def work() -> None:
        bench.begin()
        reading = asyncio.create_task(bench.log.follow(bench.sink, gone))
        await asyncio.sleep(1.5)
        bench.machine.kill()
        await reading

    with pytest.raises(StepFailed, match="the pod is gone"):
        run_virtual(work())
    assert b"line 1\n" == bench.got


@pytest.mark.parametrize("lines", [0, 1, 2, 99])
def test_it_can_begin_with_the_last_lines(lines: int) -> None:
    """As `tail -n` counts them, and from there on it is followed."""
    bench = Bench()

    async def work() -> None:
        bench.begin()
        await asyncio.sleep(3.5)
        await bench.log.start_at_last(lines)
        await bench.log.read(bench.sink)
        await bench.log.follow(bench.sink, bench.lost)

    run_virtual(work())
    assert WHOLE.splitlines()[max(0, 3 - lines) :] == bench.got.splitlines()


def test_a_reader_that_is_gone_ends_it() -> None:
    """A closed pipe is no loss of the connection."""
    bench = Bench()

    def closed(_piece: bytes) -> None:
        raise BrokenPipeError

    async def work() -> None:
        bench.begin()
        await bench.log.follow(closed, bench.lost)

    with pytest.raises(BrokenPipeError):
        run_virtual(work())
    assert [] == bench.losses


def test_a_pod_that_answers_nonsense_is_an_error() -> None:
    """What is no number is not taken for one."""
    bench = Bench()

    class Nonsense(FakeTransport):
        async def run(self, command: str, **_more: object) -> Completed:
            del command
            return Completed(exit_status=0, stdout=b"\x1b]0;x\x07 many\n", stderr=b"")

    async def connect() -> FakeTransport:
        return Nonsense(bench.machine, bench.clock.gate)

    log = RemoteLog(connect, home="/h", path="/h/run.log", clock=bench.clock)
    with pytest.raises(StepFailed, match="how long"):
        run_virtual(log.size())
