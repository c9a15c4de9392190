"""Hundreds of runs followed by one process: its processor, its memory, and how late a line comes.

The cloud and its pods are in another process (`light_pods.py`): real HTTP, real SSH, one log of ten lines
a second each. Everything on our side is what `apply` runs: journal, run.log, lease, polls, reconnects.
Prints each figure beside its target; exits 0 only if all are met, 2 when nothing could be measured.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from runpod_deploy.executor.ports import PodRequest
from runpod_deploy.executor.run import Listeners, Outcome, Target, execute
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.facts.plan_job import load_job, plan_job

PODS = Path(__file__).with_name("light_pods.py")
JOB = """\
schema_version: 3
name: many
pod:
  image: runpod/base:1.0.2-ubuntu2204
  gpu_order: [NVIDIA L4]
  datacenters: [EU-RO-1]
capacity: {wait_minutes: 10}
budget: {cost_cap_usd: 10, ssh_ready_timeout_sec: 300}
lint: {ignore: [cuda-floor, image-tag]}
run:
  body: python train.py
"""
AT_ONCE = 16
CONNECTIONS = 200
MOST_KIB, MOST_CORES, LATEST_SEC = 100.0, 1.0, 0.5


@dataclass
class Seen:
    """Lines of one run as they came: how many, and how late while it counts.

    Attributes:
        counting: Whether all runs are there.
    """

    counting: bool = False
    lines: int = 0
    late: list[float] = field(default_factory=list)


class Watcher:
    """The listener of one run."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.begun = asyncio.Event()

    def message(self, text: str) -> None:
        """Nobody reads."""

    def output(self, source: str, text: bytes) -> None:
        """Take the time of each line."""
        if source != "run":
            return
        self.begun.set()
        if not self._seen.counting:
            return
        now = time.monotonic_ns()
        for line in text.splitlines():
            at = line.partition(b" ")[0]
            if at.isdigit():
                self._seen.lines += 1
                self._seen.late.append((now - int(at)) / 1e9)

    def transfer(self, label: str, done: int, total: int) -> None:
        """Nothing is sent."""

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Nothing is paid."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured.

    Attributes:
        start_cpu_s: Processor seconds of one run from its begin to its first line.
        connection_kib: Memory of one connection whose log is followed, and nothing else.
        run_kib: Memory of one run that is followed, its plan, journal and API client included.
        cores: Processor seconds per second while all are followed.
        late_s: The latest line, and the median.
    """

    runs: int
    seconds: float
    start_s: float
    start_cpu_s: float
    connection_kib: float
    run_kib: float
    cores: float
    lines_per_s: float
    late_s: tuple[float, float]
    succeeded: int


def resident_kib() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def of_connections(target: Target, place: Path) -> float:
    """Return the KiB of one connection on which a log is followed, over many to one pod."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    connector = AsyncsshConnector(key, place / "known_hosts")
    cloud = RunPodCloud(target.api_url, target.api_key, target.label)
    request = PodRequest(
        name="connections",
        image="runpod/base:1.0.2-ubuntu2204",
        gpu="NVIDIA L4",
        gpu_count=1,
        cloud="SECURE",
        datacenter="EU-RO-1",
        container_disk_gb=10,
        ports=("22/tcp",),
        env={"PUBLIC_KEY": connector.public_key},
    )
    pod = await cloud.create(request)
    while pod.ssh is None:
        await asyncio.sleep(0.1)
        pod = await cloud.get(pod.id) or pod
    open_ones: list[AsyncsshTransport] = []
    tasks: list[asyncio.Task[None]] = []

    async def follow(transport: AsyncsshTransport) -> None:
        async for _ in transport.stream("exec tail -c +1 -F /log"):
            pass

    before = resident_kib()
    for number in range(CONNECTIONS + 1):
        if number == 1:
            before = resident_kib()
        open_ones.append(await connector.connect(pod.ssh, pod.id, timeout=60))
        tasks.append(asyncio.create_task(follow(open_ones[-1])))
        await asyncio.sleep(0)
    await asyncio.sleep(1)
    took = (resident_kib() - before) / CONNECTIONS
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for transport in open_ones:
        await transport.close()
    await cloud.delete(pod.id)
    await cloud.close()
    return took


async def measure(
    runs: int, seconds: float, target: Target, place: Path, end: Callable[[], None]
) -> Figures:
    """Begin so many runs, follow them all for a while, and see them end, which `end` brings about."""
    job = place / "project" / "job.yaml"
    job.parent.mkdir(parents=True)
    job.write_text(JOB, "utf-8")
    config = load_job(job, {})
    environ = {"HOME": str(place), "PATH": os.environ["PATH"], "RUNPOD_DEPLOY_OWNER": "benchmark"}
    seen, turn = Seen(), asyncio.Semaphore(AT_ONCE)
    tasks: list[asyncio.Task[Outcome]] = []

    async def one() -> None:
        watcher = Watcher(seen)
        plan_file, _ = plan_job(config, plan_id=os.urandom(16).hex())
        async with turn:
            task = asyncio.create_task(
                execute(
                    plan_file,
                    project_root=job.parent,
                    target=target,
                    environ=environ,
                    listeners=Listeners(progress=watcher),
                )
            )
            tasks.append(task)
            first = asyncio.create_task(watcher.begun.wait())
            await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                raise RuntimeError(f"a run ended before its first line: {task.result()}")

    connection_kib = await of_connections(target, place)
    await one()  # what is loaded and cached once belongs to no run
    memory, began, busy = resident_kib(), time.monotonic(), time.process_time()
    await asyncio.gather(*(one() for _ in range(runs - 1)))
    start_s, start_cpu = time.monotonic() - began, time.process_time() - busy
    await asyncio.sleep(2)
    seen.counting, busy, began = True, time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    seen.counting, took = False, time.monotonic() - began
    cores, kib = (time.process_time() - busy) / took, (resident_kib() - memory) / (runs - 1)
    end()
    outcomes = await asyncio.gather(*tasks)
    late = sorted(seen.late)
    return Figures(
        runs=runs,
        seconds=took,
        start_s=start_s,
        start_cpu_s=start_cpu / (runs - 1),
        connection_kib=connection_kib,
        run_kib=kib,
        cores=cores,
        lines_per_s=seen.lines / took,
        late_s=(late[-1], late[len(late) // 2]),
        succeeded=sum(outcome.failure is None for outcome in outcomes),
    )


def render(figures: Figures) -> tuple[str, bool]:
    """Lay the table out; returns it, and whether every target is met."""
    latest, middle = figures.late_s
    rows = [
        (
            "memory of a connection",
            f"{figures.connection_kib:.0f} KiB",
            MOST_KIB,
            figures.connection_kib,
        ),
        ("processor of all of them", f"{figures.cores:.2f} cores", MOST_CORES, figures.cores),
        ("the latest line", f"{latest:.3f} s", LATEST_SEC, latest),
    ]
    all_met = figures.succeeded == figures.runs
    lines = [
        f"{figures.runs} runs, followed for {figures.seconds:.0f} s by one process",
        f"  begun in {figures.start_s:.0f} s, {figures.start_cpu_s * 1000:.0f} ms of processor each",
        f"  {figures.lines_per_s:.0f} lines/s, the median {middle * 1000:.1f} ms after it was printed",
        f"  {figures.run_kib:.0f} KiB for all of one run",
    ]
    for what, value, most, number in rows:
        met = number <= most
        all_met &= met
        lines.append(
            f"  {what:<34} {value:>12}  (target <= {most:g})  {'met' if met else 'MISSED'}"
        )
    lines.append(f"many runs: {figures.succeeded} of {figures.runs} succeeded")
    return "\n".join(lines), all_met


@contextlib.contextmanager
def pods(state: Path) -> Iterator[tuple[Target, Callable[[], None]]]:
    """Run the cloud beside us; gives it, and what ends every job."""
    with subprocess.Popen(
        [sys.executable, str(PODS), str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders = process.stdin

        def end() -> None:
            orders.write("end\n")
            orders.flush()

        where = json.loads(process.stdout.readline())
        try:
            yield Target(label="emulator", api_url=where["url"], api_key=where["key"]), end
        finally:
            with contextlib.suppress(BrokenPipeError):
                orders.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120, help="how long all are followed")
    args = parser.parse_args(argv)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if not Path("/proc/self/statm").exists():
        print("many runs: not measured, since this machine has no /proc")
        return 2
    with tempfile.TemporaryDirectory(prefix="runpod-deploy-bench-") as folder:
        place = Path(folder)
        with pods(place / "state") as (target, end):
            figures = asyncio.run(measure(args.runs, args.seconds, target, place, end))
    table, met = render(figures)
    print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
