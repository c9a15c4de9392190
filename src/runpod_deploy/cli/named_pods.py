"""Which pods are meant by what a user names: their ids, runs, or a state file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.errors import InvalidInput


def named_pods(names: Sequence[str], state_file: Path | None) -> dict[str, str | None]:
    """Return the ids of the pods that are meant, each with the run that it was named by, if it was.

    Raises:
        InvalidInput: A name is a path without a run, a run had no pod, a state file names none.
    """
    from runpod_deploy.forensics.find import run_id_of  # noqa: PLC0415 - not for `--help`

    found: dict[str, str | None] = {}
    for name in names:
        folder = _run_named(name)
        if folder is None:
            found[name] = None
        else:
            found |= dict.fromkeys(_pods_of_run(folder), run_id_of(folder))
    if state_file is not None:
        found |= dict.fromkeys(_pods_of_state(state_file))
    return found


def _run_named(name: str) -> Path | None:
    """Return the run folder that is meant by a name; None for the id of a pod.

    Raises:
        InvalidInput: It is a path without a run.
    """
    from runpod_deploy.forensics.find import LAST, find_run, run_id_of, runs_above  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.load import is_run_folder, load_manifest, walk_run_dirs  # noqa: PLC0415 - likewise

    path = Path(name)
    if path.exists() or name == LAST:
        known = name == LAST or is_run_folder(path) or load_manifest(path) is not None
        if not known:
            raise InvalidInput(f"{name} is neither a run folder nor a manifest")
        return path if path.is_file() else find_run(name, Path())
    folders = walk_run_dirs(runs_above(Path()))
    return next((one for one in folders if name in (one.name, run_id_of(one))), None)


def _pods_of_run(run: Path) -> list[str]:
    """Return the ids of a run's pods; of a run that was killed, its journal knows them.

    Raises:
        InvalidInput: The run had no pod.
    """
    from runpod_deploy.executor.reconcile import pod_ids  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.load import iter_events, load_manifest  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run import fold  # noqa: PLC0415 - likewise

    manifest = load_manifest(run)
    told = () if manifest is None else pod_ids(manifest)
    pods = fold(iter_events(run)).pods.values() if run.is_dir() else ()
    ids = list(dict.fromkeys([*told, *(pod.pod_id for pod in pods if pod.pod_id is not None)]))
    if not ids:
        raise InvalidInput(f"the run in {run} had no pod")
    return ids


def _pods_of_state(state_file: Path) -> list[str]:
    from runpod_deploy.record.kept_pods import KeptPods  # noqa: PLC0415 - not for `--help`

    try:
        kept = KeptPods(file=state_file).read()
    except OSError:
        kept = ()  # it is told below what is wrong with it
    return [one.pod_id for one in kept] or [_pod_of(state_file)]


def _pod_of(state_file: Path) -> str:
    try:
        data = json.loads(state_file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{state_file} cannot be read: {error}") from error
    pod_id = data.get("pod_id") if isinstance(data, dict) else None
    if not isinstance(pod_id, str) or not pod_id:
        raise InvalidInput(f"{state_file} names no pod")
    return pod_id
