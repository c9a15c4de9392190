"""Compile a job file into a reviewable, hashed plan and apply it to RunPod.

The six public names are loaded on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runpod_deploy.compiler.compile import compile_job
    from runpod_deploy.compiler.plan import Plan
    from runpod_deploy.executor.run import execute
    from runpod_deploy.record.manifest import Manifest
    from runpod_deploy.record.run import Run
    from runpod_deploy.schema.load import load

__all__ = ["Manifest", "Plan", "Run", "compile_job", "execute", "load"]

_HOMES = {
    "Manifest": "runpod_deploy.record.manifest",
    "Plan": "runpod_deploy.compiler.plan",
    "Run": "runpod_deploy.record.run",
    "compile_job": "runpod_deploy.compiler.compile",
    "execute": "runpod_deploy.executor.run",
    "load": "runpod_deploy.schema.load",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
