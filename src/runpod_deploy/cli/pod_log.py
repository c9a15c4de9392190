"""The log of a job read from its pod, masked as the run would have."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runpod_deploy.cli.log_printer import LogPrinter
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.run_cloud import target_of
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.errors import InvalidInput, JobFailed, RunpodDeployError, TransportError
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.pod_access import PodAccess, access_to, project_root_of
from runpod_deploy.executor.remote_log import RemoteLog
from runpod_deploy.executor.runpod.account import WholeAccount
from runpod_deploy.executor.secret_values import known_texts
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.forensics.status import RunStatus, names_alone, plan_of, read_status
from runpod_deploy.record.masking import Masker, StreamMasker

if TYPE_CHECKING:
    from runpod_deploy.executor.run import Target
    from runpod_deploy.executor.supervision import Report


async def print_pod_log(
    status: RunStatus, printer: LogPrinter, terminal: Terminal, *, follow: bool
) -> None:
    """Print the log from the pod, from where the printer is; follows it to the job's end if asked.

    Raises:
        RunpodDeployError: The pod cannot be asked; what was printed so far is whole.
    """
    target = target_of(status.run, terminal.environ)
    cloud = WholeAccount(target.api_url, target.api_key, target.label)
    cloud.standing_alone(*names_alone(status))
    try:
        reader = _Reader(status, target, cloud)
        log = await reader.open()
        mask = _Masked(status, target, printer, terminal)
        try:
            if mask.skip == 0 and printer.lines is not None:
                await log.start_at_last(printer.lines)
            if not follow:
                await log.read(mask.piece)
                mask.end()
                return
            report = await log.follow(mask.piece, lambda error: reader.lost(error, terminal))
            mask.end()
            _tell_end(status, report, terminal)
        finally:
            await log.close()
    finally:
        await cloud.close()


class _Reader:
    """Finds the way into the pod, again after a lost connection: its port may have changed."""

    def __init__(self, status: RunStatus, target: Target, cloud: WholeAccount) -> None:
        self._status = status
        self._target = target
        self._cloud = cloud

    async def open(self) -> RemoteLog:
        access = await self._access()
        run_id = self._status.run_id or ""
        plan = access.plan_file.plan
        return RemoteLog(
            self._connect,
            home=access.fill(plan.home, run_id),
            path=access.fill(plan.run.log_path, run_id),
            clock=SystemClock(),
        )

    async def lost(self, error: TransportError, terminal: Terminal) -> None:
        """Say that the connection broke; gives up when the pod is gone."""
        terminal.say(f"The connection to the pod was lost ({line(error.message)}); trying again.")
        await self._access(patient=True)

    async def _connect(self) -> AsyncsshTransport:
        return await (await self._access()).connect()

    async def _access(self, *, patient: bool = False) -> PodAccess:
        pod = self._status.run.pod
        plan_file = plan_of(self._status.folder)
        if plan_file is None or pod is None or pod.pod_id is None:
            raise InvalidInput(f"the plan in {self._status.folder} cannot be read")
        try:
            seen = await self._cloud.get(pod.pod_id)
        except RunpodDeployError:
            if not patient:
                raise
            seen = None
        else:
            if seen is None or seen.status in {"EXITED", "ERROR", "TERMINATED"}:
                state = "gone" if seen is None else seen.status
                raise JobFailed(f"pod {pod.pod_id} is {state}")
        return access_to(
            self._status.folder,
            plan_file,
            self._status.run.pod,
            api_key=self._target.api_key,
            seen=seen,
        )


class _Masked:
    """Masks what comes from the pod, and passes over what the printer had from the local file.

    The local file is a beginning of the same masked stream, so it is passed over by its length.
    """

    def __init__(
        self, status: RunStatus, target: Target, printer: LogPrinter, terminal: Terminal
    ) -> None:
        secrets = status.plan.secrets if status.plan else ()
        texts, unknown = known_texts(secrets, project_root_of(status.folder), terminal.environ)
        if unknown:
            terminal.alert(
                f"warning: {', '.join(map(line, unknown))} cannot be read on this machine, so what the "
                "job prints of it is not masked here."
            )
        self._masker = StreamMasker(Masker([target.api_key, *texts]))
        self._printer = printer
        self.skip = printer.offset

    def piece(self, piece: bytes) -> None:
        self._show(self._masker.feed(piece))

    def end(self) -> None:
        self._show(self._masker.flush())
        self._printer.end()

    def _show(self, text: bytes) -> None:
        passed, self.skip = min(self.skip, len(text)), max(0, self.skip - len(text))
        self._printer.piece(text[passed:])


def _tell_end(status: RunStatus, report: Report, terminal: Terminal) -> None:
    code = (
        "without an exit code" if report.exit_code is None else f"with exit code {report.exit_code}"
    )
    why = f" ({line(report.ended_by)})" if report.ended_by else ""
    ended = f"The job has ended {code}{why}."
    now = read_status(status.folder, time.time())
    if now.executor is not None:
        terminal.say(
            f"{ended} {_capital(now.executor.named(time.time()))} brings its results home."
        )
    elif not now.goes_on:
        terminal.say(f"{ended} The run is over, {line(now.state)}: {shown(status.folder)}")
    else:
        terminal.say(f"{ended} Nobody has brought its results home yet:")
        terminal.say(f"  runpod-deploy resume {shown(status.folder)}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
