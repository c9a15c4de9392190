"""Runs of a sweep do not send their results to one place."""

from collections.abc import Sequence

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.late_bound import token
from runpod_deploy.compiler.scope import Scope
from runpod_deploy.compiler.uploads import Place, place_of
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.job import JobConfig

_OF_ONE_RUN = tuple(token(name) for name in ("run_id", "run_dir", "pod_id"))


def refuse_shared_places(config: JobConfig, runs: Sequence[JobConfig]) -> None:
    """Refuse a sweep of which two runs would send results to one place in a bucket.

    Args:
        config: The job with its `matrix`.
        runs: The job of each run.

    Raises:
        InvalidInput: There are such runs; names the first place.
    """
    if all(entry.upload is None for entry in config.artifacts):
        return
    taken: dict[Place, int] = {}
    known = [_places(run) for run in runs]
    for number, places in enumerate(known):
        for index, place in places:
            if taken.setdefault(place, number) != number:
                raise _shared(config, index)
    for number, places in enumerate(known):
        for index, place in places:
            for length in range(2, len(place)):
                if taken.get(place[:length], number) != number:
                    raise _shared(config, index)


def _places(run: JobConfig) -> list[tuple[int, Place]]:
    """Return where a run sends its artifacts, of those whose place is not of this run alone."""
    scope = Scope(run)
    found = []
    for index, entry in enumerate(run.artifacts):
        pointer = f"/artifacts/{index}/upload"
        if entry.upload is None:
            continue
        text = scope.render(entry.upload, pointer)
        endpoint = entry.upload_endpoint
        store = None if endpoint is None else scope.render(endpoint, f"{pointer}_endpoint")
        if not scope.failed and not any(one in text for one in _OF_ONE_RUN):
            found.append((index, place_of(text, store)))
    return found


def _shared(config: JobConfig, index: int) -> InvalidInput:
    finding = Finding(
        pointer=f"/artifacts/{index}/upload",
        code="upload-sweep",
        summary="Runs of a sweep send their results to one place",
        detail="Each run would replace what another one has sent there.",
        help="Put into the path what is different for each run, such as `{{ run_id }}` or all axes.",
    )
    return InvalidInput(
        f"{config.source.path} has 1 error", diagnostics=(finding.at(config.source),)
    )
