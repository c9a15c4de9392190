"""Whether the image of a pod that was kept is the one that the plan asks for."""

from dataclasses import replace

import pytest

from runpod_deploy.compiler.observed import ObservedImage
from runpod_deploy.executor.drift import find_drifts, made_as
from runpod_deploy.executor.ports import Pod
from support.plans import L4, plan_file

FIRST, SECOND = f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"


@pytest.mark.parametrize(
    ("known", "there", "same"),
    [
        (None, "{image}", True),
        (None, f"{{image}}@{FIRST}", True),
        (None, "{image}-other", False),
        (FIRST, f"{{image}}@{FIRST}", True),
        (FIRST, f"{{image}}@{SECOND}", False),
        (FIRST, "{image}", False),
    ],
)
def test_the_image_of_a_kept_pod(known: str | None, there: str, same: bool) -> None:
    """A tag alone is met by what it once meant; a digest that was reviewed only by itself."""
    made = plan_file()
    if known is not None:
        seen = ObservedImage(digest=known, read_at="2026-05-14T02:12:00Z")
        made = replace(made, observed=replace(made.observed, image=seen))
    pod = Pod(
        id="p1",
        name="p",
        status="EXITED",
        gpu=L4.gpu,
        gpu_count=None,
        cloud=L4.cloud,
        datacenter=L4.datacenter,
        cost=None,
        image=there.format(image=made.plan.pod.image),
        ssh=None,
    )

    drifts = find_drifts(made, made_as(made.plan), pod, None)

    assert ([] if same else ["pod.image"]) == [drift.field for drift in drifts]
