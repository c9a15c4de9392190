"""The cloud that a run took place on: asked with the account's key, and never started for the asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runpod_deploy.cli.target import CloudName, runpod_target
from runpod_deploy.errors import Unreachable
from runpod_deploy.record import tolerant

if TYPE_CHECKING:
    from runpod_deploy.executor.run import Target
    from runpod_deploy.record.records import Run


def is_emulated(run: Run) -> bool:
    """Return whether a run is a rehearsal."""
    return tolerant.text(run.started, "cloud") == CloudName.EMULATOR


def target_of(run: Run, environ: Mapping[str, str]) -> Target:
    """Return the cloud of a run, with the key of this machine.

    The address in the run's folder is not used: whoever wrote the folder would be sent the key.

    Raises:
        AccountError: There is no key.
        Unreachable: The emulator of a rehearsal does not run any more, and with it its pods.
    """
    if not is_emulated(run):
        return runpod_target(environ)
    from runpod_deploy.emulator.client import find  # noqa: PLC0415 - not for RunPod
    from runpod_deploy.executor.run import Target  # noqa: PLC0415 - loads the whole executor

    info = find(environ)
    if info is None:
        raise Unreachable("the emulator of this run does not run any more, nor does any pod of it")
    return Target(label=CloudName.EMULATOR, api_url=info.url, api_key=info.api_key)
