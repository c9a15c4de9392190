"""The way into a pod of a run from its folder: the run's key again, its pinned host key, its address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import asyncssh

from runpod_deploy.compiler.late_bound import fill
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.errors import ConnectFailed, InvalidInput
from runpod_deploy.executor.applied import read_applied
from runpod_deploy.executor.concluding import KNOWN_HOSTS_NAME, SALT_NAME
from runpod_deploy.executor.ports import Endpoint, Pod
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, read_private_key
from runpod_deploy.executor.ssh.known_hosts import KnownHosts, host_alias
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.record import tolerant
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.records import PodRecord
from runpod_deploy.record.run_folder import RUNS

LOGIN_WITHIN_SEC = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PodAccess:
    """How to log in to the pod of a run.

    Attributes:
        known_hosts: The run's own file; it holds the pod's key already.
        key: The run's own key; None where it cannot be derived.
        own_key: `ssh.key_path` of the job file, where it is set and there.
    """

    folder: Path
    plan_file: PlanFile
    pod: PodRecord
    endpoint: Endpoint
    known_hosts: Path
    key: asyncssh.SSHKey | None
    own_key: Path | None

    @property
    def alias(self) -> str:
        """The name under which the pod's host key is filed."""
        return host_alias(self.pod.pod_id or "")

    def fill(self, text: str, run_id: str) -> str:
        """Return a text of the plan with what is known of the run filled in."""
        root = project_root_of(self.folder)
        values = {
            "run_dir": str(self.folder),
            "project_root": str(root),
            "config_dir": str((root / self.plan_file.plan.job.file).parent),
            # What stood there on the machine that began the run.
            **read_applied(self.folder).late_bound,
            "run_id": run_id,
            "pod_id": self.pod.pod_id or "",
            "gpu_id": self.pod.gpu_id,
            "datacenter_id": self.pod.datacenter_id or "",
        }
        return fill(text, values)

    async def connect(self) -> AsyncsshTransport:
        """Open one connection; the host key must be the one that was enrolled.

        Raises:
            TransportError: Nobody answered, the key was refused, or another machine answers.
            InvalidInput: There is no key to log in with.
        """
        extra = [read_private_key(self.own_key)] if self.own_key is not None else []
        keys = [*([self.key] if self.key is not None else []), *extra]
        if not keys:
            raise _no_key(self.folder)
        connector = AsyncsshConnector(keys[0], self.known_hosts, keys[1:])
        pod_id = self.pod.pod_id or ""
        return await connector.connect(self.endpoint, pod_id, timeout=LOGIN_WITHIN_SEC)


def access_to(
    folder: Path,
    plan_file: PlanFile,
    pod: PodRecord | None,
    *,
    api_key: str | None,
    seen: Pod | None,
) -> PodAccess:
    """Return the way into the pod that a run works on, or into a node of its cluster.

    Args:
        pod: What the run's journal says of it.
        api_key: The account's; None where it is not known here.
        seen: The pod as the cloud shows it now; None takes its last address from the journal.

    Raises:
        InvalidInput: The run has no pod, or nothing here opens it.
        ConnectFailed: The pod has no address now, or nobody of this run ever logged in to it.
    """
    if pod is None or pod.pod_id is None or pod.status in {"gone", "refused"}:
        raise InvalidInput("this run has no pod" + ("" if pod is None else " any more"))
    endpoint = _last_endpoint(folder, pod.pod_id) if seen is None else seen.ssh
    if endpoint is None:
        state = "" if seen is None else f": it is {seen.status}"
        raise ConnectFailed(f"pod {pod.pod_id} has no SSH address at the moment{state}")
    known_hosts = folder / KNOWN_HOSTS_NAME
    if not KnownHosts(known_hosts).keys(host_alias(pod.pod_id)):
        raise ConnectFailed(
            f"no host key is known for pod {pod.pod_id}: this run has not logged in to it yet",
            help="Wait until the run has connected; its first login enrols the key.",
        )
    key = _own_of_run(folder, api_key)
    path = plan_file.plan.pod.ssh_key_path
    own_key = None if path is None else Path(path).expanduser()
    own_key = own_key if own_key is not None and own_key.is_file() else None
    if key is None and own_key is None:
        raise _no_key(folder)
    return PodAccess(
        folder=folder.resolve(),
        plan_file=plan_file,
        pod=pod,
        endpoint=endpoint,
        known_hosts=known_hosts,
        key=key,
        own_key=own_key,
    )


def project_root_of(folder: Path) -> Path:
    """Return the project that a run folder lies in; the folder itself where it lies in none."""
    folder = folder.resolve()
    inside = folder.parent.parts[-len(RUNS.parts) :] == RUNS.parts
    return folder.parents[len(RUNS.parts)] if inside else folder


def _own_of_run(folder: Path, api_key: str | None) -> asyncssh.SSHKey | None:
    if api_key is None:
        return None
    try:
        return derive_key(api_key, (folder / SALT_NAME).read_bytes())
    except FileNotFoundError:
        return None


def _last_endpoint(folder: Path, pod_id: str) -> Endpoint | None:
    found = None
    for event in read_events(folder / JOURNAL_NAME):
        host, port = tolerant.text(event.fields, "host"), tolerant.integer(event.fields, "port")
        if event.event == "pod_ready" and event.fields.get("pod_id") == pod_id and host and port:
            found = Endpoint(host=host, port=port)
    return found


def _no_key(folder: Path) -> InvalidInput:
    return InvalidInput(
        f"nothing here opens the pod of {folder}",
        help=f"The run's key comes from RUNPOD_API_KEY and {SALT_NAME} in that folder: set the key that "
        "the run was made with. A key of your own gets in where the job file named it as ssh.key_path.",
    )
