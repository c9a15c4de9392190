"""Why a run failed: by its end, by the last telling line of its log, by the kernel's messages."""

from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.record.evidence import NEAR_THE_END
from runpod_deploy.record.failure import KINDS, OOM_COUNT, Evidence, Failure, classify
from runpod_deploy.record.records import JobEnd, Run, StepRecord
from runpod_deploy.record.states import RunState


def failed(cause: str | None = "exit_code", code: int | None = 1) -> Run:
    """Return a run that failed with an exit code."""
    end = JobEnd(
        outcome="failed",
        exit_code=code,
        cause=cause,
        log_bytes=0,
        success_marker_seen=None,
        failure_markers_seen=(),
    )
    return Run(state=RunState.FAILED, cause=cause, job_end=end)


def kind(folder: Path, run: Run) -> str | None:
    """Return the kind of a run's failure."""
    found = classify(run, folder)
    return found.kind if found is not None else None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "cuda_oom"),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found 11040).",
            "cuda_mismatch",
        ),
        ("CUDA error: no kernel image is available for execution on the device", "cuda_mismatch"),
        ("OSError: [Errno 28] No space left on device: 'ckpt.pt'", "disk_full"),
        ("ModuleNotFoundError: No module named 'flash_attn'", "import_error"),
        ("ImportError: cannot import name 'x' from 'y' (z.py)", "import_error"),
        ("MemoryError", "host_oom"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "auth"),
        ("git@github.com: Permission denied (publickey).", "auth"),
        ("  0%|   | 0/9\r 10%|#  | 1/9\rOSError: No space left on device", "disk_full"),
    ],
)
def test_the_log_says_why(tmp_path: Path, line: str, expected: str) -> None:
    """The line stands in the evidence with its number."""
    (tmp_path / "run.log").write_bytes(f"start\n{line}\nbye\n".encode())
    found = classify(failed(), tmp_path)

    assert found is not None
    assert found == Failure(
        kind=expected,
        text=KINDS[expected],
        evidence=Evidence(file="run.log", line=2, text=line.rpartition("\r")[2]),
    )


@pytest.mark.parametrize(
    "line",
    [
        "epoch 1: no ImportError: here",
        "wrote 401 files, 403 skipped",
        "we avoid a MemoryErrorHandler",
        "timeout=30",
    ],
)
def test_lines_that_only_look_alike_prove_nothing(tmp_path: Path, line: str) -> None:
    """The exit code stays all that is known."""
    (tmp_path / "run.log").write_text(line)

    assert kind(tmp_path, failed(code=3)) == "exit_code"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[rank0]: ModuleNotFoundError: No module named 'x'", "import_error"),
        ("[rank3]: MemoryError", "host_oom"),
        ("\x1b[1;31mImportError\x1b[0m: cannot import name 'x'", "import_error"),
        ("    | ImportError: cannot import name 'x'", "import_error"),
    ],
)
def test_what_stands_around_an_error_hides_it_not(tmp_path: Path, line: str, expected: str) -> None:
    """The name of a rank, colours, the bar of a group of exceptions."""
    (tmp_path / "run.log").write_text(f"{line}\n")

    assert kind(tmp_path, failed()) == expected


def test_the_evidence_of_a_very_long_line_holds_the_proof(tmp_path: Path) -> None:
    """Not its first characters, but those around what was found."""
    (tmp_path / "run.log").write_text("x" * 9000 + "CUDA out of memory" + "y" * 9000)
    found = classify(failed(), tmp_path)

    assert found is not None
    assert found.evidence is not None
    assert "CUDA out of memory" in found.evidence.text
    assert len(found.evidence.text) <= 2000


def test_the_last_telling_line_counts(tmp_path: Path) -> None:
    """An import that failed and was survived is not why the disk was full later."""
    text = "ImportError: no flash_attn, falling back\nNo space left on device\nKilled\n"
    (tmp_path / "run.log").write_text(text)

    assert kind(tmp_path, failed()) == "disk_full"


def test_what_stands_far_from_the_end_was_survived(tmp_path: Path) -> None:
    """Hundreds of lines later the job had gone on."""
    later = "step\n" * (NEAR_THE_END + 1)
    (tmp_path / "run.log").write_text(f"CUDA out of memory, smaller batch\n{later}")

    assert kind(tmp_path, failed()) == "exit_code"


def test_lines_of_a_large_log_keep_their_number(tmp_path: Path) -> None:
    """Only its end is searched, and the number is that of the whole file."""
    (tmp_path / "run.log").write_text("x" * 99 + "\n" + "y\n" * 300_000 + "CUDA out of memory\n")
    found = classify(failed(), tmp_path)

    assert found is not None
    assert found.evidence is not None
    assert found.evidence.line == 300_002


def test_the_kernel_says_who_was_killed_for_memory(tmp_path: Path) -> None:
    """Exit code 137 alone is a signal; with the kernel's line it was memory."""
    alone = classify(failed(code=137), tmp_path)
    assert alone is not None
    assert (alone.kind, alone.evidence) == ("killed", None)
    assert alone.text.startswith("The job was ended by signal SIGKILL. The kernel does that when ")
    (tmp_path / "dmesg_tail.txt").write_text("ok\n[1] Out of memory: Killed process 7 (python)\n")
    found = classify(failed(code=137), tmp_path)

    assert found is not None
    assert found.kind == "host_oom"
    assert found.evidence == Evidence(
        file="dmesg_tail.txt", line=2, text="[1] Out of memory: Killed process 7 (python)"
    )


@pytest.mark.parametrize(("count", "expected"), [(0, "killed"), (1, "host_oom"), (12, "host_oom")])
def test_the_count_of_the_container_says_so_where_the_kernel_may_not(
    tmp_path: Path, count: int, expected: str
) -> None:
    """Most containers may not read the kernel's messages, but how often it killed in them."""
    text = f"dmesg: read kernel buffer failed: Operation not permitted\n{OOM_COUNT} {count}\n"
    (tmp_path / "dmesg_tail.txt").write_text(text)

    assert kind(tmp_path, failed(code=137)) == expected
    assert kind(tmp_path, failed(code=1)) == "exit_code"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("StockOut", "stock_out"),
        ("AccountError", "auth"),
        ("auth_rejected", "auth"),
        ("max_runtime", "timeout"),
        ("cost_cap", "cost_cap"),
        ("pod_killed", "host_lost"),
        ("cancelled", "cancelled"),
        ("artifact_missing", "artifact_missing"),
        ("not_verified", "not_verified"),
    ],
)
def test_an_end_that_is_known_needs_no_log(tmp_path: Path, cause: str, expected: str) -> None:
    """What the executor did itself is not explained by a line of the log."""
    (tmp_path / "run.log").write_text("CUDA out of memory\n")

    assert kind(tmp_path, failed(cause)) == expected


def test_a_job_that_exited_0_is_not_explained_by_its_log(tmp_path: Path) -> None:
    """A missing marker is the reason, whatever the log holds."""
    (tmp_path / "run.log").write_text("CUDA out of memory\n")

    assert kind(tmp_path, failed("marker_missing", 0)) == "marker_missing"


def test_an_unknown_end_is_explained_where_the_log_does(tmp_path: Path) -> None:
    """Without an exit code the last line may still say what happened."""
    run = replace(failed("UnknownOutcome", None), state=RunState.UNKNOWN)

    assert kind(tmp_path, run) == "unknown"
    (tmp_path / "run.log").write_text("No space left on device\n")
    assert kind(tmp_path, run) == "disk_full"


def test_a_line_of_the_shell_shows_what_was_killed(tmp_path: Path) -> None:
    """The kernel's own line is the better proof, where there is one."""
    line = "/workspace/run.sh: line 9:  1234 Killed                  python train.py"
    (tmp_path / "run.log").write_text(f"CUDA out of memory, smaller batch\n{line}\n")
    found = classify(failed(code=137), tmp_path)

    assert found is not None
    assert found.kind == "killed"
    assert found.evidence == Evidence(file="run.log", line=2, text=line)
    (tmp_path / "dmesg_tail.txt").write_text("Memory cgroup out of memory: Killed process 1234\n")
    assert kind(tmp_path, failed(code=137)) == "host_oom"


def test_an_error_of_no_known_kind_is_shown_as_well(tmp_path: Path) -> None:
    """The kind stays that of the exit code; the line is the last exception, not one survived."""
    (tmp_path / "run.log").write_text(
        "CUDA out of memory, smaller batch\nTraceback (most recent call last):\n"
        '  File "t.py", line 3, in <module>\n    main()\nValueError: bad\n'
    )
    assert classify(failed(), tmp_path) == Failure(
        kind="exit_code",
        text="The job ended with exit code 1.",
        evidence=Evidence(file="run.log", line=5, text="ValueError: bad"),
    )


def test_a_command_before_the_job_is_explained_by_its_own_output(tmp_path: Path) -> None:
    """What the commands before it printed, and ended well, proves nothing."""
    run = Run(
        state=RunState.FAILED,
        cause="remote_command",
        steps=(
            StepRecord(name="setup", state="failed", error="setup-2 ended with exit status 1."),
        ),
    )
    head = "--- setup-1\nModuleNotFoundError: No module named 'x'\n--- setup-2\n"
    (tmp_path / "commands.log").write_text(f"{head}quiet\n")
    assert kind(tmp_path, run) == "step"
    (tmp_path / "commands.log").write_text(f"{head}OSError: [Errno 28] No space left on device\n")
    found = classify(run, tmp_path)

    assert found is not None
    assert found.kind == "disk_full"
    assert found.evidence is not None
    assert (found.evidence.file, found.evidence.line) == ("commands.log", 4)


def test_a_step_that_failed_speaks_for_itself(tmp_path: Path) -> None:
    """Before the job began there is no log; the step's first line is the reason."""
    run = Run(
        state=RunState.FAILED,
        cause="remote_command",
        steps=(StepRecord(name="setup", state="failed", error="setup-1 exited 2\nmore"),),
    )

    assert classify(run, tmp_path) == Failure(kind="step", text="setup-1 exited 2")


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.WORKING, RunState.DETACHED])
def test_a_run_that_did_not_fail_has_no_reason(tmp_path: Path, state: RunState) -> None:
    """Success needs none, and what goes on has none yet."""
    assert classify(replace(failed(), state=state), tmp_path) is None
