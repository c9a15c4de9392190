"""The difference of two plans as data: `runpod-deploy.diff/1`."""

from typing import Any

from runpod_deploy.compiler.line_diff import unified
from runpod_deploy.compiler.plan import PayloadEntry, PlanFile
from runpod_deploy.compiler.plan_diff import PlanDiff
from runpod_deploy.compiler.plan_fields import ABSENT

DIFF_FORMAT = "runpod-deploy.diff/1"


def diff_document(diff: PlanDiff, against: str) -> dict[str, Any]:
    """Return the difference as JSON-like data; a side that lacks a value has no key for it."""
    return {
        "format": DIFF_FORMAT,
        "job": diff.after.plan.job.file,
        "against": against,
        "same": diff.same,
        "before": None if diff.before is None else _side(diff.before),
        "after": _side(diff.after),
        "values": [
            {
                "section": one.section,
                "field": one.field,
                "kind": one.kind,
                **({} if one.before is ABSENT else {"before": one.before}),
                **({} if one.after is ABSENT else {"after": one.after}),
            }
            for one in diff.fields
        ],
        "scripts": [
            {
                "name": one.name,
                "phase": one.phase,
                "kind": one.kind,
                "diff": list(unified(one.before or "", one.after or "")),
            }
            for one in diff.scripts
        ],
        "files": [
            {
                "label": one.label,
                "path": one.path,
                "kind": one.kind,
                **({} if one.moved_from is None else {"moved_from": one.moved_from}),
                "before": _entry(one.before),
                "after": _entry(one.after),
            }
            for one in diff.files
        ],
    }


def _side(plan_file: PlanFile) -> dict[str, Any]:
    return {"plan_hash": plan_file.plan_hash, "name": plan_file.plan.job.name}


def _entry(entry: PayloadEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    facts: dict[str, Any] = {"type": entry.type, "size": entry.size, "exec": entry.exec}
    facts["sha256"] = entry.sha256
    return facts if entry.target is None else {**facts, "target": entry.target}
