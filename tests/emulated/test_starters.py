"""What `init` writes, carried out on the emulator as a newcomer would: untouched."""

import json

import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated
DELIVERED = {
    "hello": {"hello/gpu.txt"},
    "train": {"out/metrics.jsonl", "out/model.json"},
    "eval": {"report/scores.json"},
    "cluster": {"out/rank-0.json"},
    "volume": {"out/summary.json"},
}


def results(bench: Bench) -> set[str]:
    """Return the files of the last run's artifacts."""
    run = bench.last_run()
    labels = [artifact["label"] for artifact in bench.manifest()["artifacts"]]
    files = [path for label in labels for path in (run / label).rglob("*") if path.is_file()]
    return {path.relative_to(run).as_posix() for path in files}


@pytest.mark.parametrize("template", DELIVERED)
def test_an_untouched_starter_runs_to_its_results(bench: Bench, template: str) -> None:
    """Init, apply, and the results are there, verified, with the pod gone."""
    bench.emulator()
    if template == "volume":
        info = client.find(bench.env)
        assert info is not None
        created = {"name": "datasets", "size": 10, "dataCenter": "EU-RO-1"}
        post(info.url, info.api_key, created)
    assert 0 == bench.run("init", "--template", template)[0]

    status, output = bench.run("apply", "job.yaml", "--cloud", "emulator", "--yes")

    assert 0 == status, output
    assert DELIVERED[template] == results(bench)
    assert [] == bench.pods()


def test_a_saved_plan_of_a_starter_applies(bench: Bench) -> None:
    """`--var` reaches the program, and the plan file in the folder does not make itself stale."""
    bench.run("init", "--template", "eval")
    bench.run("plan", "job.yaml", "--var", "model=me/mine", "-o", "plan.json")

    status, output = bench.run("apply", "plan.json", "--cloud", "emulator", "--yes")

    assert 0 == status, output
    scores = json.loads((bench.last_run() / "report" / "scores.json").read_text())
    assert "me/mine" == scores["model"]


def test_the_sweep_runs_every_combination(bench: Bench) -> None:
    """Init and apply: each combination that is not excluded has a run folder with its result."""
    bench.run("init", "--template", "sweep")

    status, output = bench.run("apply", "job.yaml", "--cloud", "emulator", "--yes", timeout=240)

    assert 0 == status, output
    results = [json.loads((run / "out" / "result.json").read_text()) for run in bench.runs()]
    assert {(1, 0.01), (1, 0.001), (2, 0.01), (2, 0.001), (3, 0.01)} == {
        (result["seed"], result["lr"]) for result in results
    }
    assert [] == bench.pods()


def post(url: str, key: str, body: object) -> None:
    """Create a network volume in the emulator."""
    import httpx  # noqa: PLC0415 - one test needs it

    answer = httpx.post(
        f"{url}/v2/network-volumes", json=body, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.is_success, answer.text
