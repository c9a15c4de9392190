"""One whole run under one fault of the emulator, and what must hold at its end, whatever happened."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

from support.command import Bench

# Nothing that compresses: a cut after so many bytes must find them on their way.
PAYLOAD = random.Random(7).randbytes(2**20)
RESULT = hashlib.sha256(PAYLOAD).hexdigest()
NEVER_UNDER_SEC = 1.0
NEVER_OVER_SEC = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """A fault at the step that it hits, the exit statuses that are right, and what is special of the job."""

    step: str
    fault: str
    status: frozenset[int]
    job: dict[str, Any] = field(default_factory=dict)
    pods_left: bool = False

    @property
    def name(self) -> str:
        """How the case is called on the command line."""
        return f"{self.step}/{self.fault}"


def case(step: str, fault: str, *status: int, pods_left: bool = False, **job: Any) -> Case:
    """Return a case; without a status the run must succeed."""
    return Case(step, fault, frozenset(status or {0}), job, pods_left)


FIRST = "gpu=NVIDIA L4"
LONG = {"run": {"body": "sleep 20\n"}, "artifacts": []}
CASES = (
    *(case("provision", f"stock-out:hidden=1,{FIRST}"), case("provision", "stock-out", 3)),
    case("provision", f"stock-limit:free=0,{FIRST}"),
    *(case("provision", f"create-5xx-{when}") for when in ("before", "after")),
    *(case("provision", f"create-hang-{when}:seconds=2") for when in ("before", "after")),
    case("provision", "rate-limit:times=6,retry_after=1"),
    case("provision", "server-error:times=2,method=POST"),
    case("provision", "lost-answer:path=/v2/pods"),
    case("provision", "slow-answer:seconds=2"),
    case("provision", "balance-too-low", 5),
    case("provision", "image-refused", 1),
    case("provision", f"wrong-price:factor=3,{FIRST}", pod={"max_price_per_hour_usd": 1.0}),
    *(
        case("provision", f"{kind}:{FIRST}")
        for kind in ("never-ready", "pull-fails", "error-state")
    ),
    case("provision", "slow-pull:seconds=3"),
    case("connect", f"no-sshd:{FIRST}"),
    case("connect", "host-key-forged", 1),
    case("connect", "pod-key-refused"),
    case("connect", "pod-key-refused", 1, lease={"required": True}),
    case("connect", "log-drop:times=5"),
    case("admit", f"zero-gpus:when=create,{FIRST}"),
    case("admit", "slow-command:seconds=2,command=*nvidia-smi*"),
    case("setup", "hung-command:command=*setup*", 1),
    case("setup", "ssh-cut:during=command,command=*setup*", 0, 1),
    case("stage", "ssh-cut:during=upload,kib=200,dark=2"),
    case("stage", "disk-full:mib=1", 1),
    *(case("any", f"ssh-drop:seconds={at}", 0, 1) for at in (2, 4, 8)),
    *(case("any", f"port-change:seconds={at}", 0, 1) for at in (3, 8)),
    case("execute", "host-key-change:seconds=8", 1, **LONG),
    *(
        case("execute", f"pod-killed:seconds=8,then={how}", 1, **LONG)
        for how in ("exited", "error", "gone")
    ),
    # On a busy machine pods die before anybody logged in: then no host will do.
    *(case("any", f"pod-killed:seconds={at},then=gone", 0, 1, 3) for at in (1, 3, 5)),
    case("execute", "balance-gone:seconds=8", 1, **LONG),
    case("execute", "error-state:seconds=8", 1, **LONG),
    case("execute", "server-error:times=4,method=GET"),
    case("collect", "ssh-cut:during=pull,kib=300,dark=2"),
    case("release", "server-error:times=4,method=DELETE"),
    case("release", "lost-answer:method=DELETE"),
    *(case("release", f"delete-{how}:times=3") for how in ("fails", "lies")),
    case(
        "release",
        "lost-answer:path=*/action",
        1,
        run={"body": "exit 1\n"},
        artifacts=[],
        storage={"mode": "ephemeral", "volume_gb": 10},
        lifecycle={"on_failure": "stop"},
        pods_left=True,
    ),
    case("release", "delete-lies:times=999", 7, pods_left=True),
    case("every", "slow:seconds=0.2"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a run under a fault ended.

    Attributes:
        problems: What does not hold; none is what is wanted.
        over_sec: By how many seconds of its rate the ledger is above the emulator's bill.
    """

    status: int
    state: str
    problems: list[str]
    over_sec: float


def run_under(bench: Bench, case: Case) -> Ending:
    """Run the job under the fault and hold the end against what must always be so."""
    bench.emulator(case.fault)
    bench.write("data/payload.bin", PAYLOAD)
    bench.job(**{**_job(), **_merged(case.job)})
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml", timeout=420)
    manifest = bench.manifest()
    problems = [*_wrong_end(bench, case, status, manifest), *_lost_results(bench, status)]
    money, over = _money(bench, case)
    if problems or money:
        money.append(output[-1500:])
    return Ending(status=status, state=manifest["state"], problems=problems + money, over_sec=over)


def _job() -> dict[str, Any]:
    return {
        "pod": {"gpu_order": ["NVIDIA L4", "NVIDIA RTX A5000"], "datacenters": ["EU-RO-1"]},
        "budget": {"ssh_ready_timeout_sec": 8, "poll_interval_sec": 2},
        "setup": [{"command": "true # setup", "timeout_sec": 20}],
        "staging": [{"label": "data", "source": "data", "destination": "/workspace/data"}],
        "run": {
            "body": "mkdir -p /workspace/out\nsleep 2\n"
            "cp /workspace/data/payload.bin /workspace/out/result\necho done\n"
        },
        "artifacts": [{"label": "out", "remote_path": "/workspace/out"}],
    }


def _merged(job: dict[str, Any]) -> dict[str, Any]:
    pod = job.get("pod")
    return {**job, "pod": {**_job()["pod"], **pod}} if pod else job


def _wrong_end(bench: Bench, case: Case, status: int, manifest: dict[str, Any]) -> list[str]:
    found = []
    if status not in case.status:
        found.append(f"exit status {status}, not {sorted(case.status)}")
    if manifest["failed"] is (status == 0):
        found.append(f"exit status {status}, and the manifest says failed: {manifest['failed']}")
    if bench.pods() and not case.pods_left:
        found.append(f"pods are left: {[pod['id'] for pod in bench.pods()]}")
    if (status == 7) is not bool(manifest["leaked_pod_ids"]):
        found.append(f"exit status {status}, and leaked are {manifest['leaked_pod_ids']}")
    if bench.history()["max_simultaneous"] > 1:
        found.append("two pods at a time")
    return found


def _lost_results(bench: Bench, status: int) -> list[str]:
    """Results are home and whole, or their pod is there, once the job has succeeded."""
    succeeded = any(
        event["event"] == "job_ended" and event["outcome"] == "succeeded"
        for event in bench.events()
    )
    wanted = json.loads((bench.project / "job.yaml").read_text())["artifacts"]
    if not wanted or (not succeeded and status != 0):
        return []
    file = bench.last_run() / "out" / "result"
    if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == RESULT:
        return []
    return [] if bench.pods() and status != 0 else ["the results are lost"]


def _money(bench: Bench, case: Case) -> tuple[list[str], float]:
    """Hold the ledger against the bill: never below it, and above it by the moments around each call."""
    file = bench.root / "state" / "runpod-deploy" / "ledger.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    pods = {pod["name"]: pod for pod in bench.history()["pods"]}
    worst, found = 0.0, []
    for name, pod in pods.items():
        mine = [line for line in lines if line["pod"] in {name, pod["id"]}]
        created = next((line for line in mine if line["event"] == "created"), None)
        end = next((line for line in mine if line["event"] in {"gone", "stopped"}), None)
        if created is None or end is None:
            if not case.pods_left:
                found.append(f"the ledger does not know the end of {name}: {mine}")
            continue
        spent = (end["at"] - mine[0]["at"]) * created["usd_per_hour"]
        over = (spent - pod["spent_usd"] * 3600) / created["usd_per_hour"]
        worst = max(worst, over, key=abs)
        if not -NEVER_UNDER_SEC <= over <= NEVER_OVER_SEC and not case.pods_left:
            found.append(f"the ledger is {over:.1f} s above the bill of {name}")
    return found, worst
