"""Every file that will lie on the pod: ours from templates, the user's byte for byte."""

import hashlib
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from runpod_deploy.compiler import lease
from runpod_deploy.compiler.late_bound import LATE_BOUND, MARK, token
from runpod_deploy.compiler.plan import POD_PROTOCOL, Script
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import CommandEntry

if TYPE_CHECKING:
    from jinja2 import Environment

HOME = f"/root/.runpod-deploy/{token('run_id')}"
POD_SCRIPTS = ("base-env", "env", "step", "supervisor", "lease", "sampler")
BOOT_SCRIPT = "boot"
UPLOAD_SCRIPT = "upload"
UPLOAD_PROGRAMS = ("upload.py", "bucket.py")
BASH = ("bash",)
STRICT_BASH = ("bash", "-eo", "pipefail")
_MODE = "0700"


def all_scripts(config: Resolved, run_text: str) -> tuple[Script, ...]:
    """Return the scripts of a plan: the pod's, then the user's in the order they run.

    Args:
        config: The rendered job.
        run_text: The body, or the content of `run.script`.
    """
    run = run_script(config, run_text)
    return (
        *_pod_scripts(config, run),
        *_commands("setup", config.setup),
        *_commands("preflight", config.preflight),
        run,
    )


def log_path(config: Resolved) -> str:
    """Return where the job's log lies on the pod."""
    return config.run.log_path or f"{HOME}/job/log"


def max_runtime_sec(config: Resolved) -> float | None:
    """Return how long the script may run, None without a limit of its own."""
    minutes = config.budget.max_runtime_minutes
    return None if minutes is None else minutes * 60.0


def _idle_sec(config: Resolved) -> int:
    """Return how long the GPUs may idle, 0 without a limit."""
    minutes = config.budget.idle_gpu_minutes
    return 0 if minutes is None else max(1, round(minutes * 60))


def run_suffix(config: Resolved) -> str:
    """Return the suffix of the `run.script` file, in lower case with its dot; `.sh` for a body."""
    if config.run.script is None:
        return ".sh"
    return posixpath.splitext(config.run.script)[1].lower()


def run_command(config: Resolved, text: str, path: str) -> tuple[str, ...]:
    """Return the argument list that runs the job; empty when nothing says how."""
    if text.startswith("#!"):
        return (path,)
    if config.run.script is None:
        return (*(STRICT_BASH if config.run.strict else BASH), path)
    return {".sh": ("bash", path), "": ("bash", path), ".py": ("python3", path)}.get(
        run_suffix(config), ()
    )


def run_script(config: Resolved, text: str) -> Script:
    """Return the job itself as it will lie on the pod."""
    suffix = posixpath.splitext(config.run.script)[1] if config.run.script else ".sh"
    path = config.run.script_path or f"{HOME}/scripts/run{suffix}"
    return _script(
        "run",
        "run",
        path,
        text if config.run.script is not None else _ended(text),
        command=run_command(config, text, path),
        timeout_sec=max_runtime_sec(config),
        with_env=True,
    )


def _commands(phase: Any, entries: tuple[CommandEntry, ...]) -> Iterator[Script]:
    for number, entry in enumerate(entries, start=1):
        name = f"{phase}-{number}"
        path = f"{HOME}/scripts/{name}.sh"
        yield _script(
            name,
            phase,
            path,
            _ended(entry.command),
            command=(*(STRICT_BASH if entry.strict else BASH), path),
            timeout_sec=entry.timeout_sec,
            with_env=entry.with_env,
        )


def _pod_scripts(config: Resolved, run: Script) -> Iterator[Script]:
    context = _pod_context(config, run)
    boot = (BOOT_SCRIPT,) if lease.decide(config).at_boot else ()
    uploads = any(entry.upload is not None for entry in config.artifacts)
    for name in (*POD_SCRIPTS, *boot, *((UPLOAD_SCRIPT,) if uploads else ())):
        text = _pod_environment().get_template(f"{name}.sh.j2").render(context)
        yield _script(name, "pod", f"{HOME}/bin/{name}.sh", text)
    for name in UPLOAD_PROGRAMS if uploads else ():
        text = (files("runpod_deploy.templates") / "pod" / name).read_text(encoding="utf-8")
        yield _script(name, "pod", f"{HOME}/bin/{name}", text)


def _pod_context(config: Resolved, run: Script) -> Mapping[str, Any]:
    # Names are sorted: their values are quoted, so the order in the job file means nothing.
    return {
        "home": HOME,
        "protocol": POD_PROTOCOL,
        "lease": lease.script_context(config),
        "late_bound": {name.upper(): token(name) for name in LATE_BOUND},
        "pod_env_names": sorted(config.pod.env),
        "exports": dict(sorted(config.remote_env.exports.items())),
        "source_files": list(config.remote_env.source_files),
        "secret_files": [
            secret.destination for secret in config.secrets if secret.env and secret.export
        ],
        "telemetry": {
            "interval_sec": max(1, round(config.telemetry.sample_interval_sec)),
            "mount": config.storage.volume_mount,
            "idle_sec": _idle_sec(config),
        },
        "run": {
            "command": list(run.command),
            "env": dict(sorted(config.run.env.items())),
            "workdir": config.run.workdir,
            "log_path": log_path(config),
            "script_path": run.path,
        },
    }


@cache
def _pod_environment() -> "Environment":
    from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415 - slow to load

    folder = files("runpod_deploy.templates") / "pod"
    sources = {
        item.name: item.read_text(encoding="utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".j2")
    }
    environment = Environment(  # noqa: S701 - shell text, quoted by the `sh` filter
        loader=DictLoader(sources),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        optimized=False,
    )
    environment.filters["sh"] = _sh
    return environment


def _sh(value: object) -> str:
    """Quote `value` for a POSIX shell; always when it holds a token, whose value may need it."""
    text = str(value)
    if MARK not in text:
        return shlex.quote(text)
    return "'" + text.replace("'", "'\\''") + "'"


def _script(
    name: str,
    phase: Any,
    path: str,
    text: str,
    *,
    command: tuple[str, ...] = (),
    timeout_sec: float | None = None,
    with_env: bool = False,
) -> Script:
    return Script(
        name=name,
        phase=phase,
        path=path,
        mode=_MODE,
        command=command,
        timeout_sec=timeout_sec,
        with_env=with_env,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
