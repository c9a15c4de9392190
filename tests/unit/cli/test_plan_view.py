"""How a plan looks on a terminal."""

from dataclasses import replace
from pathlib import Path

from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.plan_view import render_plan
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.plan import Candidate, PlanFile, PlanForward, PlanNotify

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Style(color=False)


def test_the_whole_plan_reads_as_agreed(sample: PlanFile) -> None:
    """Without colour, at 80 columns, the view is exactly the golden text."""
    assert (GOLDEN / "plan.txt").read_text() == render_plan(sample, PLAIN, width=80) + "\n"


def test_no_line_is_longer_than_the_terminal(sample: PlanFile) -> None:
    """Eighty columns are enough for a plan of ordinary names."""
    lines = render_plan(sample, PLAIN, width=80).splitlines()
    assert [] == [line for line in lines if cells(line) > 80]


def test_scripts_are_shown_in_full_when_asked_for(sample: PlanFile) -> None:
    """Every line of every script, and its whole digest, take the table's place."""
    view = render_plan(sample, PLAIN, width=80, scripts=True)
    assert "│ echo one\n│ echo two" in view
    assert sample.plan.script("run").sha256 in view
    assert "sha256\n" not in view


def test_a_pod_that_is_kept_says_what_becomes_of_it(sample: PlanFile) -> None:
    """What the next run will do with it, where it is remembered, and what it costs while it is stopped."""
    lifecycle = replace(sample.plan.lifecycle, on_success="recycle", state_file="pods.json")
    storage = replace(sample.plan.storage, mode="ephemeral", mount="/workspace", volume_gb=20)
    plan = replace(sample.plan, lifecycle=lifecycle, storage=storage)
    view = " ".join(render_plan(replace(sample, plan=plan), PLAIN, width=80).split())

    assert "on success stop the pod and keep it, in pods.json the next run starts it again" in view
    assert "while it is stopped it costs $0.13 a day for its disk" in view


def test_a_volume_that_may_be_made_shows_what_it_costs(sample: PlanFile) -> None:
    """Its price goes on after the run, and no cap of a run ends it."""
    storage = replace(
        sample.plan.storage,
        mode="network_volume",
        mount="/workspace",
        volume_name="data",
        volume_gb=50,
    )
    plan = replace(sample.plan, storage=storage)
    view = " ".join(render_plan(replace(sample, plan=plan), PLAIN, width=80).split())
    assert "made with 50 GB if there is none, for $3.50 a month until it is removed" in view


def test_what_nobody_wrote_is_dimmed(sample: PlanFile) -> None:
    """On a colour terminal a default is dim, and a value of the job is not."""
    lines = render_plan(sample, Style(color=True), width=80).splitlines()
    assert next(line for line in lines if "container disk" in line).startswith("\x1b[2m")
    assert "\x1b" not in next(line for line in lines if "price at most" in line)


def test_hostile_names_cannot_reach_the_terminal(sample: PlanFile) -> None:
    """Control characters and cursor sequences of any text show as escapes."""
    hostile = "a\x1b]0;owned\x07\x9b2J\u202eb"
    job = replace(sample.plan.job, name=hostile, variables={"seed": hostile})
    pod = replace(sample.plan.pod, image=hostile, env={"X": hostile})
    plan = replace(
        sample.plan,
        job=job,
        pod=pod,
        candidates=(Candidate(gpu=hostile, datacenter=hostile, cloud="SECURE"),),
        scripts=tuple(replace(one, name=hostile, text=hostile) for one in sample.plan.scripts),
        secrets=tuple(replace(one, name=hostile) for one in sample.plan.secrets),
        artifacts=tuple(replace(one, remote_path=hostile) for one in sample.plan.artifacts),
        staging=tuple(
            replace(one, source=hostile, excludes=(hostile,)) for one in sample.plan.staging
        ),
    )
    for scripts in (False, True):
        view = render_plan(replace(sample, plan=plan), PLAIN, width=80, scripts=scripts)
        assert {"\n"} >= {one for one in view if not one.isprintable()}


def test_a_long_ring_is_cut_and_counted(sample: PlanFile) -> None:
    """Beyond thirty candidates only their number is told."""
    ring = tuple(
        Candidate(gpu=f"GPU {number}", datacenter=None, cloud="SECURE") for number in range(40)
    )
    view = render_plan(replace(sample, plan=replace(sample.plan, candidates=ring)), PLAIN, width=80)
    assert "Candidates (40)" in view
    assert "… and 10 more" in view


def test_who_is_told_what_ends_it_and_what_leads_there_is_in_the_view(sample: PlanFile) -> None:
    """A command word for word, a webhook by the place of its address, and which ends."""
    notify = PlanNotify(
        webhook_env="HOOK", webhook_file=None, command="tell '@@rd:run_id@@'", on=("failed", "kept")
    )
    budget = replace(sample.plan.budget, idle_gpu_minutes=15.0)
    ports = (PlanForward(local=8080, pod=8888),)
    plan = replace(sample.plan, notify=notify, budget=budget, forward=ports)
    view = " ".join(render_plan(replace(sample, plan=plan), PLAIN, width=80).split())
    assert "idle at most 15 min in which no GPU does anything, then the job is ended" in view
    assert "127.0.0.1:8080 here leads to port 8888 of the pod while it is watched" in view
    assert "tell the webhook in env HOOK of the ends failed, kept" in view
    assert "command tell '<run_id>' of the ends failed, kept" in view
