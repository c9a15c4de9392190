"""What a webhook and a command are told of a run's end: a document, a sentence, variables.

The sentence goes to chat rooms, so it holds our own words and numbers and nothing that came from a pod.
Everything else is masked text in fields of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.manifest import wall_time
from runpod_deploy.record.run import Run, RunState
from runpod_deploy.record.spending import accrued_usd, disks_of

FORMAT = "runpod-deploy.end/1"
_LONGEST_ERROR = 2000
# What would ring a bell or make a link in a chat room.
_MARKUP = re.compile(r"[<>&@`*_~|\[\]]")


def message_of(ctx: RunContext, run: Run, failure: BaseException | None) -> dict[str, Any]:
    """Return the end of a run as one document, with secrets hidden."""
    now, plan, pod = utc_stamp(ctx.clock.now()), ctx.plan, run.pod
    cost = accrued_usd(run, now, plan.budget.assumed_hourly_rate_usd, disks_of(plan))
    error = None if failure is None else str(failure) or type(failure).__name__
    end = run.job_end
    root, folder = ctx.project_root, ctx.folder.path
    told = {
        "format": FORMAT,
        "job_name": ctx.masker.text(plan.job.name),
        "run_id": ctx.run_id,
        "state": run.state.value,
        "cause": run.cause,
        "error": None if error is None else ctx.masker.text(error)[:_LONGEST_ERROR],
        "exit_code": end.exit_code if end else None,
        "wall_time_sec": wall_time(run, now),
        "cost_usd": round(cost, 6),
        "cloud": ctx.cloud.label,
        "pod_id": pod.pod_id if pod else None,
        "gpu_id": pod.gpu_id if pod else None,
        "datacenter_id": pod.datacenter_id if pod else None,
        "leaked_pod_ids": [one.pod_id or one.name for one in run.leaked],
        "run_dir": str(folder.relative_to(root) if folder.is_relative_to(root) else folder.name),
        "plan_hash": ctx.plan_file.plan_hash,
        "shard": plan.matrix.name if plan.matrix else None,
        "ended_at": run.ended_at or now,
    }
    sentence = _sentence(told)
    # Slack, Mattermost and Teams show `text`, Discord shows `content`.
    return {**told, "text": sentence, "content": sentence}


def _sentence(told: Mapping[str, Any]) -> str:
    name = _MARKUP.sub(" ", printable(told["job_name"], 100))
    why = f" ({str(told['cause']).replace('_', ' ')})" if told["cause"] else ""
    parts = [f"{name}: {told['state']}{why}"]
    if told["wall_time_sec"] is not None:
        parts.append(f"after {_spent(told['wall_time_sec'])}")
    parts.append(f"for ${told['cost_usd']:.2f}{' (emulated)' * (told['cloud'] == 'emulator')}")
    if told["exit_code"] is not None:
        parts.append(f"exit code {told['exit_code']}")
    text = ", ".join(parts) + f". Run {told['run_id']}."
    if told["state"] == RunState.LEAKED:
        pods = ", ".join(told["leaked_pod_ids"])
        text += (
            f" A pod may still be billed: {pods}. End it: runpod-deploy resume {told['run_dir']}"
        )
    return text


def _spent(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def variables_of(message: Mapping[str, Any], late_bound: Mapping[str, str]) -> dict[str, str]:
    """Return the same for a program: `RUNPOD_DEPLOY_STATE`, `RUNPOD_DEPLOY_TEXT` and so on.

    Paths are as this machine has them; what is not known is not set.
    """
    flat = {
        name: str(value)
        for name, value in message.items()
        if value is not None and not isinstance(value, list)
    }
    flat["leaked_pod_ids"] = " ".join(message["leaked_pod_ids"])
    named = {**flat, **late_bound}
    return {
        f"RUNPOD_DEPLOY_{name.upper()}": value
        for name, value in named.items()
        if name not in {"format", "content"}
    }
