"""A pod that cannot be ended: said loudest, found again, and ended once the cloud lets it."""

import json
import subprocess
import sys

import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

# The command as it is, but for the three minutes that it goes on asking.
IMPATIENT = """\
import runpod_deploy.executor.releasing as releasing
releasing.CONFIRM_WITHIN_SEC = 4.0
from runpod_deploy.cli.app import run
run()
"""


def impatient(bench: Bench, *args: str) -> tuple[int, str]:
    """Run a command that gives up on a pod after seconds."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, *args],
        cwd=bench.project,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("fault", ["delete-fails:times=100000", "delete-lies:times=100000"])
def test_a_pod_that_is_never_confirmed_gone_is_a_leak(bench: Bench, fault: str) -> None:
    """Exit status 7, pod and command named, in the manifest; `cancel` ends it as soon as that works."""
    bench.emulator(fault)
    bench.job(run={"body": "echo done\n"})
    code, output = impatient(bench, "run", "--cloud", "emulator", "job.yaml")
    manifest = bench.manifest()
    (pod,) = bench.pods()

    assert code == 7, output
    assert f"LEAKED: pod {pod['id']} may still be running" in output
    assert f"runpod-deploy cleanup {pod['id']} --cloud emulator" in output
    assert (manifest["state"], manifest["failed"]) == ("LEAKED", True)
    assert manifest["leaked_pod_ids"] == [pod["id"]]
    assert manifest["exit_code"] == 0
    code, output = bench.run("status", "--json")
    told = json.loads(output)
    assert (code, told["state"], told["pods"][0]["cloud_status"]) == (0, "LEAKED", "RUNNING")
    assert impatient(bench, "cancel", "last")[0] == 7
    assert [one["id"] for one in bench.pods()] == [pod["id"]]

    info = client.find(bench.env)
    assert info is not None
    client.clear_faults(info)
    code, output = bench.run("cancel", "last")
    assert (code, bench.pods()) == (0, []), output
    assert bench.manifest()["leaked_pod_ids"] == []
