"""What is said about a pod that is still there: what it costs and how to end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.target import CloudName

if TYPE_CHECKING:
    from runpod_deploy.executor.run import Target
    from runpod_deploy.record.records import PodRecord

CONSOLE_URL = "https://console.runpod.io/pods"


def delete_command(target: Target, pod_id: str) -> str:
    """Return the one command that removes a pod, to be copied whole.

    At RunPod it is one that works where this program does not. The emulator knows other keys.
    """
    if target.label == CloudName.EMULATOR:
        return f"runpod-deploy cleanup {pod_id} --cloud emulator"
    url = target.api_url.rstrip("/").removesuffix("/v2")
    return f'curl -X DELETE -H "Authorization: Bearer $RUNPOD_API_KEY" {url}/v2/pods/{pod_id}'


def leaked(pods: tuple[PodRecord, ...], target: Target, style: Style) -> str:
    """Return the loudest message there is: these pods may go on costing money."""
    lines = []
    for pod in pods:
        rate = pod.cost_per_hour_usd
        price = "" if rate is None else f" and costing {usd(rate)}/h"
        name = pod.pod_id or f"named {pod.name}"
        lines.append(style.bad(f"LEAKED: pod {line(name)} may still be running{price}."))
    lines += ["Remove it now:", *_ways(pods, target)]
    return "\n".join(lines)


def left(
    pods: tuple[PodRecord, ...], target: Target, style: Style, *, for_next: bool = False
) -> str:
    """Return what to know about pods that were kept or left running on purpose.

    Args:
        for_next: Whether the next run of the job is to use a stopped one again.
    """
    lines = []
    for pod in pods:
        rate = pod.cost_per_hour_usd
        price = "" if rate is None or pod.status == "stopped" else f", {usd(rate)}/h"
        state = {"alive": "is running", "stopped": "is stopped; its disk is still billed"}
        if for_next:
            state["stopped"] = "waits, stopped, for the next run; its disk is still billed"
        told = state.get(pod.status, "may be there")
        lines.append(style.warn(f"Pod {line(pod.pod_id or pod.name)} {told}{price}."))
    lines += ["To remove it:", *_ways(pods, target)]
    return "\n".join(lines)


def _ways(pods: tuple[PodRecord, ...], target: Target) -> list[str]:
    known = [pod.pod_id for pod in pods if pod.pod_id]
    ways = [f"  {delete_command(target, line(pod_id))}" for pod_id in known]
    unknown = [line(pod.name) for pod in pods if not pod.pod_id]
    if target.label == CloudName.EMULATOR:
        return [*ways, "or end the whole emulator:", "  runpod-deploy emulator down"]
    if unknown:
        ways.append(f"  look for the name {', '.join(unknown)}")
    return [*ways, "or in the console:", f"  {CONSOLE_URL}"]
