"""`status`: a run's standing from its folder, and what is said where the cloud is not asked."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from begun_run import STAMP, Begun
from forensic_cases import OURS, RUNS
from runpod_deploy.errors import Unreachable
from runpod_deploy.executor.looking import look_for
from runpod_deploy.executor.ports import Pod
from runpod_deploy.record.records import PodRecord
from runpod_deploy.record.run_lock import RunLock
from support.virtual_time import run_virtual

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run that has begun."""
    return Begun(project)


def told(call: Call, *args: str) -> dict[str, Any]:
    """Return what `status --json` says."""
    code, out, _ = call("status", *args, "--json")
    assert 0 == code
    data: dict[str, Any] = json.loads(out)
    return data


def test_a_run_that_somebody_carries_on(begun: Begun, call: Call) -> None:
    """Step, executor, pod, price, deadlines, last lines and the next command, with no key here."""
    begun.with_job()
    RunLock.take(begun.path, owner="me", now=time.time())

    data = told(call, "--offline", "-n", "2")
    assert ("WORKING", "execute", "running") == (data["state"], data["step"], data["job"])
    assert (os.getpid(), True) == (data["executor"]["pid"], data["executor"]["here"])
    assert (10.0, False, "--offline") == (
        data["cost_cap_usd"],
        data["cloud_asked"],
        data["cloud_not_asked_because"],
    )
    assert ["two", "three"] == data["last_lines"]
    assert ("max_runtime", "cost_cap") == (data["job_ends_because"], data["pod_ends_because"])
    assert data["next"][0] == f"runpod-deploy logs -f {RUNS / STAMP}"
    code, out, _ = call("status")
    assert 0 == code
    assert "running by the journal; the cloud was not" in out
    assert "there is no RunPod API key" in " ".join(out.split())
    assert "\x1b" not in out


def test_a_run_that_nobody_carries_on(begun: Begun, call: Call) -> None:
    """It says so, and since when nothing was heard."""
    begun.with_job()
    assert told(call, "--offline")["executor"] is None
    code, out, _ = call("status", "--offline")
    assert 0 == code
    assert "nobody carries this run on (last word" in out
    assert "running, as far as is known" in out


def test_a_run_that_is_over_needs_no_cloud(begun: Begun, call: Call) -> None:
    """Nothing is left to ask for, so nothing is said about a missing key."""
    begun.with_job().gone().state("FAILED", "exit_code")
    data = told(call, "last")
    assert (False, "FAILED", "exit_code", True) == (
        data["goes_on"],
        data["state"],
        data["cause"],
        data["cloud_asked"],
    )
    out = call("status", STAMP)[1]
    assert "FAILED (exit_code)" in out
    assert "not asked" not in out
    assert "ends by" not in out


def test_pods_that_are_left_are_named_with_what_ends_them(begun: Begun, call: Call) -> None:
    """A kept pod goes on costing, and its results can be tried for again first."""
    begun.with_job().state("KEPT", "not_verified")
    data = told(call, "--offline")
    assert ("KEPT", ["pod1"]) == (data["state"], [pod["pod_id"] for pod in data["pods"]])
    where = RUNS / STAMP
    assert [f"runpod-deploy resume {where}", f"runpod-deploy cleanup {where}"] == data["next"]


def test_a_folder_of_an_earlier_release(project: Path, call: Call) -> None:
    """Without a journal the manifest says what there is to say."""
    folder = project / RUNS / STAMP
    folder.mkdir(parents=True)
    old = {**OURS, "state": None, "failed": True}
    (folder / "runpod_deploy_pull_manifest.json").write_text(json.dumps(old))
    data = told(call)
    assert ("FAILED", "new", False) == (data["state"], data["job_name"], data["goes_on"])
    assert 0 == call("status")[0]


def test_a_plan_that_cannot_be_read_hides_only_the_deadlines(begun: Begun, call: Call) -> None:
    """The rest comes from the journal; what is not known is said."""
    begun.with_job()
    (begun.path / "plan.json").write_text("{")
    assert told(call, "--offline")["cost_cap_usd"] is None
    assert "not known: plan.json cannot be read" in call("status", "--offline")[1]


def test_no_run_is_bad_input(project: Path, call: Call) -> None:
    """Exit status 4, and where it was looked for."""
    del project
    code, _, err = call("status")
    assert (4, True) == (code, "there is no run" in err)


def pod(pod_id: str) -> Pod:
    """Return a pod of the cloud."""
    return Pod(
        id=pod_id,
        name="rd-x",
        status="RUNNING",
        gpu=None,
        gpu_count=1,
        cloud=None,
        datacenter=None,
        cost=None,
        image=None,
        ssh=None,
    )


class Slow:
    """A cloud that never answers, or knows one pod."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs

    async def get(self, pod_id: str) -> Pod | None:
        """Return the one."""
        import asyncio  # noqa: PLC0415 - as the rest of the tests do without

        await asyncio.sleep(1e6 if self.hangs else 0)
        return pod(pod_id) if pod_id == "pod1" else None

    async def find(self, name: str) -> list[Pod]:
        """Return those of a name."""
        return [pod("found")] if name == "rd-lost" else []


def test_pods_are_looked_for_by_id_else_by_name() -> None:
    """A pod whose create call was never answered has a name only."""
    rows = [
        PodRecord(name="rd-x", gpu_id="", datacenter_id=None, cloud_type="", pod_id="pod1"),
        PodRecord(name="rd-y", gpu_id="", datacenter_id=None, cloud_type="", pod_id="gone"),
        PodRecord(name="rd-lost", gpu_id="", datacenter_id=None, cloud_type=""),
    ]
    seen = run_virtual(look_for(Slow(), rows))
    assert {"rd-x": "pod1", "rd-y": None, "rd-lost": "found"} == {
        name: found.id if found else None for name, found in seen.items()
    }
    with pytest.raises(Exception, match="did not answer within") as caught:
        run_virtual(look_for(Slow(hangs=True), rows))
    assert not isinstance(caught.value, Unreachable)
