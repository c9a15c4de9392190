"""The approvals that lie beside a saved plan: found, checked one by one, counted."""

import os
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from runpod_deploy.compiler.approval import NAMESPACE, key_id, mismatch, read_statement
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.facts.allowed_signers import AllowedSigners
from runpod_deploy.facts.sshsig import BadSignature, fingerprint, is_valid, read_armoured

STAMP = "%Y-%m-%dT%H:%M:%SZ"
_MAX_BYTES = 2**16
_MAX_FILES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenApproval:
    """One approval file.

    Attributes:
        key: `SHA256:…` of the signer's key; None when there is no readable signature.
        who: The signer's principals in the `allowed_signers` file.
        expires: As in the statement.
        objection: Why it does not count; None when it does.
    """

    file: str
    key: str | None = None
    who: str | None = None
    expires: str | None = None
    objection: str | None = None


def approval_file(plan: Path, public_key: bytes) -> Path:
    """Return where the statement of `public_key` about the saved plan at `plan` lies."""
    return plan.with_name(f"{plan.name}.approval-{key_id(public_key)}.json")


def signature_file(approval: Path) -> Path:
    """Return where the signature of the statement at `approval` lies."""
    return approval.with_name(f"{approval.name}.sig")


def require_approvals(
    plan: Path, plan_file: PlanFile | SweepFile, signers: AllowedSigners, *, needed: int, now: float
) -> tuple[SeenApproval, ...]:
    """Return the approvals that count, one for each key.

    Args:
        plan: The saved plan; approvals lie beside it.
        plan_file: What was read from it.
        needed: How many different keys must have signed.
        now: Seconds since the epoch.

    Raises:
        PlanRefused: Fewer did; tells of each approval why it does not count.
    """
    seen = look_at_approvals(plan, plan_file, signers, now=now)
    good = {one.key: one for one in seen if one.objection is None}
    if len(good) >= needed:
        return tuple(good.values())
    lines = [f"  {one.file}\n    {_told(one)}" for one in seen]
    raise PlanRefused(
        f"The plan needs {_count(needed)} by {'a key' if needed == 1 else 'different keys'} of "
        f"{signers.name}, and has {len(good) or 'none'}.\n"
        + ("\n".join(lines) if lines else f"  There is no {plan.name}.approval-….json beside it."),
        help=f"Whoever approves the plan signs it:\n  runpod-deploy plan sign {plan}",
    )


def look_at_approvals(
    plan: Path, plan_file: PlanFile | SweepFile, signers: AllowedSigners, *, now: float
) -> tuple[SeenApproval, ...]:
    """Return every approval beside `plan`, those that count and those that do not."""
    return tuple(_look(file, plan_file, signers, now) for file in _files(plan))


def _files(plan: Path) -> list[Path]:
    prefix = f"{plan.name}.approval-"
    names = sorted(
        path.name
        for path in plan.parent.iterdir()
        if path.name.startswith(prefix) and path.name.endswith(".json")
    )
    if len(names) > _MAX_FILES:
        raise PlanRefused(
            f"There are {len(names)} approvals beside {plan}; more than {_MAX_FILES} are not checked",
            help="Delete those that do not count any more.",
        )
    return [plan.with_name(name) for name in names]


def _look(
    file: Path, plan_file: PlanFile | SweepFile, signers: AllowedSigners, now: float
) -> SeenApproval:
    seen = SeenApproval(file=file.name)
    try:
        message = _read(file)
        signature = read_armoured(_read(signature_file(file)).decode("ascii"))
        seen = replace(seen, key=fingerprint(signature.public_key))
        if not is_valid(signature, message):
            return replace(seen, objection="the signature is not one over this statement")
    except OSError as error:
        return replace(seen, objection=f"{Path(error.filename or file).name}: {error.strerror}")
    except UnicodeDecodeError:
        return replace(seen, objection="it is no armoured SSH signature")
    except BadSignature as error:
        return replace(seen, objection=str(error))
    if signature.namespace != NAMESPACE:
        other = f"the signature was made for {signature.namespace!r}, not for {NAMESPACE!r}"
        return replace(seen, objection=other)
    who, objection = _whose(signature.public_key, signers, now)
    seen = replace(seen, who=who, objection=objection)
    # What a stranger wrote is not even read.
    return seen if objection else _held_against(message, seen, plan_file, now)


def _held_against(
    message: bytes, seen: SeenApproval, plan_file: PlanFile | SweepFile, now: float
) -> SeenApproval:
    """Return `seen`, whose signature counts, with what its statement says."""
    try:
        approval = read_statement(message, seen.file)
    except InvalidInput as error:
        return replace(seen, objection=str(error))
    objection = mismatch(approval, plan_file) or _expired(approval.expires, now)
    return replace(seen, expires=approval.expires, objection=objection)


def _read(file: Path) -> bytes:
    # Not to wait for a writer, should it be a pipe.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BadSignature(f"{file.name} is no regular file")
        data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise BadSignature(f"{file.name} is too large")
    return data


def _whose(public_key: bytes, signers: AllowedSigners, now: float) -> tuple[str | None, str | None]:
    """Return whose the key is, and why it does not count."""
    lines = [one for one in signers.signers if one.public_key == public_key]
    if not lines:
        return None, f"the key is not in {signers.name}"
    objections = [(one.principals, one.objection(NAMESPACE, now)) for one in lines]
    return min(objections, key=lambda pair: pair[1] is not None)


def _expired(expires: str | None, now: float) -> str | None:
    if expires is None:
        return None
    try:
        moment = datetime.strptime(expires, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return f"it expires at {expires!r}, which is no time"
    return f"it expired at {expires}" if now > moment.timestamp() else None


def _told(seen: SeenApproval) -> str:
    who = ", ".join(filter(None, (seen.who, seen.key)))
    return ": ".join(filter(None, (who, seen.objection or "counts")))


def _count(number: int) -> str:
    return "one approval" if number == 1 else f"{number} approvals"
