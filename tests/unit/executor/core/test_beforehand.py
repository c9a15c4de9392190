"""What is missing is told before a saved plan is used up, and in one line that is kept."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PlanNotify
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.executor import notifying
from runpod_deploy.executor.applied import Applied
from runpod_deploy.executor.beforehand import Here, missing, refuse_unready
from runpod_deploy.executor.concluding import carry_out
from runpod_deploy.executor.run import Saved, Target, execute
from runpod_deploy.executor.single_use import give_back_unused, refuse_used
from runpod_deploy.executor.sweep_run import SweepWishes, execute_sweep
from runpod_deploy.facts.plan_job import plan_job
from runpod_deploy.facts.plan_sweep import plan_sweep
from runpod_deploy.record.run import Run, StepRecord
from runpod_deploy.record.run_folder import claim_plan, note_plan_use, plan_uses
from runpod_deploy.schema.load import load
from support.fakes import run_virtual
from support.plans import secret, small_plan
from support.rig import RigMaker

JOB = """\
schema_version: 3
name: small
pod: {image: "runpod/base:1.0.2-ubuntu2204", gpu_order: [NVIDIA L4]}
secrets: [{name: hf, env: [HF_TOKEN], destination: /root/hf}]
run: {body: "echo hi"}
"""
TARGET = Target(label="runpod", api_url="https://127.0.0.1:9/v2", api_key="k")


def test_a_saved_plan_without_its_secret_is_refused_and_stays_unused(tmp_path: Path) -> None:
    """The variable and what to do are told; neither a claim nor a run folder is made."""
    job = tmp_path / "job.yaml"
    job.write_text(JOB)
    plan_file, _ = plan_job(load(job), plan_id="ab12", use_cache=False)
    work = execute(
        plan_file, project_root=tmp_path, target=TARGET, environ={}, saved=Saved(file="p.json")
    )
    with pytest.raises(InvalidInput, match="HF_TOKEN") as caught:
        asyncio.run(work)

    assert "export HF_TOKEN=…" in (caught.value.diagnostics[0].help or "")
    assert not (tmp_path / "artifacts").exists()


def test_a_saved_sweep_without_its_secret_is_refused_and_stays_unused(tmp_path: Path) -> None:
    """What all its runs lack is told once."""
    job = tmp_path / "job.yaml"
    job.write_text(JOB + 'matrix: {axes: {seed: ["1", "2"]}}\n')
    sweep, _ = plan_sweep(load(job), new_id=lambda: "0" * 32, use_cache=False)
    wishes = SweepWishes(saved=True)
    work = execute_sweep(sweep, project_root=tmp_path, target=TARGET, environ={}, wishes=wishes)
    with pytest.raises(InvalidInput) as caught:
        asyncio.run(work)

    assert 1 == len(caught.value.diagnostics) == caught.value.message.count("HF_TOKEN")
    assert not (tmp_path / "artifacts").exists()


def test_a_used_plan_is_told_by_the_name_of_its_file(tmp_path: Path) -> None:
    """The command to apply it once more can be copied."""
    refuse_used("ab12", tmp_path, file="my plan.json")
    assert not (tmp_path / "artifacts").exists()
    claim_plan(tmp_path, "ab12", "10:00")
    with pytest.raises(PlanRefused) as caught:
        refuse_used("ab12", tmp_path, file="my plan.json")
    assert "runpod-deploy apply 'my plan.json' --again" in (caught.value.help or "")


def test_only_a_run_that_ended_in_its_first_step_gives_the_plan_back(tmp_path: Path) -> None:
    """Once a pod may have been asked for, or the plan was used again, it stays used."""
    folder = tmp_path / "artifacts/runpod/one"
    claim_plan(tmp_path, "ab12", "10:00")
    note_plan_use(tmp_path, "ab12", "10:00", folder)
    checked = StepRecord(name="check", state="failed")
    rented = Run(steps=(checked, StepRecord(name="provision", state="failed")))

    give_back_unused("ab12", tmp_path, rented, folder)
    assert 1 == len(plan_uses(tmp_path, "ab12"))
    give_back_unused("ab12", tmp_path, Run(steps=(checked,)), folder)
    assert () == plan_uses(tmp_path, "ab12")

    claim_plan(tmp_path, "ab12", "11:00")
    for name in ("two", "three"):
        note_plan_use(tmp_path, "ab12", "11:00", folder.with_name(name))
    give_back_unused("ab12", tmp_path, Run(steps=(checked,)), folder.with_name("three"))
    assert 2 == len(plan_uses(tmp_path, "ab12"))


def test_all_that_is_missing_stands_in_journal_and_manifest(make_rig: RigMaker) -> None:
    """A reader of the run folder learns which secret and path, and no name of a class."""
    plan = replace(small_plan(), secrets=(secret(),), required_paths=("weights",))
    rig = make_rig(plan)
    carried = carry_out(rig.ctx, rig.interrupts, Applied(), None)
    outcome = run_virtual(carried, rig.clock.monotonic())

    assert ("FAILED", "invalid_input") == (outcome.run.state, outcome.run.cause)
    text = outcome.manifest["failure"]["text"]
    assert "local.required_paths names 'weights'" in text
    assert "the environment variable HF_TOKEN" in text
    assert text == rig.one("step_failed")["error"]
    assert "InvalidInput" not in (rig.ctx.folder.path / "events.jsonl").read_text()
    assert "InvalidInput" not in json.dumps(dict(outcome.manifest))


def test_a_missing_webhook_is_told_once(make_rig: RigMaker) -> None:
    """As why the run cannot start, not as a warning of its end beside it."""
    notify = PlanNotify(webhook_env="HOOK", webhook_file=None, command=None, on=("failed",))
    rig = make_rig(replace(small_plan(), notify=notify))
    carried = carry_out(rig.ctx, rig.interrupts, Applied(), None)
    outcome = run_virtual(carried, rig.clock.monotonic())

    assert "variable HOOK" in outcome.manifest["failure"]["text"]
    assert ["failed"] == [one["outcome"] for one in rig.events if one.event == "notified"]
    assert not [one for one in rig.events if one.event == "warning"]
    assert () == notifying.untold(notify, outcome.run.state, rig.events)


def test_the_look_before_a_question_runs_nothing(tmp_path: Path) -> None:
    """Commands of secrets wait for a yes; without leave they are told when it is applied."""
    plan = replace(small_plan(), secrets=(secret(env=(), command="pass show hub"),))
    here = Here(project_root=tmp_path, environ={})
    assert () == missing(plan, here)
    with pytest.raises(InvalidInput, match="nobody allowed"):
        asyncio.run(refuse_unready([plan], here))
