"""What is read from nvidia-smi and df, whatever they print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.compiler.plan import PlanAdmission
from runpod_deploy.executor.hardware import Card, Hardware, parse_hardware
from runpod_deploy.executor.steps.admit import find_problems, version

MARK = "\n--runpod-deploy--\n"
GOOD = MARK.join(
    (
        "NVIDIA H100, 80GB HBM3, 81559, 570.124.06\nNVIDIA H100, 80GB HBM3, 81559, 570.124.06",
        "| NVIDIA-SMI 570.124.06   Driver Version: 570.124.06   CUDA Version: 12.8 |",
        "overlay 100000000 10 50000000 1% /",
    )
)


def wanted(**changes: Any) -> PlanAdmission:
    """Return an admission that asks for two GPUs and what a test adds."""
    asks: dict[str, Any] = {
        "enabled": True,
        "gpu_count": 2,
        "gpu_name": None,
        "min_gpu_memory_gb": None,
        "min_driver": None,
        "min_cuda": None,
        "min_disk_gb": None,
    }
    return PlanAdmission(**{**asks, **changes})


def test_a_name_with_a_comma_is_one_card() -> None:
    """The name is everything before the last two columns; memory is in GB of 10^9 bytes."""
    seen = parse_hardware(GOOD)
    card = Card("NVIDIA H100, 80GB HBM3", 81559 * 1024 * 1024 / 1e9)
    assert Hardware(gpus=(card, card), driver="570.124.06", cuda="12.8", disk_gb=51.2) == seen


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_nothing_a_pod_prints_breaks_the_reader(listing: str, banner: str, disk: str) -> None:
    """Any output is read as hardware, at worst as none, and held against the plan without an error."""
    seen = parse_hardware(MARK.join((listing, banner, disk)))
    find_problems(wanted(min_cuda="12.1", min_driver="550", min_disk_gb=1.0), seen, nvidia=True)


@pytest.mark.parametrize(
    "output",
    [
        MARK.join(("NVIDIA L4, 1.2.3, 570.1", "", "")),
        MARK.join(("NVIDIA L4, ², 570.1", "CUDA Version: " + "9" * 9999, "a 1 2 ² 4 /")),
        MARK.join(("NVIDIA L4, " + "9" * 400 + ", 570.1", "", "a 1 2 " + "9" * 5000 + " 4 /")),
        MARK.join(("NVIDIA-SMI has failed because it couldn't communicate", "", "")),
        "",
    ],
)
def test_numbers_that_are_none_are_not_read(output: str) -> None:
    """What looks like a number and cannot be one is no GPU and no disk."""
    seen = parse_hardware(output)
    assert ((), None) == (seen.gpus, seen.disk_gb)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, None),
        ({"gpu_count": 3}, "shows 2 GPUs, 3 are paid for"),
        ({"gpu_name": "h100"}, None),
        ({"gpu_name": "A100"}, "not 'A100'"),
        ({"min_gpu_memory_gb": 80.0}, None),
        ({"min_gpu_memory_gb": 94.0}, "85.5 GB, 94 needed"),
        ({"min_driver": "570.99"}, None),
        ({"min_driver": "575"}, "the driver is 570.124.06"),
        ({"min_cuda": "12.8"}, None),
        ({"min_cuda": "12.10"}, "CUDA 12.8, 12.10 needed"),
        ({"min_disk_gb": 51.0}, None),
        ({"min_disk_gb": 60.0}, "51 GB of disk are free, 60 needed"),
    ],
)
def test_admission(asked: dict[str, Any], problem: str | None) -> None:
    """Each floor is compared as numbers; what lacks is named with both values."""
    problems = find_problems(wanted(**asked), parse_hardware(GOOD), nvidia=True)
    assert (problem is None) is (problems == [])
    if problem is not None:
        assert all(problem in text for text in problems)


def test_other_makers_are_not_asked_for_nvidia_smi() -> None:
    """A pod with an AMD card is held against its disk alone."""
    assert [] == find_problems(wanted(), Hardware(), nvidia=False)


@pytest.mark.parametrize(("older", "newer"), [("12.8", "12.10"), (None, "1"), ("570", "570.1")])
def test_versions_compare_as_numbers(older: str | None, newer: str) -> None:
    """12.10 is newer than 12.8, and an unknown version is older than every other."""
    assert version(older) < version(newer)
