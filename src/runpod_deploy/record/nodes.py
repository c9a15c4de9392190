"""The nodes of a cluster in a run's folder: each but the first has a folder, a journal and a log there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.record import tolerant
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.run import Run, fold

NODES = "nodes"
JOINED = "node_joined"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRecord:
    """A node that is not the first.

    Attributes:
        pod_id: The pod that it was last.
        run: What its own journal tells of the job there, and of its artifacts.
    """

    rank: int
    pod_id: str
    run: Run


def node_folder(run_folder: Path, rank: int) -> Path:
    """Return the folder of a node that is not the first."""
    return run_folder / NODES / str(rank)


def last_pod(folder: Path) -> str | None:
    """Return the pod that a node's folder is about; None where nothing was done on any."""
    file = folder / JOURNAL_NAME
    pods = [
        tolerant.text(event.fields, "pod_id")
        for event in (read_events(file) if file.exists() else ())
        if event.event == JOINED
    ]
    return pods[-1] if pods else None


def pod_of_node(run_folder: Path, rank: int) -> str:
    """Return the pod of a node.

    Raises:
        InvalidInput: The run has no such node.
    """
    found = last_pod(node_folder(run_folder, rank)) if rank > 0 else None
    if found is None:
        there = [str(one.rank) for one in node_records(run_folder)]
        known = f"besides node 0 it has {', '.join(there)}" if there else "it has node 0 alone"
        raise InvalidInput(f"this run has no node {rank}: {known}")
    return found


def node_records(run_folder: Path) -> Iterator[NodeRecord]:
    """Yield what is known of each node that is not the first, by rank."""
    folder = run_folder / NODES
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    for rank in sorted(int(name) for name in names if name.isascii() and name.isdecimal()):
        place = node_folder(run_folder, rank)
        pod_id = last_pod(place)
        if pod_id is not None:
            run = fold(list(read_events(place / JOURNAL_NAME)))
            yield NodeRecord(rank=rank, pod_id=pod_id, run=run)
