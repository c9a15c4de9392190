"""Samples of the pod: ours with all GPUs, the predecessor's with one, and damaged ones."""

from pathlib import Path

from runpod_deploy.forensics import load_metrics
from runpod_deploy.record.metrics import GpuSample, parse_sample


def test_every_gpu_of_a_sample_is_told_by_index() -> None:
    """What a card cannot say is None, whatever the sampler wrote for it."""
    sample = parse_sample(
        b'{"ts_utc":"2026-06-01T00:00:00Z","gpu_util_pct":5,"gpus":['
        b'{"index":1,"util_pct":90,"ecc_errors":null},{"index":0,"util_pct":5,"power_w":70.5}]}'
    )
    assert sample is not None
    assert sample.gpus == (
        GpuSample(index=0, util_pct=5, power_w=70.5),
        GpuSample(index=1, util_pct=90),
    )


def test_the_predecessors_samples_have_one_gpu() -> None:
    """Its flat keys tell of GPU 0."""
    sample = parse_sample(
        b'{"ts_utc":"t","gpu_util_pct":7,"gpu_mem_used_mb":1,"gpu_ecc_errors":null,'
        b'"cpu_user_pct":10.5,"cpu_sys_pct":2,"host_mem_used_mb":2}'
    )
    assert sample is not None
    assert sample.gpus == (GpuSample(index=0, util_pct=7, mem_used_mb=1),)
    assert (sample.cpu_pct, sample.memory_used_bytes) == (12.5, 2 * 1024 * 1024)
    assert (sample.disk_used_bytes, sample["gpu_util_pct"]) == (None, 7)


def test_a_pod_without_gpus_has_none() -> None:
    """No flat key, no list: no GPU, rather than one of which nothing is known."""
    sample = parse_sample(b'{"ts_utc":"t","cpu_load_1m":1}')
    assert sample is not None
    assert (sample.gpus, sample.cpu_load_1m) == ((), 1)


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    """What is no sample does not hide those around it; no file has none."""
    (tmp_path / "metrics.jsonl").write_bytes(
        b'{"ts_utc":"a"}\n[1]\n{"x":1}\n\xff\n{"ts_utc":"b"}\n{"ts_utc":"c"'
    )

    assert [one.ts_utc for one in load_metrics(tmp_path)] == ["a", "b"]
    assert load_metrics(tmp_path / "missing") == []
