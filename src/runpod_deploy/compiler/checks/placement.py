"""Rules about where files lie, on the pod and on this machine."""

from collections.abc import Iterator
from itertools import combinations

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.late_bound import MARK, token
from runpod_deploy.compiler.local_paths import artifact_path, taken
from runpod_deploy.compiler.pod_paths import inside, is_absolute, normal
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.errors import Severity
from runpod_deploy.schema.pointer import dotted


def absolute_on_pod(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Paths on the pod begin at its root: no step depends on a working folder."""
    paths: list[tuple[str, str | None]] = [
        ("/run/workdir", config.run.workdir),
        ("/run/script_path", config.run.script_path),
        ("/run/log_path", config.run.log_path),
    ]
    paths += [
        (f"/remote_env/source_files/{i}", path)
        for i, path in enumerate(config.remote_env.source_files)
    ]
    paths += [(f"/staging/{i}/destination", e.destination) for i, e in enumerate(config.staging)]
    paths += [(f"/secrets/{i}/destination", e.destination) for i, e in enumerate(config.secrets)]
    paths += [
        (f"/artifacts/{i}/remote_path", e.remote_path) for i, e in enumerate(config.artifacts)
    ]
    for pointer, path in paths:
        if path is not None and not is_absolute(path):
            yield Finding(
                pointer=pointer,
                code="relative-pod-path",
                summary="A path on the pod is relative",
                detail=f"`{path}` depends on a working folder, and each step has its own.",
                help=f"Begin it with `/`, or with the volume:\n  {config.storage.volume_mount}/"
                + path.removeprefix("~/").removeprefix("./"),
            )


def distinct_destinations(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """No two things are put at the same place."""
    taken: dict[str, str] = {}
    places = [(f"/staging/{i}/destination", e.destination) for i, e in enumerate(config.staging)]
    places += [(f"/secrets/{i}/destination", e.destination) for i, e in enumerate(config.secrets)]
    places += [
        (pointer, path)
        for pointer, path in (
            ("/run/script_path", config.run.script_path),
            ("/run/log_path", config.run.log_path),
        )
        if path is not None
    ]
    for pointer, path in places:
        first = taken.setdefault(normal(path), pointer)
        if first != pointer:
            both_staged = pointer.startswith("/staging") and first.startswith("/staging")
            yield Finding(
                pointer=pointer,
                severity=_as_before(config) if both_staged else Severity.ERROR,
                code="same-destination",
                summary="Two things have the same destination",
                detail=f"`{path}` is already the place of `{dotted(first)}`; "
                "the later one would replace the earlier one.",
            )


def deleting_staging(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A staging that deletes does not delete what another one put there."""
    for index, outer in enumerate(config.staging):
        for other, inner in enumerate(config.staging):
            nested = inside(inner.destination, outer.destination)
            if outer.delete and index != other and nested:
                yield Finding(
                    pointer=f"/staging/{index}/delete",
                    code="staging-deletes-staging",
                    summary="A staging would delete what another one puts there",
                    detail=f"`{outer.label}` deletes everything below `{outer.destination}` that "
                    f"is not its own, and `{inner.label}` lies at `{inner.destination}`.",
                    help=f"Write `delete: false` for `{outer.label}`, or move one of them.",
                )


def artifact_local_paths(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Results land below the run folder or the project, each in a place of its own."""
    for index, artifact in enumerate(config.artifacts):
        path = artifact.label if artifact.local_path is None else artifact.local_path
        key = "label" if artifact.local_path is None else "local_path"
        relative = not path.startswith(("/", "~")) or path.startswith(MARK)
        root = "{project_root}" if config.source.version == 2 else "{{ project_root }}"
        if not relative or ".." in path.split("/") or not path.strip("./"):
            yield Finding(
                pointer=f"/artifacts/{index}/{key}",
                code="local-path",
                summary="A result would land outside of the run folder",
                detail=f"`{path}` must be relative, without `..`: a place below the run folder.",
                help=f'To put it elsewhere in the project:\n  local_path: "{root}/results"',
            )
        elif purpose := taken(artifact_path(artifact)):
            yield Finding(
                pointer=f"/artifacts/{index}/{key}",
                code="local-path-taken",
                summary="A result would land where something else belongs",
                detail=f"`{path}` is {purpose}; what the pod sends would replace it.",
                help="Give it a name of its own, such as:\n  local_path: results",
            )
    placed = [(i, a.label, artifact_path(a)) for i, a in enumerate(config.artifacts)]
    for (_, label, path), (index, _, other) in combinations(placed, 2):
        if inside(path, other) or inside(other, path):
            key = "local_path" if config.artifacts[index].local_path is not None else "label"
            shown, first = (one.removeprefix(f"{token('run_dir')}/") for one in (other, path))
            yield Finding(
                pointer=f"/artifacts/{index}/{key}",
                severity=_as_before(config),
                code="local-path-overlap",
                summary="Two results land in the same place",
                detail=f"`{shown}` and the `{first}` of `{label}` overlap; one would overwrite the "
                "other.",
            )


def _as_before(config: Resolved) -> Severity:
    # Files of version 2 were always carried out, what came later over what came before.
    return Severity.WARNING if config.source.version == 2 else Severity.ERROR
