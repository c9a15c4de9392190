"""A sweep as a file: the plans of all its runs, under one hash."""

import json
from collections.abc import Sequence
from typing import Any

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps as dump_plan
from runpod_deploy.compiler.planfile import from_raw as plan_from_raw
from runpod_deploy.compiler.planfile_json import parse
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.frozen import frozen

SWEEP_FORMAT = "runpod-deploy.sweep/1"
_FAMILY, _, _VERSION = SWEEP_FORMAT.partition("/")


@frozen
class SweepFile:
    """The plans of a sweep.

    Attributes:
        plan_hash: `sha256:` + hex over RFC 8785 of the list of the shards' plan hashes.
        plan_id: 128 random bits in hex, new at each compile; makes a saved sweep single-use.
        shards: At least one, each with `plan.matrix`, in the order they are begun.
    """

    format: str
    plan_hash: str
    plan_id: str
    shards: tuple[PlanFile, ...]

    @property
    def first(self) -> PlanFile:
        """The first run, which says what is the same in all."""
        return self.shards[0]


def sweep_hash(shards: Sequence[PlanFile]) -> str:
    """Return the identity of a sweep: over the hashes of its plans, in order."""
    return sha256([shard.plan_hash for shard in shards])


def make_sweep_file(shards: Sequence[PlanFile], plan_id: str) -> SweepFile:
    """Return the file of a sweep."""
    return SweepFile(
        format=SWEEP_FORMAT,
        plan_hash=sweep_hash(shards),
        plan_id=plan_id,
        shards=tuple(shards),
    )


def dumps(sweep: SweepFile) -> bytes:
    """Return `sweep` as UTF-8 JSON, each plan as it would be saved alone; always the same."""
    head = {"format": sweep.format, "plan_hash": sweep.plan_hash, "plan_id": sweep.plan_id}
    start = json.dumps(head, indent=2).removesuffix("\n}")
    plans = b",\n".join(dump_plan(shard).rstrip(b"\n") for shard in sweep.shards)
    return start.encode() + b',\n  "shards": [\n' + plans + b"\n  ]\n}\n"


def is_sweep(raw: dict[str, Any]) -> bool:
    """Return whether JSON says of itself that it is a sweep, of whatever version."""
    return str(raw.get("format", "")).partition("/")[0] == _FAMILY


def loads(data: bytes, name: str) -> SweepFile:
    """Return the sweep in `data`; `name` is what messages call it.

    Raises:
        InvalidInput: Not a sweep: JSON broken at a place, or another shape.
        PlanRefused: Made by a newer version, or changed after it was made.
    """
    raw = parse(data, name)
    version = str(raw.get("format", "")).partition("/")[2]
    if not is_sweep(raw) or not version.isdecimal():
        raise InvalidInput(
            f"{name} is not a sweep: its `format` is not `{SWEEP_FORMAT}`",
            help="A sweep is the plan of a job file that has a `matrix`:\n"
            "  runpod-deploy plan JOB.yaml --out sweep.json",
        )
    if version != _VERSION:
        raise PlanRefused(
            f"{name} has the format {_FAMILY}/{version}; this version reads {SWEEP_FORMAT}",
            help="Update runpod-deploy, or make the plan again with this version.",
        )
    if set(raw) != {"format", "plan_hash", "plan_id", "shards"}:
        raise InvalidInput(f"{name} is not a sweep: it has other keys than a sweep has")
    sweep = SweepFile(
        format=SWEEP_FORMAT,
        plan_hash=_text(raw, "plan_hash", name),
        plan_id=_text(raw, "plan_id", name),
        shards=_shards(raw["shards"], name),
    )
    problem = _unsound(sweep)
    if problem:
        raise PlanRefused(
            f"{name} was tampered with: {problem}",
            help="Make the plan again, and leave the file as it is made.",
        )
    return sweep


def _text(raw: dict[str, Any], key: str, name: str) -> str:
    value = raw[key]
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is not a sweep: /{key}: str is needed, not {value!r}")
    return value


def _shards(raw: Any, name: str) -> tuple[PlanFile, ...]:
    if not isinstance(raw, list) or not raw or not all(isinstance(one, dict) for one in raw):
        raise InvalidInput(f"{name} is not a sweep: /shards: a list of plans is needed")
    return tuple(plan_from_raw(one, f"{name}: shard {n}") for n, one in enumerate(raw, 1))


def _unsound(sweep: SweepFile) -> str | None:
    """Return what no compiler of ours would write."""
    found = sweep_hash(sweep.shards)
    if found != sweep.plan_hash:
        return f"its plans have the hash {found}, but it says {sweep.plan_hash}"
    matrices = [shard.plan.matrix for shard in sweep.shards]
    first = matrices[0]
    names: set[str] = set()
    for number, matrix in enumerate(matrices, 1):
        if matrix is None or first is None:
            return f"its plan number {number} is that of a job alone"
        names.add(matrix.name)
        same = (matrix.max_parallel, matrix.fail_fast, matrix.cap_usd)
        if same != (first.max_parallel, first.fail_fast, first.cap_usd):
            return f"its plan number {number} says otherwise how the sweep is carried out"
    if len(names) != len(matrices):
        return "two of its plans have one name"
    files = {(shard.plan.job.file, shard.plan.job.name) for shard in sweep.shards}
    return None if len({file for file, _ in files}) == 1 else "its plans are of several job files"
