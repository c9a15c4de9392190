"""The 36 defects of release 0.8.4 of the predecessor, and where it is held that we have none of them.

Tests are named by file and function below `tests/`; a case of a table stands behind them in brackets.
Where a defect cannot exist here, or what would have it is not there yet, the row says why.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Defect:
    """One row: what was wrong, the tests that hold it, or why there is none."""

    number: int
    what: str
    tests: tuple[str, ...] = ()
    why_none: str | None = None


APPLY = "emulated/test_apply.py"
CAPACITY = "emulated/test_capacity.py"
VERSION_2 = "emulated/test_version_2_files.py"
DEFECTS_RUN = "emulated/test_predecessor_defects.py"
CANCELLATION = "unit/executor/core/test_cancellation.py"
CANDIDATES = "unit/executor/core/test_candidates.py"
CREATION = "unit/executor/core/test_creation.py"
ENGINE = "unit/executor/core/test_engine.py"
FOLLOW = "unit/executor/core/test_follow.py"
MONEY = "unit/executor/core/test_money.py"
OUTCOMES = "unit/executor/core/test_outcomes.py"
PREDECESSOR_DEFECTS = "unit/executor/core/test_predecessor_defects.py"
RELEASE = "unit/executor/core/test_release.py"
TELEMETRY = "unit/executor/core/test_telemetry.py"
GOLDEN = "golden/test_golden_cases.py::test_refused_with_these_words"

DEFECTS = (
    Defect(
        1,
        "Ctrl-C was taken for a success",
        (
            "emulated/test_interrupt.py::test_interrupt_leaves_no_pod_and_a_true_manifest",
            f"{CANCELLATION}::test_first_request_stops_the_run_and_saves_what_there_is",
        ),
    ),
    Defect(
        2,
        "Ctrl-C while waiting for SSH left the pod",
        (f"{CANCELLATION}::test_cancelled_at_any_call_nothing_is_left",),
    ),
    Defect(
        3,
        "an error between the pod's creation and the run's start left the pod",
        (
            f"{DEFECTS_RUN}::test_defect_3_a_run_folder_that_cannot_be_made_costs_no_pod",
            f"{ENGINE}::test_journal_that_breaks_at_any_event_still_releases_the_pod",
        ),
    ),
    Defect(
        4,
        "runs of one second shared a folder",
        ("unit/record/test_files.py::test_twenty_runs_of_one_second_have_twenty_folders",),
    ),
    Defect(
        5,
        "templating ate the shell's braces, after the pod was paid for",
        (
            f"{GOLDEN}[v2-unknown-names]",
            "property/test_version_2_properties.py::test_placeholders_mean_what_they_meant",
            "unit/compiler/test_resolve.py::test_hostile_shell_text_passes",
        ),
    ),
    Defect(
        6,
        "a line `BASH` in the body cut the script in two",
        ("emulated/test_fidelity.py::test_shell_text_reaches_the_pod_untouched",),
    ),
    Defect(
        7,
        "without failure markers success was never seen",
        (f"{VERSION_2}::test_smoke_brings_its_results_into_the_run_folder",),
    ),
    Defect(
        8,
        "text in the log decided about success, and nobody saw that the job had died",
        (
            f"{OUTCOMES}::test_outcome_table",
            f"{APPLY}::test_success_marker_before_a_crash_is_a_failure",
            "interop/test_supervisor.py::test_supervisor_that_is_killed_is_lost",
        ),
    ),
    Defect(
        9,
        "of several ports the last one won, and SSH was dropped",
        (f"{PREDECESSOR_DEFECTS}::test_defect_9_every_port_is_asked_for",),
    ),
    Defect(
        10,
        "spot, vCPUs and memory were asked for and silently not had",
        (f"{GOLDEN}[v2-unknown-keys]", f"{GOLDEN}[keys_the_cloud_cannot_do]"),
    ),
    Defect(
        11,
        "the cap was time at an assumed rate, for one GPU, from a late start",
        (
            f"{MONEY}::test_nothing_is_spent_beyond_the_cap",
            f"{ENGINE}::test_money_that_is_spent_before_the_start_ends_the_run",
            "unit/compiler/test_estimate.py::test_the_price_is_that_of_all_gpus",
        ),
    ),
    Defect(
        12,
        "the check of the budget could not fail",
        ("unit/compiler/test_checks.py::test_a_cap_that_ends_the_run_early_is_told_of",),
    ),
    Defect(
        13,
        "an unknown price passed the ceiling",
        (f"{CAPACITY}::test_unknown_price_fails_the_ceiling",),
    ),
    Defect(
        14,
        "a network volume in the second data center broke the run",
        (f"{VERSION_2}::test_a_network_volume_is_found_in_its_own_place",),
    ),
    Defect(
        15,
        "a stock-out was not recognised, and nothing else was tried",
        (
            f"{CAPACITY}::test_second_candidate_is_taken_when_the_first_is_out_of_stock",
            "unit/executor/runpod/test_problems.py::test_each_status_has_its_error",
        ),
    ),
    Defect(
        16,
        "one failed look at the pod deleted it",
        (f"{CANDIDATES}::test_one_failed_look_is_no_verdict",),
    ),
    Defect(
        17,
        "one slow SSH call ended the run, and a dead pod was watched to the deadline",
        (
            f"{FOLLOW}::test_connection_lost_and_restored_keeps_every_byte_once",
            f"{FOLLOW}::test_pod_that_dies_under_the_run_is_told_as_such",
        ),
    ),
    Defect(
        18,
        "`[N/A]` dropped the sample, and only one GPU was kept",
        ("interop/test_sampler.py::test_a_sample_tells_of_every_gpu",),
    ),
    Defect(
        19,
        "the pod's description was saved with its environment",
        (f"{TELEMETRY}::test_the_describe_object_hides_every_value_of_the_environment",),
    ),
    Defect(
        20,
        "exports and body were printed",
        (
            f"{DEFECTS_RUN}::test_defect_20_exports_and_body_are_not_printed",
            "emulated/test_fidelity.py::test_no_secret_is_in_any_file_or_on_the_screen",
        ),
    ),
    Defect(
        21,
        "secrets from the environment were executed by the shell",
        (f"{VERSION_2}::test_secrets_arrive_whole_inside_of_a_staged_folder",),
    ),
    Defect(
        22,
        "staging deleted the secrets that lay where it went",
        (
            f"{VERSION_2}::test_secrets_arrive_whole_inside_of_a_staged_folder",
            "unit/executor/sync/test_upload.py::test_delete_spares_what_is_protected",
        ),
    ),
    Defect(
        23,
        "pulling results deleted older ones",
        (f"{VERSION_2}::test_one_file_sweeps_over_its_variables",),
    ),
    Defect(
        24,
        "`cleanup` deleted the stopped pods of everybody in the account",
        (
            "unit/cli/test_fleet_commands.py::test_cleanup_takes_what_is_named_or_all_that_are_stopped",
            "emulated/test_left_pods.py::test_cleanup_does_not_touch_what_is_anothers",
        ),
    ),
    Defect(
        25,
        "all jobs shared one state file",
        (f"{DEFECTS_RUN}::test_defect_25_no_state_is_shared_between_runs",),
    ),
    Defect(
        26,
        "a failed delete was tried once and told as success",
        (
            f"{RELEASE}::test_delete_is_asked_again_until_it_is_confirmed",
            f"{RELEASE}::test_delete_that_is_never_confirmed_is_a_leak",
        ),
    ),
    Defect(
        27,
        "a pod behind a failed create was forgotten",
        (
            f"{CREATION}::test_pod_whose_answer_was_lost_is_adopted",
            f"{CAPACITY}::test_pod_behind_a_lost_answer_is_adopted",
        ),
    ),
    Defect(
        28,
        "`ls-stale` knew no age and half the price of a stopped disk",
        (
            "unit/cli/test_fleet_commands.py::test_stale_pods_are_the_stopped_ones",
            "unit/compiler/test_estimate.py::test_disk_rates_are_those_of_the_price_list",
        ),
    ),
    Defect(
        29,
        "the manifest had no rendered name, no inputs, no bytes, and lost results of one label",
        (
            f"{DEFECTS_RUN}::test_defect_29_the_manifest_says_what_ran",
            "unit/record/test_files.py::test_a_full_disk_leaves_the_old_file",
            f"{APPLY}::test_manifest_that_cannot_be_written_is_told_with_its_place",
        ),
    ),
    Defect(
        30,
        "a relative source began at the working folder",
        (f"{VERSION_2}::test_smoke_brings_its_results_into_the_run_folder",),
    ),
    Defect(
        31,
        "new host keys went into the user's own file, and addresses come again",
        (
            "interop/test_sshd.py::test_another_host_key_is_refused",
            "interop/test_sshd.py::test_the_users_own_ssh_setup_takes_no_part",
            "unit/executor/ssh/test_known_hosts.py::test_the_alias_names_the_pod",
        ),
    ),
    Defect(
        32,
        "keys twice, unknown clouds, NaN and huge numbers were accepted",
        (
            f"{GOLDEN}[yaml_duplicate_keys]",
            f"{GOLDEN}[yaml_not_finite]",
            f"{GOLDEN}[out_of_range]",
            f"{GOLDEN}[v2-wrong-values]",
        ),
    ),
    Defect(
        33,
        "errors of the user were tracebacks",
        (
            "golden/test_hostile_input.py::test_refused_quickly_and_within_memory",
            "property/test_version_2_properties.py::test_every_document_is_a_job_or_refused",
            "unit/cli/test_plan_command.py::test_a_missing_file_is_told_without_a_traceback",
        ),
    ),
    Defect(
        34,
        "exports silenced a warning though the body never had them",
        (f"{VERSION_2}::test_a_network_volume_is_found_in_its_own_place",),
    ),
    Defect(
        35,
        "of many steps between two looks at the log most were lost",
        (
            "emulated/test_run_folder.py::test_markers_that_come_all_at_once_are_all_seen",
            f"{OUTCOMES}::test_five_thousand_markers_are_each_seen_once",
        ),
    ),
    Defect(
        36,
        "few lock files, a dirty tree without its patch, a refused key retried like a slow start",
        (
            "unit/facts/test_lockfile.py::test_defect_36_poetrys_lock_file_is_found",
            "interop/test_git_facts.py::test_the_patch_restores_what_was_changed",
            f"{PREDECESSOR_DEFECTS}::test_defect_36_a_refused_key_is_told_from_an_ssh_server_that_is_not_up",
        ),
    ),
)
_NODE = re.compile(r"(?P<file>[\w/]+\.py)::(?P<function>test_\w+)(?:\[(?P<case>[\w-]+)\])?")


def functions(file: Path) -> set[str]:
    """Return the names of the test functions of a file, those in classes too."""
    tree = ast.parse(file.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_defect_has_its_row() -> None:
    """All 36 are there, in order, each with a test or with the reason for none."""
    assert list(range(1, 37)) == [one.number for one in DEFECTS]
    assert [] == [one.number for one in DEFECTS if bool(one.tests) == bool(one.why_none)]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: str(one.number))
def test_the_tests_of_a_defect_are_there(defect: Defect) -> None:
    """Each named test is a function of its file, and each named case lies below `golden`."""
    named = defect.tests or tuple(found[0] for found in _NODE.finditer(defect.why_none or ""))
    for node in named:
        found = _NODE.fullmatch(node)
        assert found is not None, node
        assert found["function"] in functions(TESTS / found["file"]), node
        if found["case"]:
            case = TESTS / "golden" / found["case"]
            assert (case / "diagnostics.txt").is_file(), node
            assert not (case / "migrated.yaml").exists(), node


def test_no_defect_waits_for_what_is_to_come() -> None:
    """Each row is a test, or says why there can be none; every command it names is there."""
    waiting = {
        name for one in DEFECTS for name in re.findall("`([a-z-]+)` is planned", one.why_none or "")
    }
    assert set() == waiting
