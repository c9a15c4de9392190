"""A run killed after a line of its journal and resumed, held against one that nobody disturbed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import Bench

VICTIM = Path(__file__).parents[1] / "campaign" / "victim.py"
SECRET = "planted-campaign-secret"
BODY = """\
set -eu
echo "__RUNPOD_STEP_START__train__"
i=0
while [ "$i" -lt 40 ]; do echo "line $i $CAMPAIGN_TOKEN"; i=$((i + 1)); sleep 0.05; done
echo "__RUNPOD_STEP_DONE__train__"
echo "__RUNPOD_STEP_START__save__"
mkdir -p /root/out
cp /root/src/data.bin /root/out/
seq 1 20000 > /root/out/numbers.txt
echo run >> /root/began
cp /root/began /root/setups /root/out/
echo "__RUNPOD_STEP_DONE__save__"
printf 'no newline at the end'
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What is left of a run, as far as two runs of one job must be the same.

    Attributes:
        marks: Event, name and offset of each step marker in the journal.
        pods_made: How many pods there ever were.
        lines: Of the journal.
    """

    status: int
    state: str
    cause: str | None
    exit_code: int | None
    log: str
    artifacts: dict[str, str]
    marks: tuple[tuple[str, str, int], ...]
    files: tuple[str, ...]
    pods_left: int
    pods_made: int
    open_effects: tuple[str, ...]
    leaked: tuple[str, ...]
    lines: int
    output: str

    def faults(self, undisturbed: End) -> list[str]:
        """Return what differs from a run that was not disturbed, and what must never be."""
        same = ("status", "state", "cause", "exit_code", "log", "artifacts", "marks", "files")
        found = [
            f"{name}: {getattr(self, name)!r} instead of {getattr(undisturbed, name)!r}"
            for name in same
            if getattr(self, name) != getattr(undisturbed, name)
        ]
        if self.pods_left:
            found.append(f"{self.pods_left} pods are left")
        if self.pods_made != 1:
            found.append(f"{self.pods_made} pods were made")
        if self.open_effects or self.leaked:
            found.append(f"open effects {self.open_effects}, leaked {self.leaked}")
        return found


def prepare(bench: Bench) -> None:
    """Write the project: payload, secret, every kind of step, one required artifact."""
    bench.extra["CAMPAIGN_TOKEN"] = SECRET
    bench.write("src/data.bin", hashlib.sha256(b"campaign").digest() * 8000)
    bench.job(
        setup=[{"command": "echo setting up; echo setup >>/root/setups"}],
        staging=[{"label": "src", "source": "src", "destination": "/root/src"}],
        secrets=[{"name": "token", "env": ["CAMPAIGN_TOKEN"], "destination": "/root/token.env"}],
        preflight=[{"command": "test -s /root/src/data.bin"}],
        run={"body": BODY, "success_marker": "no newline"},
        artifacts=[{"label": "out", "remote_path": "/root/out"}],
    )


def undisturbed(bench: Bench) -> End:
    """Run the job to its end."""
    prepare(bench)
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml", timeout=300)
    return end_of(bench, status, output)


def killed_and_resumed(bench: Bench, line: int) -> End:
    """Kill the run after a line of its journal, then resume it."""
    prepare(bench)
    killed = victim(bench, line, "run", "--cloud", "emulator", "job.yaml")
    status, output = bench.run("resume", "last", timeout=300)
    return end_of(bench, status, f"{killed}\n--- resumed\n{output}")


def victim(bench: Bench, line: int, *args: str) -> str:
    """Run a command that is killed after so many lines of the journal; returns what it printed."""
    process = bench.start_program(str(VICTIM), str(line), *args)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == -9, f"it was not killed after line {line}:\n{output}"
    return output


def end_of(bench: Bench, status: int, output: str) -> End:
    """Read what is left of the newest run."""
    folder = bench.last_run()
    events = bench.events()
    manifest: dict[str, Any] = {}
    if (folder / "runpod_deploy_pull_manifest.json").exists():
        manifest = bench.manifest()
    log = folder / "run.log"
    return End(
        status=status,
        state=str(manifest.get("state")),
        cause=manifest.get("cause"),
        exit_code=manifest.get("exit_code"),
        log=log.read_text("utf-8") if log.exists() else "",
        artifacts=_digests(folder / "out"),
        marks=tuple(
            (event["event"], event["name"], event["log_offset"])
            for event in events
            if event["event"].startswith("remote_step_")
        ),
        files=tuple(sorted(path.name for path in folder.iterdir() if path.is_file())),
        pods_left=len(bench.pods()),
        pods_made=len(bench.history()["pods"]),
        open_effects=tuple(_open(events)),
        leaked=tuple(manifest.get("leaked_pod_ids", ("no manifest",))),
        lines=len(events),
        output=output + json.dumps(Counter(event["event"] for event in events)),
    )


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _open(events: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for event in events:
        name = event["event"]
        if name.endswith("_intended"):
            found.append(event["op_id"])
        elif name.endswith("_settled"):
            found = [one for one in found if one != event["op_id"]]
    return found


def spread(lines: int, count: int) -> list[int]:
    """Return `count` lines evenly over a journal, the last but one included."""
    return sorted({max(1, round((lines - 1) * (n + 1) / count)) for n in range(count)})
