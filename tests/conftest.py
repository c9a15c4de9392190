"""What holds for every test."""

import pytest
from hypothesis import HealthCheck, settings

WAITS = ("emulated", "interop")

# The same examples at each run: a red test is about the change, not about the dice. `--hypothesis-seed=N`
# with `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def _share(item: pytest.Item) -> float:
    """Return in what first part of the test run a test has its place."""
    if item.get_closest_marker("long"):
        return 0.5
    return 0.85 if any(item.get_closest_marker(name) for name in WAITS) else 1.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests that wait (for pods, servers, timeouts) evenly among those that compute.

    In the order of the folders, all that computes ends first and the processor idles through the rest.
    What is left for the end is short, so that the workers end together.
    """
    kinds: dict[float, list[pytest.Item]] = {}
    for item in items:
        kinds.setdefault(_share(item), []).append(item)
    places = [
        (share * i / len(alike), item)
        for share, alike in kinds.items()
        for i, item in enumerate(alike)
    ]
    items[:] = [item for _, item in sorted(places, key=lambda place: place[0])]
