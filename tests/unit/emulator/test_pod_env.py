"""What the first process of an emulated pod has in its environment."""

import pytest

from runpod_deploy.emulator.pod_env import filled


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{{ RUNPOD_SECRET_hub }}", "s3cret"),
        ("a:{{RUNPOD_SECRET_hub}}:{{ RUNPOD_SECRET_hub }}", "a:s3cret:s3cret"),
        ("{{ RUNPOD_SECRET_other }}", "{{ RUNPOD_SECRET_other }}"),
        ("{{ HOME }}", "{{ HOME }}"),
    ],
)
def test_references_to_the_accounts_secrets_are_filled_in(written: str, expected: str) -> None:
    """Those that the account has; what is no reference, or to nothing, stays as it was written."""
    account = {"RUNPOD_SECRET_hub": "s3cret", "HOME": "/home/me"}
    assert {"A": expected} == filled({"A": written}, account)
