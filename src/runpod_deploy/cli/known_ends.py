"""By when pods end by themselves, as far as the run folders on this machine tell of their runs."""

from __future__ import annotations

from pathlib import Path

from runpod_deploy.cli.amounts import limit


class KnownEnds:
    """Answers for one command; the folders of the project around the working folder are listed once."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._folders: dict[str, Path] | None = None

    def told(self, run_id: str | None, pod_id: str) -> str | None:
        """Return when the pod of a run ends if nobody comes for it; None where nothing here says so.

        It is the moment that `status` tells of the same run.
        """
        folder = None if run_id is None else self.folder_of(run_id)
        if folder is None:
            return None
        from runpod_deploy.forensics.status import read_status  # noqa: PLC0415 - few pods have one here

        try:
            status = read_status(folder, self._now)
        except OSError:
            return None
        pod, at = status.run.pod, status.ends.pod_at
        if status.run_id != run_id or pod is None or pod.pod_id != pod_id or at is None:
            return None
        left = at - self._now
        if left <= 0:
            return None
        return f"left alone it ends in {limit(round(left / 60) * 60 or 60)}"

    def folder_of(self, run_id: str) -> Path | None:
        """Return the folder of a run below the project, None where it is not known here."""
        from runpod_deploy.forensics.find import runs_above  # noqa: PLC0415 - not for `--help`
        from runpod_deploy.forensics.load import walk_run_dirs  # noqa: PLC0415 - likewise

        if self._folders is None:
            try:
                found = walk_run_dirs(runs_above(Path()))
            except OSError:
                found = []
            self._folders = {folder.name: folder for folder in found}
        # A run's id ends with the name of its folder, and a name has no such end of another's.
        fitting = [one for name, one in self._folders.items() if run_id.endswith(f"-{name}")]
        return fitting[0] if len(fitting) == 1 else None
