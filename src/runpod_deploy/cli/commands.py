"""Which commands there are, in the order of the help, and where each is written."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command by its words, such as `plan diff`.

    Attributes:
        module: The module of this package that has it; imported only when the command is asked for.
        function: Its name there.
        examples: Shown at the end of its help.
    """

    name: str
    module: str
    function: str
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        name="init",
        module="init_command",
        function="init_command",
        examples=(
            "runpod-deploy init",
            "runpod-deploy init experiments --template train",
        ),
    ),
    Command(
        name="plan",
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
        module="plan_diff_command",
        function="plan_diff_command",
        examples=(
            "runpod-deploy plan diff old.json new.json",
            "runpod-deploy plan diff artifacts/runpod/20260514T021200Z plan.json --format markdown",
        ),
    ),
    Command(
        name="plan sign",
        module="sign_command",
        function="sign_command",
        examples=(
            "runpod-deploy plan sign plan.json",
            "runpod-deploy plan sign plan.json --key ~/.ssh/id_ed25519 --expires 2d",
        ),
    ),
    Command(
        name="plan verify",
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
        module="validate_command",
        function="validate_command",
        examples=(
            "runpod-deploy validate job.yaml",
            "runpod-deploy validate jobs/ --strict --format github",
        ),
    ),
    Command(
        name="estimate",
        module="estimate_command",
        function="estimate_command",
        examples=(
            "runpod-deploy estimate job.yaml",
            "runpod-deploy estimate job.yaml --cloud emulator --json",
        ),
    ),
    Command(
        name="gpu-list",
        module="catalog_commands",
        function="gpu_list_command",
        examples=("runpod-deploy gpu-list --datacenter EU-RO-1 --gpu-count 2",),
    ),
    Command(
        name="gpu-prices",
        module="catalog_commands",
        function="gpu_prices_command",
        examples=("runpod-deploy gpu-prices --cloud-type SECURE",),
    ),
    Command(
        name="gpu-inventory",
        module="catalog_commands",
        function="gpu_inventory_command",
        examples=(
            "runpod-deploy gpu-inventory job.yaml",
            "until runpod-deploy gpu-inventory job.yaml --refresh; do sleep 300; done",
        ),
    ),
    Command(
        name="schema",
        module="schema_command",
        function="schema_command",
        examples=("runpod-deploy schema job -o .runpod-deploy/job.schema.json",),
    ),
    Command(
        name="migrate",
        module="migrate_command",
        function="migrate_command",
        examples=(
            "runpod-deploy migrate old.yaml --diff",
            "runpod-deploy migrate old.yaml -o new.yaml",
        ),
    ),
    Command(
        name="apply",
        module="apply_commands",
        function="apply_command",
        examples=(
            "runpod-deploy apply job.yaml --cloud emulator",
            "runpod-deploy apply plan.json --yes",
        ),
    ),
    Command(
        name="run",
        module="apply_commands",
        function="run_command",
        examples=("runpod-deploy run -c job.yaml --var seed=8 --json > events.jsonl",),
    ),
    Command(
        name="status",
        module="status_command",
        function="status_command",
        examples=(
            "runpod-deploy status",
            "runpod-deploy status last --json | jq .state",
        ),
    ),
    Command(
        name="logs",
        module="logs_command",
        function="logs_command",
        examples=(
            "runpod-deploy logs -f",
            "runpod-deploy logs 20260514T120000Z -n 50",
        ),
    ),
    Command(
        name="resume",
        module="resume_commands",
        function="resume_command",
        examples=(
            "runpod-deploy resume last",
            "runpod-deploy resume 20260514T120000Z --json",
        ),
    ),
    Command(
        name="cancel",
        module="cancel_command",
        function="cancel_command",
        examples=(
            "runpod-deploy cancel last",
            "runpod-deploy cancel last --now",
        ),
    ),
    Command(
        name="attach",
        module="resume_commands",
        function="attach_command",
        examples=("runpod-deploy attach last",),
    ),
    Command(
        name="detach",
        module="resume_commands",
        function="detach_command",
        examples=("runpod-deploy detach last",),
    ),
    Command(
        name="ssh",
        module="ssh_command",
        function="ssh_command",
        examples=(
            "runpod-deploy ssh",
            "runpod-deploy ssh last -- nvidia-smi -l 5",
        ),
    ),
    Command(
        name="manifest-summary",
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
        module="runs_commands",
        function="ls_runs_command",
        examples=("runpod-deploy ls-runs --limit 5",),
    ),
    Command(
        name="compare-runs",
        module="runs_commands",
        function="compare_runs_command",
        examples=("runpod-deploy compare-runs 20260514T120000Z last",),
    ),
    Command(
        name="events",
        module="events_commands",
        function="events_command",
        examples=("runpod-deploy events last",),
    ),
    Command(
        name="events-query",
        module="events_commands",
        function="events_query_command",
        examples=(
            "runpod-deploy events-query --root . --filter event=candidate_refused --since 7d",
            "runpod-deploy events-query --filter event=gpu_selected --json | jq .gpu_id",
        ),
    ),
    Command(
        name="report",
        module="report_command",
        function="report_command",
        examples=(
            "runpod-deploy report last",
            "runpod-deploy report --root . -o runs.html",
        ),
    ),
    Command(
        name="reconcile",
        module="reconcile_command",
        function="reconcile_command",
        examples=(
            "runpod-deploy reconcile last",
            "runpod-deploy reconcile --root . --json",
        ),
    ),
    Command(
        name="reap",
        module="fleet_commands",
        function="reap_command",
        examples=(
            "runpod-deploy reap",
            "runpod-deploy reap --owner 1a2b3c4d --yes --json",
        ),
    ),
    Command(
        name="ls-stale",
        module="fleet_commands",
        function="ls_stale_command",
        examples=("runpod-deploy ls-stale --json",),
    ),
    Command(
        name="cleanup",
        module="fleet_commands",
        function="cleanup_command",
        examples=(
            "runpod-deploy cleanup artifacts/runpod/20260514T120000Z",
            "runpod-deploy cleanup --all-stopped --dry-run",
        ),
    ),
    Command(
        name="capture-env",
        module="capture_env_command",
        function="capture_env_command",
        examples=("runpod-deploy capture-env > environment.json",),
    ),
)

GROUPS = {
    "emulator": "emulator_commands",
    "export": "export_commands",
    "volume": "volume_commands",
}
"""Words with commands of their own below them, and the module that has them as `commands`."""


def asked_for(words: list[str]) -> str | None:
    """Return the first word of the command that a command line names; None when that is not plain."""
    word = words[0] if words else ""
    known = word in GROUPS or any(one.name.split(" ")[0] == word for one in COMMANDS)
    return word if known else None
