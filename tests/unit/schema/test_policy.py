"""Policy files: what may stand in them, and what is said of one that cannot be used."""

from pathlib import Path

import pytest

from runpod_deploy.compiler.policy.rules import RULES
from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.policy import load_policy, policy_schema


def found(tmp_path: Path, text: str) -> list[Diagnostic]:
    """Return what is said about a policy file with that text."""
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        load_policy(file)
    return list(refused.value.diagnostics)


def test_the_described_rules_are_those_that_are_checked() -> None:
    """No rule is published without a check, and none is checked that nobody can know of."""
    assert policy_schema()["properties"]["rules"]["properties"].keys() == RULES.keys()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_reads_well_in_a_hover(name: str) -> None:
    """Each rule is described in sentences, with an example that it accepts."""
    schema = policy_schema()
    rule = schema["properties"]["rules"]["properties"][name]

    assert rule["description"].endswith(".")
    assert rule["examples"]
    assert all(conforms(example, rule, schema) for example in rule["examples"])


def test_a_rule_knows_its_place(tmp_path: Path) -> None:
    """A rule is told with file, line and column, so that a finding can lead there."""
    file = tmp_path / "policy.yaml"
    file.write_text("policy_version: 1\nrules:\n  max_gpu_count: 2\n")
    policy = load_policy(file)

    assert (3, 3) == (policy.place("max_gpu_count").line, policy.place("max_gpu_count").column)
    assert "  max_gpu_count: 2" == policy.line("max_gpu_count")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """An unknown rule, a value of another kind and one out of range are three findings."""
    text = "policy_version: 1\nrules:\n  max_costs: 3\n  max_gpu_count: two\n  max_volume_gb: -1\n"

    codes = [(one.code, one.where.line if one.where else 0) for one in found(tmp_path, text)]

    assert [("unknown-key", 3), ("wrong-type", 4), ("out-of-range", 5)] == codes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"),
        ("- a\n", "wrong-type"),
        ("rules: {max_gpu_count: 1}\n", "missing-key"),
        ("policy_version: 1\nrules: {}\n", "policy-without-rules"),
        ("policy_version: 2\nrules: {max_gpu_count: 1}\n", "newer-version"),
        ("policy_version: 1\nrules: {allowed_images: []}\n", "out-of-range"),
        ("policy_version: 1\nrules:\n  max_gpu_count: 1\n  max_gpu_count: 2\n", "duplicate-key"),
        ("policy_version: 1\nrules: {max_gpu_count: null}\n", "wrong-type"),
        ("policy_version: 1\nrules: [\n", "yaml-syntax"),
    ],
)
def test_a_policy_that_cannot_be_used_says_why(tmp_path: Path, text: str, code: str) -> None:
    """A policy that asks nothing, or what is not known, does not pass for one that is kept."""
    said = found(tmp_path, text)

    assert code in [one.code for one in said]
    assert not any("job file" in f"{one.summary} {one.detail}".lower() for one in said)


def test_a_policy_that_is_not_there_is_called_one(tmp_path: Path) -> None:
    """The message speaks of a policy file, with the near miss."""
    (tmp_path / "policy.yaml").write_text("policy_version: 1\n")
    with pytest.raises(InvalidInput) as refused:
        load_policy(tmp_path / "polcy.yaml")
    (said,) = refused.value.diagnostics

    assert "Policy file not found" == said.summary
    assert said.suggestion is not None
    assert said.suggestion.endswith("policy.yaml")
