"""`--policy` of `plan`, `validate`, `apply` and `run`: what is refused, how it is told, and who is asked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.executor.ports import GpuOffer
from support.fakes import FakeClock, FakeCloud

Call = Callable[..., tuple[int, str, str]]
LOOSE = "policy_version: 1\nrules:\n  max_cost_cap_usd: 25\n"
STRICT = "policy_version: 1\nrules:\n  max_cost_cap_usd: 0.1\n  allowed_gpus: [NVIDIA A40]\n"
PRICED = "policy_version: 1\nrules:\n  max_price_per_hour_usd: 1\n"
BROKEN = ["policy-max-cost-cap-usd", "policy-allowed-gpus"]


@pytest.fixture(autouse=True)
def policies(project: Path) -> None:
    """Three policies beside the job file."""
    for name, text in (("loose", LOOSE), ("strict", STRICT), ("priced", PRICED)):
        (project / f"{name}.yaml").write_text(text)


@pytest.fixture
def cloud(project: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """A cloud in memory whose one GPU has no price, and a key."""
    row = GpuOffer(
        id="NVIDIA L4",
        memory_gb=24,
        secure_price=None,
        community_price=None,
        stock={"SECURE": {"": "HIGH"}},
    )
    made = FakeCloud(FakeClock(), offers=[row])
    monkeypatch.setattr("runpod_deploy.cli.market.RunPodCloud", lambda *_: made)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRET")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    return made


def test_a_plan_that_keeps_the_policy_is_saved(project: Path, call: Call) -> None:
    """It ends with 0, says so, and writes the file."""
    status, _, err = call("plan", "job.yaml", "--policy", "loose.yaml", "-o", "plan.json")

    assert 0 == status
    assert "Policy kept: loose.yaml." in err
    assert (project / "plan.json").exists()


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_the_runs_of_a_sweep_are_judged_together(project: Path, call: Call, command: str) -> None:
    """Three runs of $0.25 are more than $0.60, told once; a cap of the sweep keeps the rule."""
    job = project / "job.yaml"
    text = job.read_text() + 'matrix:\n  axes:\n    seed: ["1", "2", "3"]\n'
    job.write_text(text)
    (project / "sweeps.yaml").write_text("policy_version: 1\nrules:\n  max_sweep_cap_usd: 0.6\n")
    status, out, err = call(command, "job.yaml", "--policy", "sweeps.yaml")
    said = " ".join((out + err).split())
    assert (6, 1) == (status, said.count("the caps of the runs come to $0.75"))
    job.write_text(text.replace("budget:", "budget:\n  sweep_cap_usd: 0.5"))
    assert 0 == call(command, "job.yaml", "--policy", "sweeps.yaml")[0]


def test_a_plan_against_the_policy_is_shown_and_not_saved(project: Path, call: Call) -> None:
    """The plan is there to be read, each broken rule is told with its place, and the status is 6."""
    status, out, err = call("plan", "job.yaml", "--policy", "strict.yaml", "-o", "plan.json")

    assert 6 == status
    assert "NVIDIA L4" in out
    assert "--> strict.yaml:3:3" in err
    assert "--> strict.yaml:4:3" in err
    assert "breaks 2 rules of the policy, and plan.json was not written" in err
    assert not (project / "plan.json").exists()


def test_all_policies_must_be_kept(call: Call) -> None:
    """With several files, one that is broken is enough."""
    assert 6 == call("plan", "job.yaml", "--policy", "loose.yaml", "--policy", "strict.yaml")[0]


def test_the_json_of_a_refused_plan_is_the_plan(call: Call) -> None:
    """Programs read the whole plan from stdout; what is wrong with it is on stderr."""
    status, out, _ = call("plan", "job.yaml", "--policy", "strict.yaml", "--format", "json")

    assert 6 == status
    assert "runpod-deploy.plan/1" == json.loads(out)["format"]


def test_a_saved_plan_is_judged(call: Call) -> None:
    """A policy counts for a plan from a file as for one of a job file."""
    assert 0 == call("plan", "job.yaml", "-o", "plan.json")[0]

    status, _, err = call("plan", "plan.json", "--policy", "strict.yaml")

    assert 6 == status
    assert "In the plan of plan.json, `budget.cost_cap_usd` is 0.25." in " ".join(err.split())


def test_a_policy_that_is_wrong_is_told_before_anything_else(call: Call) -> None:
    """A mistake in the policy is a usage error with its place, in every command."""
    Path("wrong.yaml").write_text("policy_version: 1\nrules: {max_cost: 1}\n")
    for command in (("plan", "job.yaml"), ("validate", "job.yaml"), ("run", "job.yaml")):
        status, out, err = call(*command, "--policy", "wrong.yaml")
        assert (4, "") == (status, out)
        assert "wrong.yaml:2:9" in err


@pytest.mark.parametrize("how", ["text", "json", "github", "sarif"])
def test_validate_tells_broken_rules_in_every_format(call: Call, how: str) -> None:
    """Each broken rule is a finding at its place in the policy; the exit status is 6."""
    status, out, err = call("validate", "job.yaml", "--policy", "strict.yaml", "--format", how)

    assert 6 == status
    if how == "text":
        assert "" == out
        assert "--> strict.yaml:3:3" in err
    elif how == "json":
        (file,) = json.loads(out)["files"]
        assert file["ok"] is False
        assert BROKEN == [one["code"] for one in file["diagnostics"]]
        assert [3, 4] == [one["line"] for one in file["diagnostics"]]
    elif how == "github":
        assert 2 == out.count("::error col=3,file=strict.yaml,line=")
    else:
        (run,) = json.loads(out)["runs"]
        places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
        assert sorted(BROKEN) == sorted(one["ruleId"] for one in run["results"])
        assert {"strict.yaml"} == {one["artifactLocation"]["uri"] for one in places}


def test_a_job_file_that_is_wrong_outranks_the_policy(call: Call) -> None:
    """One file that cannot be planned makes the status 4, whatever else is refused."""
    Path("bad.yaml").write_text("schema_version: 3\n")

    assert 4 == call("validate", "bad.yaml", "job.yaml", "--policy", "strict.yaml")[0]
    assert 0 == call("validate", "job.yaml", "--policy", "loose.yaml")[0]


def test_an_unknown_price_fails_a_price_rule(cloud: FakeCloud, call: Call) -> None:
    """Offline no price is known, and with --live the catalog has none: both are refused."""
    offline, _, err = call("plan", "job.yaml", "--policy", "priced.yaml")
    assert 6 == offline
    assert "nobody was asked for prices" in " ".join(err.split())
    assert [] == cloud.asked

    live, _, err = call("plan", "job.yaml", "--policy", "priced.yaml", "--live")
    assert 6 == live
    assert "is not known" in err


@pytest.mark.parametrize("command", [("apply", "--yes"), ("run",)])
def test_nothing_is_applied_against_the_policy(
    call: Call, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor is not reached, and no emulator is started for it."""
    monkeypatch.setattr("runpod_deploy.cli.applying.apply", None)
    monkeypatch.setattr("runpod_deploy.cli.target.emulator_target", None)

    status, out, err = call(*command, "job.yaml", "--cloud", "emulator", "--policy", "strict.yaml")

    assert (6, "") == (status, out)
    assert "breaks 2 rules of the policy, and nothing was done" in err


@pytest.mark.usefixtures("cloud")
def test_prices_in_a_saved_plan_are_not_believed_by_apply(call: Call, project: Path) -> None:
    """What was seen is no part of the hash: apply asks the catalog itself, before anything else."""
    assert 0 == call("plan", "job.yaml", "--live", "-o", "plan.json")[0]
    saved = json.loads((project / "plan.json").read_text())
    (candidate,) = saved["observed"]["catalog"]["candidates"]
    candidate |= {"price_per_gpu_hour_usd": 0.01, "price_per_hour_usd": 0.01}
    (project / "plan.json").write_text(json.dumps(saved))
    assert 0 == call("plan", "plan.json", "--policy", "priced.yaml")[0]

    status, _, err = call("apply", "plan.json", "--policy", "priced.yaml", "--yes")

    assert 6 == status
    assert "is not known" in err
