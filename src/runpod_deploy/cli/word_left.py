"""Tells those who carry runs on that a pod is ended on purpose: else they would rent another one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runpod_deploy.cli.known_ends import KnownEnds
from runpod_deploy.errors import RunpodDeployError


def leave_word(run_ids: Iterable[str | None], now: float, *, by: str) -> list[str]:
    """Ask for the end of those runs which are carried on now and would go on with another pod.

    Returns:
        The runs that were asked to end; only what lies below the project here can be.
    """
    from runpod_deploy.record.journal import utc_stamp  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run_request import ask, asked  # noqa: PLC0415 - likewise

    ends, told = KnownEnds(now), []
    for run_id in dict.fromkeys(run_ids):
        folder = None if run_id is None else ends.folder_of(run_id)
        if folder is None or run_id is None or living_holder(folder, now) is None:
            continue
        if asked(folder) in {"cancel", "hurry"} or not _retries(folder, run_id):
            continue
        try:
            ask(folder, "cancel", by=by, at=utc_stamp(now))
        except OSError:
            continue  # its pod is ended all the same
        told.append(run_id)
    return told


def _retries(folder: Path, run_id: str) -> bool:
    from runpod_deploy.executor.resuming import read_begun  # noqa: PLC0415 - the whole executor

    try:
        begun = read_begun(folder)
    except (RunpodDeployError, OSError):
        return False
    return begun.run_id == run_id and begun.plan_file.plan.lifecycle.retry > 0
