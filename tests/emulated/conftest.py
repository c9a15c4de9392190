"""Benches: each test gets a machine of its own, with a home, a project and an emulator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A user's machine; its emulator and pods end with the test."""
    bench = Bench(tmp_path)
    yield bench
    bench.close()
