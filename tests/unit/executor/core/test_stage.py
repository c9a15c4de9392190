"""The payload on its way: what is sent is what the plan lists, and its failures are the step's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import PayloadEntry, PlanStaging
from runpod_deploy.errors import ConnectionLost, StepFailed
from runpod_deploy.executor.sync.upload import UploadReport
from support.plans import script, small_plan
from support.rig import Rig, RigMaker

ENTRY = PayloadEntry(path="train.py", type="file", size=3, exec=False, sha256="0" * 64)
STAGING = PlanStaging(
    label="src",
    source="src",
    destination="/workspace/@@rd:run_id@@/src",
    excludes=(),
    gitignore=True,
    delete=False,
    tree_sha256="sha256:" + "1" * 64,
    files=1,
    bytes=3,
)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the transfer; the list holds what its calls raise, and then what they were given."""
    script: list[Any] = []

    async def upload(transport: Any, **given: Any) -> UploadReport:
        await transport.run("upload")
        if script and isinstance(script[0], Exception):
            raise script.pop(0)
        script.append(given)
        return UploadReport(
            files=1, links=0, bytes=3, unchanged=0, sent=9, created=False, deleted=(), foreign=True
        )

    monkeypatch.setattr("runpod_deploy.executor.steps.stage.upload", upload)
    return script


def staged(make_rig: RigMaker) -> Rig:
    """Return a run with one staging entry."""
    rig = make_rig(replace(small_plan(), staging=(STAGING,)))
    rig.ctx.plan_file = replace(rig.ctx.plan_file, payload={"src": (ENTRY,)})
    return rig


def test_payload_is_sent_as_planned(make_rig: RigMaker, uploads: list[Any]) -> None:
    """Source, entries and filled destination of the plan reach the transfer, and the event names the tree."""
    rig = staged(make_rig)
    assert "SUCCEEDED" == rig.run().state
    (given,) = uploads
    assert (ENTRY,) == given["entries"]
    assert rig.ctx.project_root / "src" == given["root"]
    assert "/workspace/demo-20270115T080000Z/src" == given["destination"]
    assert given["delete"] is False
    event = rig.one("staging_completed")
    assert ("src", 1, 3, STAGING.tree_sha256) == (
        event["label"],
        event["files"],
        event["bytes"],
        event["tree_sha256"],
    )
    assert (1, 9) == (event["sent_files"], event["sent_bytes"])


def test_a_run_never_deletes_its_own_script_and_log(make_rig: RigMaker, uploads: list[Any]) -> None:
    """Files of version 2 often lay them into the folder that the code is staged to."""
    rig = staged(make_rig)
    plan = rig.ctx.plan
    folder = STAGING.destination
    scripts = (script("run", "run", path=f"{folder}/run.sh"),)
    run = replace(plan.run, log_path=f"{folder}/logs/./run.log")
    rig.ctx.plan_file = replace(
        rig.ctx.plan_file, plan=replace(plan, scripts=(*plan.scripts[:-1], *scripts), run=run)
    )
    rig.run()
    (given,) = uploads

    spared = [
        path for path in ("run.sh", "logs/run.log", "train.py") if given["protect"](path, False)
    ]
    assert ["run.sh", "logs/run.log"] == spared


def test_a_folder_that_is_not_ours_keeps_its_files_and_that_is_told(
    make_rig: RigMaker, uploads: list[Any]
) -> None:
    """Where the transfer found no mark of ours, nothing was deleted, and the run says so."""
    assert [] == uploads
    rig = staged(make_rig)
    rig.run()
    assert "not-deleted" in [event["code"] for event in rig.events if event.event == "warning"]


def test_staging_again_goes_on_under_the_same_tag(make_rig: RigMaker, uploads: list[Any]) -> None:
    """What lies on the pod of a broken upload is found by the run's next try."""
    tags = []
    for _ in range(2):
        staged(make_rig).run()
        tags.append(uploads.pop()["tag"])
    assert tags[0] == tags[1]
    assert len(tags[0]) == 16


def test_lost_connection_while_staging_is_made_again(
    make_rig: RigMaker, uploads: list[Any]
) -> None:
    """Staging is repeated over a new connection as often as its step may be."""
    uploads += [ConnectionLost("reset"), ConnectionLost("reset")]
    rig = staged(make_rig)
    assert "SUCCEEDED" == rig.run().state
    assert 3 == len(rig.connector.opened)


def test_payload_that_changed_ends_the_run(make_rig: RigMaker, uploads: list[Any]) -> None:
    """A file that is not what was planned fails the run, is not tried again, and the pod is released."""
    uploads.append(StepFailed("train.py changed since the plan", cause="payload_changed"))
    rig = staged(make_rig)
    run = rig.run()
    assert ("FAILED", "payload_changed") == (run.state, run.cause)
    assert 1 == len(rig.connector.opened)
    assert {} == rig.cloud.rented
