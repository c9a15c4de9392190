"""Renders the scripts that lie on a pod, as the compiler does, for values of the test's choice."""

from __future__ import annotations

from typing import Any

from runpod_deploy.compiler.scripts import _pod_environment


def render(name: str, **changes: Any) -> str:
    """Return the script `name` (`supervisor`, `lease`, `env`, …)."""
    context: dict[str, Any] = {
        "home": "/root/.runpod-deploy/demo",
        "protocol": 1,
        "late_bound": {},
        "pod_env_names": [],
        "exports": {},
        "source_files": [],
        "secret_files": [],
        "telemetry": {"interval_sec": 30, "mount": "/workspace", "idle_sec": 0},
        "run": run_context(),
        "lease": lease_context(),
    }
    return _pod_environment().get_template(f"{name}.sh.j2").render({**context, **changes})


def run_context(**changes: Any) -> dict[str, Any]:
    """Return what the supervisor's template is told of the run."""
    return {
        "command": ["bash", "/root/run.sh"],
        "env": {},
        "workdir": None,
        "log_path": "/root/job/log",
        "script_path": "/root/run.sh",
        **changes,
    }


def lease_context(**changes: Any) -> dict[str, Any]:
    """Return what the templates of lease and boot are told."""
    return {
        "silence_sec": 1800,
        "boot_grace_sec": 1800,
        "keep_sec": 259_200,
        "while_running": "continue",
        "action": "terminate",
        "spares_results": 0,
        "cluster": False,
        "mount": "",
        **changes,
    }
