"""Secrets that RunPod keeps: it fills them into the pod's environment, from where we know them.

A create call names them (`{{ RUNPOD_SECRET_hub }}`), so their values are in no request of ours. They
are read over SSH at each login: only what is known can be hidden in the log.
"""

from __future__ import annotations

import re

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import Transport

PREFIX = "RUNPOD_DEPLOY_SECRET_"
ANSWER_WITHIN_SEC = 20.0
_REFERENCE = re.compile(r"\{\{\s*RUNPOD_SECRET_(\w+)\s*\}\}")
# Line breaks within a value travel as \001, as in base-env.sh.
_READ = (
    "tr '\\000\\n' '\\n\\001' </proc/1/environ 2>/dev/null | "
    "LC_ALL=C grep -aE '^({names})=' || true"
)


def pod_env(plan: Plan) -> dict[str, str]:
    """Return what the create call names so that RunPod gives the pod its secrets."""
    return {
        f"{PREFIX}{one.runpod}": f"{{{{ RUNPOD_SECRET_{one.runpod} }}}}"
        for one in plan.secrets
        if one.runpod is not None
    }


async def learn(ctx: RunContext, transport: Transport) -> None:
    """Read from the pod what RunPod filled in, and hide it from now on.

    Raises:
        StepFailed: RunPod gave the pod no such secret.
        TransportError: The connection broke.
        TimeoutError: The pod does not answer.
    """
    wanted = {
        **{name: text for name, text in ctx.plan.pod.env.items() if _REFERENCE.search(text)},
        **pod_env(ctx.plan),
    }
    if not wanted:
        return
    given = await _given(transport, list(wanted))
    missing = []
    for name, reference in wanted.items():
        value = given.get(name, "")
        if value:
            ctx.masker.add(value)
        if _REFERENCE.search(value) or (not value and name.startswith(PREFIX)):
            missing += _REFERENCE.findall(reference)
    if missing:
        named = ", ".join(dict.fromkeys(missing))
        raise StepFailed(
            f"RunPod gave the pod no value for the secret {named}.",
            cause="secret_missing",
            help="Create it in the RunPod console, below Secrets, under this very name. The emulator "
            f"takes it from its own environment: RUNPOD_SECRET_{missing[0]}=… runpod-deploy emulator up",
        )
    for secret in ctx.plan.secrets:
        if secret.runpod is not None:
            value = given[f"{PREFIX}{secret.runpod}"]
            ctx.secret_values[secret.name] = value.encode("utf-8", "surrogateescape")


async def _given(transport: Transport, names: list[str]) -> dict[str, str]:
    done = await transport.run(_READ.replace("{names}", "|".join(names)), timeout=ANSWER_WITHIN_SEC)
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.replace("\001", "\n") for name, _, value in pairs}
