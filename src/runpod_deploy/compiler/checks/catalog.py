"""Lints about names that RunPod gives: GPU types and data centers."""

from collections.abc import Iterator, Mapping

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.listed import listed, near_names
from runpod_deploy.compiler.resolve import Resolved

UNKNOWN_GPU = Lint(
    code="unknown-gpu",
    summary="A GPU type is not known",
    why="RunPod's ids are exact: `RTX 4090` is no GPU type, `NVIDIA GeForce RTX 4090` is. A wrong "
    "one is refused on every try, as if none were free. The list that comes with this release may "
    "lack a type that is new.",
    cure="Take the id from the catalog:\n  runpod-deploy gpu-list",
)
UNKNOWN_DATACENTER = Lint(
    code="unknown-datacenter",
    summary="A data center is not known",
    why="A wrong id is refused on every try. The list that comes with this release may lack a "
    "place that is new.",
    cure="Take the id from the list in an editor that knows the schema.",
)
LINTS = (UNKNOWN_GPU, UNKNOWN_DATACENTER)


def gpu_ids(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each GPU type is one of RunPod's."""
    known = listed("gpu")
    for index, name in enumerate(config.pod.gpu_order):
        if name not in known:
            yield _unknown(UNKNOWN_GPU, f"/pod/gpu_order/{index}", name, known, "GPU types")


def datacenter_ids(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each data center is one of RunPod's."""
    if isinstance(config.pod.datacenters, str):
        return
    known = listed("datacenter")
    for index, name in enumerate(config.pod.datacenters):
        if name not in known and name != "any":
            pointer = f"/pod/datacenters/{index}"
            yield _unknown(UNKNOWN_DATACENTER, pointer, name, known, "data centers")


def _unknown(lint: Lint, pointer: str, name: str, known: Mapping[str, str], kind: str) -> Finding:
    meant = near_names(name, known)
    listed = "\n".join(f"  {one}: {known[one]}" for one in meant)
    return lint.at(
        pointer,
        f"`{name}` is not among the {kind} that this release knows. If RunPod does not know it "
        "either, every try with it is refused.",
        suggestion=meant[0] if meant else None,
        help=f"What is known of it:\n{listed}"
        if len(meant) == 1
        else f"Near it are:\n{listed}"
        if meant
        else None,
    )


RULES = (gpu_ids, datacenter_ids)
