"""A run folder as a run writes it, up to where a test wants it."""

import time
from pathlib import Path
from typing import Any

from compiler_cases import job, plan_file_of
from forensic_cases import RUNS
from record_cases import open_journal
from runpod_deploy.compiler.planfile import dumps

STAMP = "20260601T000000Z"
BUDGET = {"cost_cap_usd": 10, "max_runtime_minutes": 60}


class Begun:
    """A run folder that is written as a run would, up to where the test wants it."""

    def __init__(self, project: Path) -> None:
        self.path = project / RUNS / STAMP
        self.path.mkdir(parents=True)
        self.plan()
        self.journal = open_journal(self.path, now=time.time)
        self.write(
            "run_started",
            run_id="train-1",
            job_name="train",
            plan_hash="h",
            plan_id="i",
            tool_version="1",
            cloud="runpod",
            api_url="https://api.runpod.io",
            owner="me",
            pid=1,
        )
        self.state("WORKING")

    def plan(self, **sections: Any) -> None:
        """Write the plan of a small job with these sections."""
        config = job({"budget": BUDGET, **sections})
        (self.path / "plan.json").write_bytes(dumps(plan_file_of(config)))

    def write(self, event: str, **fields: Any) -> None:
        """Write an event."""
        self.journal.write(event, **fields)

    def state(self, state: str, cause: str | None = None) -> None:
        """Change the run's state."""
        self.write("state_changed", state=state, cause=cause)

    def with_job(self) -> "Begun":
        """Go on to a running job with a log."""
        self.write(
            "pod_create_intended",
            op_id="rd-x",
            name="rd-x",
            gpu_id="NVIDIA L4",
            datacenter_id="EU-RO-1",
            cloud_type="SECURE",
        )
        self.write(
            "pod_create_settled",
            op_id="rd-x",
            outcome="created",
            pod_id="pod1",
            cost_per_hour_usd=0.5,
            error=None,
        )
        self.write("lease_armed", verified=True, via="curl")
        self.write("step_started", step="execute")
        self.write("exec_start_intended", op_id="exec", script="run", sha256="a" * 64)
        self.write("exec_start_settled", op_id="exec", outcome="started", error=None)
        (self.path / "run.log").write_bytes(b"one\n\x1b[31mtwo\x1b[0m\n\x1b]0;title\x07three\n")
        return self

    def gone(self) -> "Begun":
        """Release the pod."""
        self.write("pod_delete_intended", op_id="d", pod_id="pod1", reason="released")
        self.write("pod_delete_settled", op_id="d", pod_id="pod1", outcome="gone", error=None)
        return self
