"""This machine as a builder of pods."""

import asyncio
import shutil
from pathlib import Path

from runpod_deploy.emulator.pods.pod import Pod, start_pod
from runpod_deploy.emulator.ports import OnLog, PodSpec


class LocalPodHost:
    """Builds pods as processes of this machine (see `runpod_deploy.emulator.ports.PodHost`).

    Args:
        state_dir: The emulator's own folder; pods do not see it.
        kind: "root", "userns" or "sudo".
    """

    def __init__(self, state_dir: Path, kind: str) -> None:
        self.kind = kind
        self._state_dir = state_dir.resolve()
        self._scratch = self._state_dir / "scratch"
        self._pods: set[Pod] = set()
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, spec: PodSpec, on_log: OnLog) -> Pod:
        """Start the pod's processes; returns once its PID 1 is up and SSH listens.

        Raises:
            PodStartError: Building the pod failed; nothing of it is left.
        """
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        pod = await start_pod(
            self.kind, spec, on_log, state_dir=self._state_dir, scratch=self._scratch
        )
        self._pods.add(pod)
        watcher = asyncio.ensure_future(self._forget_when_over(pod))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return pod

    async def close(self) -> None:
        """Stop every pod that is still running; idempotent."""
        await asyncio.gather(*(pod.stop() for pod in self._pods))
        await asyncio.gather(*self._watchers)
        shutil.rmtree(self._scratch, ignore_errors=True)

    async def _forget_when_over(self, pod: Pod) -> None:
        await pod.wait()
        self._pods.discard(pod)
