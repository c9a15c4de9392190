"""Violations of request schemas are found and worded as the API words them."""

import pytest

from runpod_deploy.emulator.request_schemas import (
    CREATE_POD_WITHOUT_TEMPLATE,
    CREATE_VOLUME,
    POD_ACTION,
    UPDATE_SSH_KEYS,
    UPDATE_VOLUME,
)
from runpod_deploy.emulator.shape import violations

POD = {"name": "a", "image": "b"}


def test_missing_and_unknown_property() -> None:
    """The recorded pair of a misspelt property: one is missing, one is not allowed."""
    body = {"name": "a", "size": 10, "dataCenterId": "EU-RO-1"}
    expected = [
        "$: missing property 'dataCenter'",
        "$: additional properties 'dataCenterId' not allowed",
    ]
    assert expected == violations(body, CREATE_VOLUME)


def test_unknown_action() -> None:
    """The recorded text of an action that does not exist."""
    expected = ["$.action: value must be one of 'start', 'stop', 'restart', 'terminate'"]
    assert expected == violations({"action": "reset"}, POD_ACTION)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"disk": "20"}, "$.disk: got string, want integer"),
        ({"disk": True}, "$.disk: got boolean, want integer"),
        ({"disk": 0}, "$.disk: minimum: got 0, want 1"),
        ({"disk": 20.5}, "$.disk: got number, want integer"),
        ({"name": ""}, "$.name: minLength: got 0, want 1"),
        ({"env": {"A": 1}}, "$.env.A: got integer, want string"),
        ({"registry": 3}, "$.registry: got integer, want string or null"),
        ({"ports": "22/tcp"}, "$.ports: got string, want array"),
        ({"ports": [22]}, "$.ports[0]: got integer, want string"),
        ({"cloud": "ALL"}, "$.cloud: value must be one of 'SECURE', 'COMMUNITY'"),
        ({"gpu": {"count": 1}}, "$.gpu: missing property 'id'"),
        ({"gpu": {"id": "x", "n": 1}}, "$.gpu: additional properties 'n' not allowed"),
        (
            {"gpu": {"id": "x", "minCudaVersion": "12"}},
            r"$.gpu.minCudaVersion: '12' does not match pattern '^\d+\.\d+$'",
        ),
        (
            {"mounts": {"network": [{"volumeId": "v", "path": "/w"}] * 2}},
            "$.mounts.network: maxItems: got 2, want 1",
        ),
        (
            {"mounts": {"network": [{}]}},
            "$.mounts.network[0]: missing properties 'volumeId', 'path'",
        ),
    ],
)
def test_violation(changes: dict[str, object], expected: str) -> None:
    """Each kind of violation is one line with its path."""
    assert [expected] == violations(POD | changes, CREATE_POD_WITHOUT_TEMPLATE)


def test_whole_float_is_an_integer() -> None:
    """JSON has one kind of number: 20.0 is an integer."""
    assert [] == violations(POD | {"disk": 20.0}, CREATE_POD_WITHOUT_TEMPLATE)


def test_empty_update_is_refused() -> None:
    """An update must change something."""
    assert ["$: minProperties: got 0, want 1"] == violations({}, UPDATE_VOLUME)


def test_body_of_another_kind() -> None:
    """A list is no body."""
    assert ["$: got array, want object"] == violations([], UPDATE_VOLUME)


def test_public_key_pattern() -> None:
    """A public key is one line that begins with its type."""
    assert [] == violations({"keys": ["ssh-ed25519 AAAA me"]}, UPDATE_SSH_KEYS)
    assert 1 == len(violations({"keys": ["ssh-ed25519 AAAA\nssh-rsa BBBB"]}, UPDATE_SSH_KEYS))
