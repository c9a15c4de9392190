"""The environment of a pod's first process."""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence

from runpod_deploy.emulator.pod_request import PodRequest
from runpod_deploy.emulator.records import Pod


def injected_env(request: PodRequest, account_keys: Sequence[str]) -> dict[str, str]:
    """Give what `startSsh` and `startJupyter` add once, at create, unless the request has it."""
    added: dict[str, str] = {}
    if request.start_ssh and account_keys and "PUBLIC_KEY" not in request.env:
        added["PUBLIC_KEY"] = "\n".join(account_keys)
    if request.start_jupyter and "JUPYTER_PASSWORD" not in request.env:
        added["JUPYTER_PASSWORD"] = secrets.token_urlsafe(12)
    return added


_SECRET = re.compile(r"\{\{\s*(RUNPOD_SECRET_\w+)\s*\}\}")


def process_env(pod: Pod, account: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """Give the complete environment; what the request set wins over everything.

    Args:
        account: The account's secrets, `RUNPOD_SECRET_<name>` to value: this emulator's own
            environment. A reference to one that is not there stays as it was written.
    """
    env = {
        "RUNPOD_POD_ID": pod.id,
        "RUNPOD_POD_HOSTNAME": host_name(pod.id),
        "RUNPOD_DC_ID": pod.datacenter,
        "RUNPOD_API_KEY": pod.api_key,
        "RUNPOD_PUBLIC_IP": "127.0.0.1",
        "RUNPOD_GPU_COUNT": str(pod.gpu_count),
    }
    if pod.cuda:
        env["CUDA_VERSION"] = pod.cuda
    if pod.volume_id:
        env["RUNPOD_VOLUME_ID"] = pod.volume_id
    return env | pod.injected_env | filled(pod.env, account)


def filled(env: Mapping[str, str], account: Mapping[str, str]) -> dict[str, str]:
    """Give an environment with references to the account's secrets filled in."""
    return {
        name: _SECRET.sub(lambda found: account.get(found[1], found[0]), text)
        for name, text in env.items()
    }


def host_name(pod_id: str) -> str:
    """Give the name RunPod's SSH proxy knows a pod by: its id and a short hash."""
    return f"{pod_id}-{hashlib.sha256(pod_id.encode()).hexdigest()[:8]}"
