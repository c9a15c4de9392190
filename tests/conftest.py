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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests that wait (for pods, servers, timeouts) evenly among those that compute.

    In the order of the folders, all that computes ends first and the processor idles through the rest.
    """
    waiting = [item for item in items if any(item.get_closest_marker(name) for name in WAITS)]
    computing = [item for item in items if not any(item.get_closest_marker(name) for name in WAITS)]
    places = [(i / len(waiting), item) for i, item in enumerate(waiting)]
    places += [(i / len(computing), item) for i, item in enumerate(computing)]
    items[:] = [item for _, item in sorted(places, key=lambda place: place[0])]
