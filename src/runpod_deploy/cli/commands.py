"""Which commands there are, in the order of the help, and where each is written."""

from runpod_deploy.frozen import frozen


@frozen
class Command:
    """A command by its words, such as `plan diff`.

    Attributes:
        brief: What it does, in the list of all commands: one line of 80 columns there.
        module: The module of this package that has it; imported only when the command is asked for.
        function: Its name there.
        examples: Shown at the end of its help.
    """

    name: str
    brief: str
    module: str
    function: str
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        name="init",
        brief="Begin a job: a commented file, ready for an editor.",
        module="init_command",
        function="init_command",
        examples=(
            "runpod-deploy init",
            "runpod-deploy init experiments --template train",
        ),
    ),
    Command(
        name="plan",
        brief="Show everything that would be done, and do none of it.",
        module="plan_command",
        function="plan_command",
        examples=(
            "runpod-deploy plan job.yaml",
            "runpod-deploy plan job.yaml --live",
            "runpod-deploy plan job.yaml --var seed=8 -o plan.json",
            "runpod-deploy plan plan.json --scripts",
            "runpod-deploy plan job.yaml --against main",
        ),
    ),
    Command(
        name="plan diff",
        brief="Show in what two plans differ.",
        module="plan_diff_command",
        function="plan_diff_command",
        examples=(
            "runpod-deploy plan diff old.json new.json",
            "runpod-deploy plan diff artifacts/runpod/20260514T021200Z plan.json --format markdown",
        ),
    ),
    Command(
        name="plan sign",
        brief="Approve a saved plan with an SSH key.",
        module="sign_command",
        function="sign_command",
        examples=(
            "runpod-deploy plan sign plan.json",
            "runpod-deploy plan sign plan.json --key ~/.ssh/id_ed25519 --expires 2d",
        ),
    ),
    Command(
        name="plan verify",
        brief="Compile a saved plan again from its commit.",
        module="verify_command",
        function="verify_command",
        examples=(
            "runpod-deploy plan verify plan.json",
            "runpod-deploy plan verify plan.json --project ~/clone --json",
            "runpod-deploy plan verify artifacts/runpod/20260514T021200Z",
        ),
    ),
    Command(
        name="validate",
        brief="Check job files: what is wrong, with its place.",
        module="validate_command",
        function="validate_command",
        examples=(
            "runpod-deploy validate job.yaml",
            "runpod-deploy validate jobs/ --strict --format github",
        ),
    ),
    Command(
        name="estimate",
        brief="Show what a run would cost.",
        module="estimate_command",
        function="estimate_command",
        examples=(
            "runpod-deploy estimate job.yaml",
            "runpod-deploy estimate job.yaml --cloud emulator --json",
        ),
    ),
    Command(
        name="gpu-list",
        brief="List GPU types with memory, price and stock.",
        module="catalog_commands",
        function="gpu_list_command",
        examples=(
            "runpod-deploy gpu-list",
            "runpod-deploy gpu-list H100 --datacenter EU-RO-1 --gpu-count 2",
        ),
    ),
    Command(
        name="gpu-prices",
        brief="List prices of one GPU, the cheapest first.",
        module="catalog_commands",
        function="gpu_prices_command",
        examples=(
            "runpod-deploy gpu-prices --cloud-type SECURE",
            "runpod-deploy gpu-prices RTX4090",
        ),
    ),
    Command(
        name="gpu-inventory",
        brief="Show which candidates of a job are free now.",
        module="catalog_commands",
        function="gpu_inventory_command",
        examples=(
            "runpod-deploy gpu-inventory job.yaml",
            "until runpod-deploy gpu-inventory job.yaml --refresh; do sleep 300; done",
        ),
    ),
    Command(
        name="schema",
        brief="Print a JSON Schema, for editors and programs.",
        module="schema_command",
        function="schema_command",
        examples=("runpod-deploy schema job -o .runpod-deploy/job.schema.json",),
    ),
    Command(
        name="migrate",
        brief="Write a version 2 job file in version 3.",
        module="migrate_command",
        function="migrate_command",
        examples=(
            "runpod-deploy migrate old.yaml --diff",
            "runpod-deploy migrate old.yaml -o new.yaml",
        ),
    ),
    Command(
        name="apply",
        brief="Carry out a saved plan or a job file, after a yes.",
        module="apply_commands",
        function="apply_command",
        examples=(
            "runpod-deploy apply job.yaml --cloud emulator",
            "runpod-deploy apply plan.json --yes",
        ),
    ),
    Command(
        name="run",
        brief="Plan a job file and carry it out without a question.",
        module="apply_commands",
        function="run_command",
        examples=("runpod-deploy run -c job.yaml --var seed=8 --json > events.jsonl",),
    ),
    Command(
        name="status",
        brief="Tell where a run stands, and what it costs.",
        module="status_command",
        function="status_command",
        examples=(
            "runpod-deploy status",
            "runpod-deploy status last --json | jq .state",
        ),
    ),
    Command(
        name="logs",
        brief="Print a run's log, also while it runs.",
        module="logs_command",
        function="logs_command",
        examples=(
            "runpod-deploy logs -f",
            "runpod-deploy logs 20260514T120000Z -n 50",
        ),
    ),
    Command(
        name="resume",
        brief="Carry on a run that was killed or detached from.",
        module="resume_commands",
        function="resume_command",
        examples=(
            "runpod-deploy resume last",
            "runpod-deploy resume 20260514T120000Z --json",
        ),
    ),
    Command(
        name="cancel",
        brief="End a run from elsewhere; twice, at once.",
        module="cancel_command",
        function="cancel_command",
        examples=(
            "runpod-deploy cancel last",
            "runpod-deploy cancel last --now",
        ),
    ),
    Command(
        name="attach",
        brief="Watch a run again.",
        module="resume_commands",
        function="attach_command",
        examples=("runpod-deploy attach last",),
    ),
    Command(
        name="detach",
        brief="Leave a job alone on its pod.",
        module="resume_commands",
        function="detach_command",
        examples=("runpod-deploy detach last",),
    ),
    Command(
        name="ssh",
        brief="Log in to the pod of a run.",
        module="ssh_command",
        function="ssh_command",
        examples=(
            "runpod-deploy ssh",
            "runpod-deploy ssh last -- nvidia-smi -l 5",
        ),
    ),
    Command(
        name="manifest-summary",
        brief="Tell how a run ended and what came back.",
        module="manifest_summary_command",
        function="manifest_summary_command",
        examples=(
            "runpod-deploy manifest-summary last",
            "runpod-deploy manifest-summary artifacts/runpod/20260514T120000Z && make plots",
            "runpod-deploy manifest-summary --root .",
        ),
    ),
    Command(
        name="ls-runs",
        brief="List runs, the newest last.",
        module="runs_commands",
        function="ls_runs_command",
        examples=("runpod-deploy ls-runs --limit 5",),
    ),
    Command(
        name="compare-runs",
        brief="Show what differed between two runs.",
        module="runs_commands",
        function="compare_runs_command",
        examples=("runpod-deploy compare-runs 20260514T120000Z last",),
    ),
    Command(
        name="events",
        brief="Tell what happened in a run, event by event.",
        module="events_commands",
        function="events_command",
        examples=("runpod-deploy events last",),
    ),
    Command(
        name="events-query",
        brief="Search the events of all runs.",
        module="events_commands",
        function="events_query_command",
        examples=(
            "runpod-deploy events-query --root . --filter event=candidate_refused --since 7d",
            "runpod-deploy events-query --filter event=gpu_selected --json | jq .gpu_id",
        ),
    ),
    Command(
        name="report",
        brief="Write a page about a run, or about all of them.",
        module="report_command",
        function="report_command",
        examples=(
            "runpod-deploy report last",
            "runpod-deploy report --root . -o runs.html",
        ),
    ),
    Command(
        name="reconcile",
        brief="Compare planned, accrued and billed cost.",
        module="reconcile_command",
        function="reconcile_command",
        examples=(
            "runpod-deploy reconcile last",
            "runpod-deploy reconcile --root . --json",
        ),
    ),
    Command(
        name="reap",
        brief="List or delete your pods that nobody wants any more.",
        module="fleet_commands",
        function="reap_command",
        examples=(
            "runpod-deploy reap",
            "runpod-deploy reap --owner 1a2b3c4d --yes --json",
        ),
    ),
    Command(
        name="ls-stale",
        brief="List your stopped pods, whose disks go on costing.",
        module="fleet_commands",
        function="ls_stale_command",
        examples=("runpod-deploy ls-stale --json",),
    ),
    Command(
        name="cleanup",
        brief="Stop or delete pods of yours that are left.",
        module="fleet_commands",
        function="cleanup_command",
        examples=(
            "runpod-deploy cleanup artifacts/runpod/20260514T120000Z",
            "runpod-deploy cleanup --all-stopped --dry-run",
        ),
    ),
    Command(
        name="capture-env",
        brief="Print commit, branch and lock file as JSON.",
        module="capture_env_command",
        function="capture_env_command",
        examples=("runpod-deploy capture-env > environment.json",),
    ),
)

GROUPS = {
    "emulator": ("emulator_commands", "A small RunPod on this machine, to rehearse on."),
    "export": ("export_commands", "Write a job in the form of another tool."),
    "volume": ("volume_commands", "The account's network volumes."),
}
"""Words with commands of their own below them: the module that has them as `commands`, and what they
are about."""


def asked_for(words: list[str]) -> str | None:
    """Return the first word of the command that a command line names; None when that is not plain."""
    word = words[0] if words else ""
    known = word in GROUPS or any(one.name.split(" ")[0] == word for one in COMMANDS)
    return word if known else None
