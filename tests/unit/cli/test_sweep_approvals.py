"""Approvals of a sweep: one signature is over all its plans, and `apply` demands it of the whole."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Public

from runpod_deploy.cli import sweeping
from runpod_deploy.cli.planning import PlannedSweep
from runpod_deploy.executor.run import Target

Call = Callable[..., tuple[int, str, str]]
APPLY = ("apply", "--yes", "--cloud", "emulator", "--allowed-signers", "allowed")


@pytest.fixture
def sweep(project: Path, call: Call) -> Path:
    """A saved sweep of two runs, a key that may sign it, and an emulator that nobody starts."""
    job = project / "job.yaml"
    job.write_text(f'{job.read_text()}matrix:\n  axes:\n    seed: ["1", "2"]\n')
    assert 0 == call("plan", "job.yaml", "-o", "sweep.json")[0]
    key = Ed25519PrivateKey.generate()
    file = project / "key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    file.chmod(0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, Public.OpenSSH).decode()
    (project / "allowed").write_text(f'ann@example.org namespaces="runpod-deploy" {public}\n')
    return project / "sweep.json"


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[PlannedSweep]:
    """The sweeps that would have been carried out."""
    seen: list[PlannedSweep] = []

    def carried(planned: PlannedSweep, *_: object) -> int:
        seen.append(planned)
        return 0

    target = Target(label="emulator", api_url="http://127.0.0.1:9/v2", api_key="x")
    monkeypatch.setattr("runpod_deploy.cli.target.emulator_target", lambda _: target)
    monkeypatch.setattr(sweeping, "apply_sweep", carried)
    return seen


def demanded(call: Call, what: str = "sweep.json", *more: str) -> tuple[int, str]:
    """Apply with one signature demanded; returns exit status and what was said."""
    status, _, errors = call(*APPLY, what, "--require-signature", "1", *more)
    return status, " ".join(errors.split())


def test_a_signed_sweep_is_applied_and_says_who_approved(
    sweep: Path, applied: list[PlannedSweep], call: Call
) -> None:
    """The approval counts for the whole sweep, also when only a part of it is carried out."""
    assert 6 == demanded(call)[0]
    status, printed, said = call("plan", "sign", str(sweep), "--key", "key")
    assert 0 == status, said
    assert "a sweep of 2 runs" in said
    assert Path(printed.strip()).is_file()

    assert 0 == demanded(call, "sweep.json", "--only", "seed=1")[0]
    (planned,) = applied
    assert ["ann@example.org"] == [one.who for one in planned.approvals]


def test_an_approval_falls_with_anything_of_the_sweep(
    sweep: Path, applied: list[PlannedSweep], call: Call
) -> None:
    """Another id, another thing seen beside a run's plan, a run less, or a plan of it alone."""
    call("plan", "sign", str(sweep), "--key", "key")
    whole = json.loads(sweep.read_text())
    changed = json.loads(sweep.read_text())
    changed["shards"][1]["observed"]["compiled_at"] = "2001-01-01T00:00:00Z"
    for other, told in (
        ({**whole, "plan_id": "0" * 32}, "the plan was made anew"),
        (changed, "what stands beside the plan"),
        ({**whole, "shards": whole["shards"][:1]}, "tampered"),
    ):
        sweep.write_text(json.dumps(other))
        status, said = demanded(call)
        assert 6 == status
        assert told in said
    statement = next(sweep.parent.glob("sweep.json.approval-*.json"))
    for end in ("", ".sig"):
        moved = f"{statement}{end}".replace("sweep.json", "one.json")
        Path(f"{statement}{end}").rename(moved)
    sweep.with_name("one.json").write_text(json.dumps(whole["shards"][0]))
    assert "another plan" in demanded(call, "one.json")[1]
    assert [] == applied


def test_a_sweep_that_is_compiled_now_nobody_has_approved(
    sweep: Path, applied: list[PlannedSweep], call: Call
) -> None:
    """A demand is never dropped because a job file was named."""
    del sweep
    status, said = demanded(call, "job.yaml")
    assert 4 == status
    assert "goes with a saved plan" in said
    assert [] == applied


def test_a_second_try_asks_for_approvals_beside_the_kept_sweep(
    sweep: Path, applied: list[PlannedSweep], call: Call
) -> None:
    """What a sweep's folder holds is signed like any saved sweep."""
    folder = sweep.parent / "artifacts" / "runpod" / ".sweeps" / "T"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_bytes(sweep.read_bytes())
    assert 6 == demanded(call, str(folder), "--retry-failed")[0]
    call("plan", "sign", str(folder / "sweep.json"), "--key", "key")

    assert 0 == demanded(call, str(folder), "--retry-failed")[0]
    assert folder == applied[0].folder
