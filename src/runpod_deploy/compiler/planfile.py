"""A plan as a file: made, written so that it reads well in a review, and read back strictly."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runpod_deploy.compiler.canonical import CanonicalError, quote, sha256
from runpod_deploy.compiler.payload_files import PayloadFiles
from runpod_deploy.compiler.plan import PLAN_FORMAT, Observed, PayloadEntry, Plan, PlanFile
from runpod_deploy.compiler.planfile_json import parse
from runpod_deploy.compiler.soundness import unsound
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.schema.plain import PlainDataError, escape, from_plain, to_plain

_FILE_TYPES = {"path": str, "type": str, "size": int, "exec": bool, "sha256": str}
_FAMILY, _, _VERSION = PLAN_FORMAT.partition("/")


def plan_hash(plan: Plan) -> str:
    """Return `sha256:` and the hex digest over RFC 8785 of `plan`: its identity."""
    return sha256(to_plain(plan))


def make_plan_file(
    plan: Plan,
    payload: Mapping[str, Sequence[PayloadEntry]],
    observed: Observed,
    plan_id: str,
) -> PlanFile:
    """Return the file of `plan`; `plan_id` is 128 random bits in hex, new at each compile."""
    return PlanFile(
        format=PLAN_FORMAT,
        plan_hash=plan_hash(plan),
        plan_id=plan_id,
        plan=plan,
        payload={
            label: entries if isinstance(entries, PayloadFiles) else tuple(entries)
            for label, entries in payload.items()
        },
        observed=observed,
    )


def dumps(plan_file: PlanFile) -> bytes:
    """Return `plan_file` as indented UTF-8 JSON, one payload file to a line; always the same."""
    head = {
        "format": plan_file.format,
        "plan_hash": plan_file.plan_hash,
        "plan_id": plan_file.plan_id,
        "plan": to_plain(plan_file.plan),
    }
    parts = [_indented(head).removesuffix("\n}"), ',\n  "payload": {']
    separator = "\n"
    for label, entries in plan_file.payload.items():
        parts.append(f"{separator}    {quote(label)}: [")
        parts.append(",".join(map(_entry_line, entries)))
        parts.append("\n    ]" if entries else "]")
        separator = ",\n"
    parts.append("\n  },\n" if plan_file.payload else "},\n")
    observed = {"observed": to_plain(plan_file.observed)}
    parts.append(_indented(observed).removeprefix("{\n"))
    return "".join([*parts, "\n"]).encode()


def loads(data: bytes, name: str) -> PlanFile:
    """Return the plan file in `data`; `name` is what messages call it.

    Raises:
        InvalidInput: Not a plan file: JSON broken at a place, or another shape.
        PlanRefused: Made by a newer version, or changed after it was made.
    """
    return from_raw(parse(data, name), name)


def from_raw(raw: dict[str, Any], name: str) -> PlanFile:
    """Return the plan file whose JSON is `raw`, which is used up; otherwise as `loads`."""
    _check_format(raw, name)
    try:
        payload = _payload(raw.pop("payload", None))
        plan_file = from_plain(PlanFile, raw, ready={"payload": payload})
    except PlainDataError as error:
        raise InvalidInput(
            f"{name} is not a plan: {error}", help="Make it again:\n  runpod-deploy plan JOB.yaml"
        ) from error
    _check_seal(plan_file, name)
    return plan_file


def _check_format(raw: Mapping[str, Any], name: str) -> None:
    family, _, version = str(raw.get("format", "")).partition("/")
    if family == "runpod-deploy.sweep":
        raise InvalidInput(
            f"{name} is a sweep, the plans of several runs, and this is about one plan",
            help="Plan one of its runs, with a value for each axis:\n"
            "  runpod-deploy plan JOB.yaml --var AXIS=VALUE --out plan.json",
        )
    if family != _FAMILY or not version.isdecimal():
        raise InvalidInput(
            f"{name} is not a plan: its `format` is not `{PLAN_FORMAT}`",
            help="Plans are made with:\n  runpod-deploy plan JOB.yaml --out plan.json",
        )
    if version != _VERSION:
        observed = raw.get("observed")
        tool = observed.get("tool_version") if isinstance(observed, dict) else None
        raise PlanRefused(
            f"{name} has the format {family}/{version}, written by runpod-deploy "
            f"{tool or 'of another version'}; this version reads {PLAN_FORMAT}",
            help="Update runpod-deploy, or make the plan again with this version.",
        )


def _check_seal(plan_file: PlanFile, name: str) -> None:
    try:
        found = plan_hash(plan_file.plan)
        problem = None if found != plan_file.plan_hash else unsound(plan_file)
    except CanonicalError as error:
        raise InvalidInput(f"{name} is not a plan: {error}") from error
    if found != plan_file.plan_hash:
        problem = f"its content has the hash {found}, but it says {plan_file.plan_hash}"
    if problem:
        raise PlanRefused(
            f"{name} was tampered with: {problem}",
            help="Make the plan again, and leave the file as it is made.",
        )


def _payload(data: Any) -> dict[str, tuple[PayloadEntry, ...]]:
    if not isinstance(data, dict):
        raise PlainDataError("/payload", "a mapping is needed")
    return {label: _entries(items, f"/payload/{escape(label)}") for label, items in data.items()}


def _entries(data: Any, pointer: str) -> tuple[PayloadEntry, ...]:
    if not isinstance(data, list):
        raise PlainDataError(pointer, "a list is needed")
    return tuple(
        # There may be tens of thousands; what is not plainly a file takes the way that explains.
        PayloadEntry(**item)
        if type(item) is dict and item.get("type") == "file" and _plainly_typed(item)
        else from_plain(PayloadEntry, item, f"{pointer}/{index}")
        for index, item in enumerate(data)
    )


def _plainly_typed(item: dict[str, Any]) -> bool:
    return {key: type(value) for key, value in item.items()} == _FILE_TYPES


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _entry_line(entry: PayloadEntry) -> str:
    # By hand, as there may be tens of thousands of them.
    target = "" if entry.target is None else f'"target": {quote(entry.target)}, '
    return (
        f'\n      {{"path": {quote(entry.path)}, "type": "{entry.type}", {target}'
        f'"size": {entry.size}, "exec": {"true" if entry.exec else "false"}, '
        f'"sha256": {quote(entry.sha256)}}}'
    )
