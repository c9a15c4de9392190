"""RunPod as Pulumi resources, over the same calls as `apply`; needs the extra `pulumi`.

Importing it without Pulumi's SDK raises ModuleNotFoundError with what to install.
"""

try:
    import pulumi as _pulumi
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "runpod_deploy.pulumi needs Pulumi's Python SDK, which runpod-deploy brings only when it is "
        "asked to: install runpod-deploy with the extra, `runpod-deploy[pulumi]`",
        name=error.name,
    ) from error

from runpod_deploy.pulumi.job import Job
from runpod_deploy.pulumi.network_volume import NetworkVolume
from runpod_deploy.pulumi.pod import Pod
from runpod_deploy.pulumi.registry_auth import RegistryAuth
from runpod_deploy.pulumi.template import Template
from runpod_deploy.pulumi.workspace import Workspace

__all__ = ["Job", "NetworkVolume", "Pod", "RegistryAuth", "Template", "Workspace"]

del _pulumi
