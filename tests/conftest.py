"""What holds for every test."""

from hypothesis import HealthCheck, settings

# The same examples at each run: a red test is about the change, not about the dice. `--hypothesis-seed=N`
# with `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
