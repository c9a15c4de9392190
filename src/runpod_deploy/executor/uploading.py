"""Has the pod send results to a bucket, and takes the store's word for what it holds.

The pod does it by itself (`templates/pod/upload.py`): its line is wide, and what came home was proven before.
Each file goes as it was brought home, by digest. Credentials come with a secret and are read on the pod.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

from runpod_deploy.compiler.plan import PlanArtifact, PlanSecret, PlanUpload
from runpod_deploy.errors import CommandFailed, ConnectionLost, StepFailed, TransportError
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.steps import connect, secrets
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record import tolerant
from runpod_deploy.record.run import fold

TRIES = 3
_LONGEST_LINE = 1 << 16
_KILLED = 128


async def check(ctx: RunContext) -> None:
    """Find out before the job runs whether the pod may write where results are to go.

    Raises:
        StepFailed: It may not, or cannot, and the results are required.
        TransportError: The connection broke.
    """
    for artifact in ctx.plan.artifacts:
        if artifact.upload is None:
            continue
        try:
            _, problem = await _ask(ctx, artifact, artifact.upload, "check")
        except ConnectionLost:
            await connect.again(ctx)
            _, problem = await _ask(ctx, artifact, artifact.upload, "check")
        if problem is None:
            continue
        said = f"{artifact.label!r} could not be sent to {_place(ctx, artifact.upload)}: {problem}"
        if artifact.required:
            raise StepFailed(
                f"{said}. Nothing was started.",
                cause="upload_refused",
                help="What the keys must be allowed to do: s3:PutObject, s3:GetObject and "
                "s3:AbortMultipartUpload below that path.",
            )
        ctx.warn("upload-refused", f"Of what is optional, {said}.")


def outstanding(ctx: RunContext) -> list[PlanArtifact]:
    """Return the artifacts that are here and whose bucket was not seen to hold the same."""
    sent = fold(ctx.journal.events).uploads
    return [
        artifact
        for artifact in ctx.plan.artifacts
        if artifact.upload is not None
        and artifact.label in ctx.verified
        and not (
            artifact.label in sent
            and sent[artifact.label].status == "verified"
            and sent[artifact.label].sha256 == ctx.tree_sha256.get(artifact.label)
        )
    ]


def needs_keys(ctx: RunContext) -> bool:
    """Return whether keys are needed still: results go to a bucket, and not all were seen there."""
    sent = fold(ctx.journal.events).uploads
    return any(
        artifact.upload is not None
        and (artifact.label not in sent or sent[artifact.label].status != "verified")
        for artifact in ctx.plan.artifacts
    )


async def send(ctx: RunContext, artifact: PlanArtifact) -> str | None:
    """Send one artifact; returns why its bucket does not hold it, None when the store says it does."""
    upload = artifact.upload
    if upload is None:
        return None
    label, began = artifact.label, ctx.clock.monotonic()
    op_id = f"upload-{label}"
    ctx.note("upload_intended", op_id=op_id, label=label, to=_place(ctx, upload))
    done: Mapping[str, Any] = {}
    try:
        done, problem = await _send(ctx, artifact, upload)
    except BaseException as error:
        _settled(ctx, label, began, {}, str(error) or type(error).__name__)
        raise
    _settled(ctx, label, began, done, problem)
    return problem


def cut_off(ctx: RunContext, op_id: str, label: str, why: str) -> None:
    """Settle what an earlier executor began and did not end; what the store holds is not sent again."""
    _settled(ctx, label, ctx.clock.monotonic(), {}, why, op_id=op_id)


def _settled(
    ctx: RunContext,
    label: str,
    began: float,
    done: Mapping[str, Any],
    problem: str | None,
    *,
    op_id: str | None = None,
) -> None:
    ctx.note(
        "upload_settled",
        op_id=op_id or f"upload-{label}",
        outcome="verified" if problem is None else "failed",
        label=label,
        duration_sec=round(ctx.clock.monotonic() - began, 3),
        files=tolerant.integer(done, "files"),
        bytes=tolerant.integer(done, "bytes"),
        sent_files=tolerant.integer(done, "sent_files"),
        sent_bytes=tolerant.integer(done, "sent_bytes"),
        sha256=ctx.tree_sha256.get(label),
        error=problem,
    )


async def _send(
    ctx: RunContext, artifact: PlanArtifact, upload: PlanUpload
) -> tuple[Mapping[str, Any], str | None]:
    problem = "not tried"
    for left in range(TRIES - 1, -1, -1):
        try:
            # A pod that was kept lost it when it was let go.
            await secrets.deliver(ctx, _secret(ctx, upload))
            done, said = await _ask(ctx, artifact, upload, "send")
        except CommandFailed as error:
            return {}, error.message
        except (TransportError, TimeoutError) as error:
            problem = str(error) or "the pod did not answer in time"
        else:
            return done, said or _incomplete(ctx, artifact, done)
        if left:
            with contextlib.suppress(TransportError, StepFailed):
                await connect.again(ctx)
    return {}, problem


def _incomplete(ctx: RunContext, artifact: PlanArtifact, done: Mapping[str, Any]) -> str | None:
    wanted = len(ctx.artifact_files.get(artifact.label, ()))
    held = tolerant.integer(done, "files")
    return None if held == wanted else f"the store holds {held or 0} of {wanted} files"


async def _ask(
    ctx: RunContext, artifact: PlanArtifact, upload: PlanUpload, verb: str
) -> tuple[Mapping[str, Any], str | None]:
    """Run the pod's script; returns what it says at its end, and why it could not do it."""
    home = ctx.fill(ctx.plan.home)
    entries = ctx.artifact_files.get(artifact.label, []) if verb == "send" else []
    asked = {
        "to": ctx.fill(upload.to),
        "endpoint": upload.endpoint,
        "remote_path": ctx.fill(artifact.remote_path),
        "state": f"{home}/uploads/{hashlib.sha256(artifact.label.encode()).hexdigest()[:16]}.jsonl",
        "files": entries,
    }
    # The name tells what an executor that was killed left running of it: that is ended first.
    name = f"RUNPOD_DEPLOY_STEP={shlex.quote(f'upload-{artifact.label}')}"
    place = ctx.fill(_secret(ctx, upload).destination)
    words = ["sh", f"{home}/bin/step.sh", "0", "sh", f"{home}/bin/upload.sh", verb, place]
    said = _Said(ctx, artifact.label, sum(int(entry["size"]) for entry in entries))
    try:
        async for piece in ctx.need_transport().stream(
            f"{name} {shlex.join(words)} 2>&1", stdin=json.dumps(asked).encode()
        ):
            said.take(piece)
    except CommandFailed as error:
        said.take(b"\n")
        if error.exit_status < 0 or error.exit_status >= _KILLED:
            raise ConnectionLost(
                f"what sends them was killed on the pod (exit status {error.exit_status})"
            ) from error
        return (
            {},
            said.problem or f"it ended with exit status {error.exit_status} and gave no reason",
        )
    said.take(b"\n")
    if said.done is None:
        return {}, said.problem or "the pod gave no proper answer"
    return said.done, said.problem


class _Said:
    """What the script on the pod says, line by line; none of it is trusted.

    What is no answer of the script is shown nowhere: it may be of the file that holds the keys.
    """

    def __init__(self, ctx: RunContext, label: str, total: int) -> None:
        self.done: Mapping[str, Any] | None = None
        self.problem: str | None = None
        self._ctx, self._label, self._total = ctx, label, total
        self._rest = b""

    def take(self, piece: bytes) -> None:
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        for line in filter(None, lines):
            self._line(line)

    def _line(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            return
        progress, problem = tolerant.integer(row, "progress"), tolerant.text(row, "error")
        if progress is not None:
            self._ctx.progress.transfer(self._label, min(progress, self._total), self._total)
        if problem is not None:
            self.problem = printable(self._ctx.masker.text(problem), 500)
        if isinstance(row.get("done"), dict):
            self.done = row["done"]


def _secret(ctx: RunContext, upload: PlanUpload) -> PlanSecret:
    for secret in ctx.plan.secrets:
        if secret.name == upload.secret:
            return secret
    raise StepFailed(f"The plan has no secret {upload.secret!r}.", cause="upload_refused")


def _place(ctx: RunContext, upload: PlanUpload) -> str:
    return ctx.fill(upload.to)
