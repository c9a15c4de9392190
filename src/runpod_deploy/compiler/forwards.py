"""Ports of the pod that are reached on this machine: how they are written, and rules about them."""

from collections.abc import Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.plan import PlanForward
from runpod_deploy.compiler.resolve import Resolved

HIGHEST_PORT = 65535


def parse_forward(text: str) -> PlanForward:
    """Return what `8888`, or `8080:8888` with the port here first, means.

    Raises:
        ValueError: It is neither; the message says what is wrong with it.
    """
    here, colon, there = text.partition(":")
    ports = [here, there if colon else here]
    if not all(port.isascii() and port.isdigit() and len(port) <= 5 for port in ports):
        raise ValueError(
            f"`{text}` is neither a port nor two ports, here and on the pod, such as 8080:8888"
        )
    local, pod = map(int, ports)
    if not (0 < local <= HIGHEST_PORT and 0 < pod <= HIGHEST_PORT):
        raise ValueError(f"ports go from 1 to {HIGHEST_PORT}, and `{text}` is beyond that")
    return PlanForward(local=local, pod=pod)


def forwards(config: Resolved) -> tuple[PlanForward, ...]:
    """Return the forwards of a job that keeps the rules."""
    return tuple(map(parse_forward, config.forward))


def forward_ports(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each is a port that there is, no port here is taken twice, and one run alone has them."""
    taken: set[int] = set()
    for index, text in enumerate(config.forward):
        try:
            local = parse_forward(text).local
        except ValueError as error:
            why = f"{error}."
        else:
            if local not in taken:
                taken.add(local)
                continue
            why = f"Port {local} of this machine can lead to one port of the pod only."
        yield Finding(
            pointer=f"/forward/{index}",
            code="forward-port",
            summary="A port cannot be forwarded",
            detail=why,
        )
    if config.forward and config.matrix is not None:
        yield Finding(
            pointer="/forward",
            on_key=True,
            code="forward-sweep",
            summary="The runs of a sweep cannot share a port",
            detail="Every run of the sweep would take the same ports of this machine.",
            help="Take `forward` out, and look at one of the runs:\n"
            "  runpod-deploy attach RUN --forward 8888",
        )
