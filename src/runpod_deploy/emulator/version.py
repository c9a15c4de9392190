"""The version the emulator reports: that of the distribution it came with."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def emulator_version() -> str:
    """Give the installed version; "unknown" when it runs from a bare source tree."""
    try:
        return version("runpod-deploy")
    except PackageNotFoundError:
        return "unknown"
