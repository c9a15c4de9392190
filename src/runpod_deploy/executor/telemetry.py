"""What is kept about the pod beside its results: samples, snapshots, the describe object.

Nothing here ever fails a run: what cannot be had is one event and a file that is missing.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.untrusted import first_lines, printable
from runpod_deploy.record.atomic import dump_json, write_all, write_atomic
from runpod_deploy.record.failure import DMESG_NAME, OOM_COUNT
from runpod_deploy.record.metrics import METRICS_NAME

ANSWER_WITHIN_SEC = 60.0
MOST_BYTES = 4 * 1024 * 1024  # of one snapshot, and of samples in one look
LARGEST_METRICS = 1 << 30
DMESG_LINES = 200
OBSERVED_ENV = re.compile(
    r"RUNPOD_(?:POD_ID|DC_ID|GPU_COUNT|GPU_NAME|CPU_COUNT|MEM_GB|VOLUME_ID|POD_HOSTNAME|PUBLIC_IP"
    r"|TCP_PORT_\d+)|(?:CUDA|NVIDIA|NV|NCCL|TORCH|CONDA|UV|OMP|MKL)_[A-Z0-9_]*|CUDA|PATH"
    r"|LD_LIBRARY_PATH|PYTHON(?:PATH|_VERSION|UNBUFFERED|HASHSEED)?|HF_HOME|HF_HUB_ENABLE_HF_TRANSFER"
    r"|VIRTUAL_ENV|LANG|LC_ALL|TZ|HOME|HOSTNAME|SHELL"
)
"""The names of the pod's environment that are kept: none that could hold a secret by its purpose."""

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")
_USER_INFO = re.compile(r"(://)[^/@\s]+@")


async def begin(ctx: RunContext) -> None:
    """Start the sampler on the pod and take the first snapshots; asked again, it does nothing new."""
    wanted = ctx.plan.telemetry
    if not wanted.enabled or ctx.transport is None:
        return
    ctx.undo.drop("telemetry")
    ctx.undo.push("telemetry", lambda: end(ctx))
    todo: list[Awaitable[None]] = [_guarded(ctx, METRICS_NAME, _start_sampler)]
    if wanted.capture_nvidia_smi:
        todo.append(_snapshot(ctx, "nvidia_smi_start.txt", "nvidia-smi"))
    if wanted.capture_pod_describe:
        todo.append(_guarded(ctx, "pod_describe_start.json", _describe))
    if wanted.capture_remote_env:
        todo.append(_guarded(ctx, "remote_env.json", _remote_env))
    await asyncio.gather(*todo)


async def end(ctx: RunContext) -> None:
    """Bring the last samples home, stop the sampler and take the last snapshots."""
    wanted = ctx.plan.telemetry
    ctx.undo.drop("telemetry")
    if not wanted.enabled or ctx.transport is None:
        return
    todo: list[Awaitable[None]] = [_guarded(ctx, METRICS_NAME, _last_samples)]
    if wanted.capture_nvidia_smi:
        todo.append(_snapshot(ctx, "nvidia_smi_end.txt", "nvidia-smi"))
    if wanted.capture_dmesg:
        todo.append(_snapshot(ctx, DMESG_NAME, _DMESG))
    if wanted.capture_pod_describe:
        todo.append(_guarded(ctx, "pod_describe_end.json", _describe))
    if wanted.capture_remote_env:
        todo.append(_snapshot(ctx, "pip_freeze.txt", _PIP))
    await asyncio.gather(*todo)


async def follow_samples(ctx: RunContext) -> None:
    """Fetch new samples now and then until cancelled; a broken connection is somebody else's care."""
    if not ctx.plan.telemetry.enabled:
        return
    said = False
    while True:
        await ctx.clock.sleep(max(10.0, ctx.plan.telemetry.sample_interval_sec))
        try:
            await _fetch_samples(ctx)
        except (RunpodDeployError, TimeoutError):
            continue
        except OSError as error:
            if not said:
                said = True
                _missing(ctx, METRICS_NAME, f"it cannot be written: {error.strerror or error}")


# Few containers may read the kernel's messages; how often it killed for memory, all may.
_DMESG = (
    f"dmesg 2>&1 | tail -n {DMESG_LINES}; "
    f"sed -n 's/^oom_kill \\([0-9]*\\)$/{OOM_COUNT} \\1/p' "
    "/sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null"
)
_PIP = (
    "{ python3 -m pip freeze || python -m pip freeze || pip freeze || uv pip freeze; } 2>/dev/null"
)


def _script(ctx: RunContext, word: str) -> str:
    return shlex.join(["sh", f"{ctx.fill(ctx.plan.home)}/bin/sampler.sh", word])


async def _start_sampler(ctx: RunContext, file: str) -> None:
    done = await ctx.need_transport().run(_script(ctx, "start"), timeout=ANSWER_WITHIN_SEC)
    if done.exit_status != 0:
        _missing(ctx, file, first_lines(done.stderr) or "the sampler did not start")
        if ctx.plan.budget.idle_gpu_minutes is not None:
            ctx.warn(
                "idle-unmeasured",
                "Nothing measures whether the GPUs idle: budget.idle_gpu_minutes has no effect.",
            )


async def _last_samples(ctx: RunContext, _file: str) -> None:
    # One more sample than the interval gave, so that the end is told as well.
    await ctx.need_transport().run(_script(ctx, "stop"), timeout=ANSWER_WITHIN_SEC)
    while await _fetch_samples(ctx) >= MOST_BYTES // 2:
        pass


async def _fetch_samples(ctx: RunContext) -> int:
    """Append the whole lines that are new on the pod, and return how many bytes they were.

    Raises:
        OSError: The file here cannot be written.
    """
    local = ctx.folder.path / METRICS_NAME
    remote = shlex.quote(f"{ctx.fill(ctx.plan.home)}/{METRICS_NAME}")
    have = local.stat().st_size if local.exists() else 0
    if have >= LARGEST_METRICS:
        return 0
    command = f"tail -c +{have + 1} {remote} 2>/dev/null | head -c {MOST_BYTES}"
    done = await ctx.need_transport().run(command, timeout=ANSWER_WITHIN_SEC)
    whole = done.stdout[: done.stdout.rfind(b"\n") + 1]
    if whole:
        with local.open("ab", buffering=0) as stream:
            try:
                write_all(stream.fileno(), whole)
            except OSError:
                # Where the next look begins is told by the size alone.
                stream.truncate(have)
                raise
    return len(whole)


async def _snapshot(ctx: RunContext, file: str, command: str) -> None:
    async def take(ctx: RunContext, file: str) -> None:
        cut = f"{{ {command}; }} </dev/null | head -c {MOST_BYTES}"
        done = await ctx.need_transport().run(cut, timeout=ANSWER_WITHIN_SEC)
        if not done.stdout.strip():
            _missing(ctx, file, first_lines(done.stderr) or "the pod says nothing")
            return
        text = _USER_INFO.sub(r"\1", done.stdout.decode("utf-8", "replace"))
        write_atomic(ctx.folder.path / file, ctx.masker.text(text).encode())

    await _guarded(ctx, file, take)


async def _describe(ctx: RunContext, file: str) -> None:
    pod = await ctx.cloud.get(ctx.need_pod().id)
    if pod is None:
        _missing(ctx, file, "the pod is gone")
        return
    write_atomic(ctx.folder.path / file, dump_json(masked_describe(ctx, pod.raw)))


def masked_describe(ctx: RunContext, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the API's pod object with every value of its environment hidden."""
    shown = {key: value for key, value in raw.items() if key != "env"}
    env = raw.get("env")
    names = list(env) if isinstance(env, Mapping) else []
    data: dict[str, Any] = ctx.masker.data({**shown, "env": dict.fromkeys(names, "***")})
    return data


async def _remote_env(ctx: RunContext, file: str) -> None:
    command = (
        "uname -a; python3 --version 2>&1 | head -n 1; "
        '(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME") || echo; '
        "tr '\\000\\n' '\\n ' </proc/1/environ 2>/dev/null | head -c 262144"
    )
    done = await ctx.need_transport().run(command, timeout=ANSWER_WITHIN_SEC)
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    kernel, python, system, *rest = [*lines, "", "", ""]
    env = dict(row.split("=", 1) for row in rest if "=" in row)
    told = {
        "uname": printable(kernel),
        "python_version": printable(python),
        "os": printable(system),
        "env": {name: env[name] for name in sorted(env) if is_observed(name)},
    }
    write_atomic(ctx.folder.path / file, dump_json(ctx.masker.data(told)))


def is_observed(name: str) -> bool:
    """Return whether a variable of the pod is kept: it is on the list and not called like a secret."""
    return OBSERVED_ENV.fullmatch(name) is not None and _SECRET_NAME.search(name) is None


async def _guarded(
    ctx: RunContext, file: str, take: Callable[[RunContext, str], Awaitable[None]]
) -> None:
    try:
        await take(ctx, file)
    except TimeoutError:
        _missing(ctx, file, f"no answer within {ANSWER_WITHIN_SEC:g} s")
    except RunpodDeployError as error:
        _missing(ctx, file, error.message)
    except (OSError, ValueError) as error:
        _missing(ctx, file, str(error))


def _missing(ctx: RunContext, file: str, reason: str) -> None:
    ctx.note("capture_failed", file=file, reason=printable(reason, 300))
