"""The Python programs that lie on a pod, loaded as a pod's interpreter does: by their folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import runpod_deploy.templates

FOLDER = Path(runpod_deploy.templates.__file__).parent / "pod"


def load(name: str) -> ModuleType:
    """Return a fresh copy of a program, beside the modules that lie with it."""
    path = [*sys.path]
    try:
        spec = importlib.util.spec_from_file_location(f"pod_{name}", FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop("bucket", None)
        sys.path[:] = path
    return module
