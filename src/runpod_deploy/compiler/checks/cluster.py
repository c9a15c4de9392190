"""Rules about jobs that run on several nodes."""

from collections.abc import Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.pod_paths import inside
from runpod_deploy.compiler.resolve import Resolved


def own_logs(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """No two nodes write the same log, which they would on a volume that they share."""
    shared, log = config.storage.mode == "network_volume", config.run.log_path
    if config.cluster is None or not shared or log is None:
        return
    if inside(log, config.storage.volume_mount):
        yield Finding(
            pointer="/run/log_path",
            code="shared-log",
            summary="All nodes would write the same log",
            detail=f"`{log}` lies on the network volume, which every node of the cluster has.",
            help="Leave `run.log_path` out: each node then writes its log on its own disk.",
        )


RULES = (own_logs,)
