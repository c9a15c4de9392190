"""What somebody who approves a plan, or a sweep of them, puts a signature under."""

import hashlib
from dataclasses import dataclass
from typing import Any

from runpod_deploy.compiler.canonical import canonical, sha256
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile_json import parse
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import InvalidInput
from runpod_deploy.schema.plain import PlainDataError, from_plain, to_plain

APPROVAL_TYPE = "runpod-deploy.approval/1"
NAMESPACE = "runpod-deploy"
"""What an approval's SSH signature is for: one made for another purpose does not count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """The statement: this plan, as this file shows it, may be applied until then.

    Attributes:
        type: `APPROVAL_TYPE`.
        plan_id: Of this one file: a plan made anew is another one, also under the same hash.
        observed_sha256: Over what stands beside the plan: prices, commit, lock file. For a sweep
            over the list of that, one for each of its plans in order.
        expires: UTC, `YYYY-MM-DDTHH:MM:SSZ`; None: never.
    """

    type: str
    plan_hash: str
    plan_id: str
    observed_sha256: str
    expires: str | None


def approval_of(plan_file: PlanFile | SweepFile, expires: str | None) -> Approval:
    """Return the statement that approves `plan_file`."""
    return Approval(
        type=APPROVAL_TYPE,
        plan_hash=plan_file.plan_hash,
        plan_id=plan_file.plan_id,
        observed_sha256=sha256(_observed(plan_file)),
        expires=expires,
    )


def _observed(plan_file: PlanFile | SweepFile) -> Any:
    """Return what stands beside the plan; of a sweep, the list of it for each of its plans."""
    if isinstance(plan_file, SweepFile):
        return [to_plain(one.observed) for one in plan_file.shards]
    return to_plain(plan_file.observed)


def statement(approval: Approval) -> bytes:
    """Return the bytes that are signed: RFC 8785 of the approval."""
    return canonical(to_plain(approval))


def read_statement(data: bytes, name: str) -> Approval:
    """Return the approval in `data`.

    Raises:
        InvalidInput: It is none.
    """
    raw: dict[str, Any] = parse(data, name)
    try:
        approval = from_plain(Approval, raw)
    except PlainDataError as error:
        raise InvalidInput(f"{name} is not an approval: {error}") from error
    if statement(approval) != data:
        raise InvalidInput(f"{name} is not an approval: it is not written as RFC 8785 has it")
    return approval


def mismatch(approval: Approval, plan_file: PlanFile | SweepFile) -> str | None:
    """Return why `approval` is not about `plan_file`, None when it is."""
    meant = approval_of(plan_file, approval.expires)
    if approval.type != meant.type:
        return f"its type is {approval.type}, not {meant.type}"
    if approval.plan_hash != meant.plan_hash:
        return f"it approves another plan, {approval.plan_hash}"
    if approval.plan_id != meant.plan_id:
        return "it approves another file of this plan: the plan was made anew since"
    if approval.observed_sha256 != meant.observed_sha256:
        return "what stands beside the plan (prices, commit, lock file) was another then"
    return None


def key_id(public_key: bytes) -> str:
    """Return what an approval file calls a key: 16 hex digits of the sha256 of its public blob."""
    return hashlib.sha256(public_key).hexdigest()[:16]
