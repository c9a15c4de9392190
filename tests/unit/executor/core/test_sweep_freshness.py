"""A saved sweep whose project changed is refused before anything of it is claimed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.run import Target
from runpod_deploy.executor.sweep_freshness import refuse_stale
from runpod_deploy.executor.sweep_run import SweepWishes, execute_sweep
from runpod_deploy.facts import payload_now
from runpod_deploy.facts.plan_sweep import plan_sweep
from runpod_deploy.schema.load import load

JOB = """\
schema_version: 3
name: small
pod: {image: "runpod/base:1.0.2-ubuntu2204", gpu_order: [NVIDIA L4]}
staging:
  - {label: code, source: src, destination: /root/src}
  - {label: data, source: "data/{{ part }}", destination: /root/data}
matrix: {axes: {seed: ["1", "2"], part: [a, b]}}
run: {body: "echo {{ seed }}"}
"""
TARGET = Target(label="runpod", api_url="https://127.0.0.1:9/v2", api_key="k")


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFile:
    """The plans of a sweep of four runs."""
    for name in ("src/a", "data/a/x", "data/b/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    job = tmp_path / "job.yaml"
    job.write_text(JOB)
    return plan_sweep(load(job), new_id=lambda: "0" * 32, use_cache=False)[0]


def applied(sweep: SweepFile, root: Path, only: frozenset[str] | None = None) -> None:
    """Carry the sweep out as a saved one."""
    wishes = SweepWishes(saved=True, only=only)
    environ = {"HOME": str(root)}
    asyncio.run(
        execute_sweep(sweep, project_root=root, target=TARGET, environ=environ, wishes=wishes)
    )


def test_an_unchanged_project_is_read_once(
    sweep: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many runs stage the same folder."""
    seen: list[Path] = []
    real = payload_now.find_payload

    def counted(source: Path, *args: Any, **options: Any) -> Any:
        seen.append(source)
        return real(source, *args, **options)

    monkeypatch.setattr(payload_now, "find_payload", counted)

    asyncio.run(refuse_stale(sweep.shards, tmp_path, target=TARGET, environ={}))

    assert [tmp_path / name for name in ("data/a", "data/b", "src")] == sorted(seen)


def test_a_changed_project_refuses_the_sweep_and_claims_nothing(
    sweep: SweepFile, tmp_path: Path
) -> None:
    """The run, the difference and the way out are told; the file may still be applied later."""
    (tmp_path / "data" / "b" / "x").write_text("other")
    with pytest.raises(PlanRefused, match=r"seed=1_part=b of the sweep") as caught:
        applied(sweep, tmp_path)
    assert "payload.data.x  (refuse)" in caught.value.message
    assert "plan job.yaml -o sweep.json" in (caught.value.help or "")
    assert not (tmp_path / "artifacts").exists()

    with pytest.raises(PlanRefused, match="seed=2_part=b"):
        applied(sweep, tmp_path, frozenset({"seed=2_part=a", "seed=2_part=b"}))
    asyncio.run(refuse_stale(sweep.shards[::2], tmp_path, target=TARGET, environ={}))
