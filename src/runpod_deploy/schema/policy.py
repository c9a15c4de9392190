"""A policy file: what the plans of a team may do, read with the place of every rule."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from runpod_deploy.errors import Position
from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.load import invalid
from runpod_deploy.schema.read_file import read_file
from runpod_deploy.schema.report import FileKind, Report, Stop
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml

VERSION = 1
POLICY_FILE = FileKind(
    name="policy file",
    least="`policy_version` and `rules`",
    begin="A policy of one rule:\n\n  policy_version: 1\n  rules:\n    max_cost_cap_usd: 40",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The rules of one file.

    Attributes:
        file: The file as the user named it.
        rules: Name of each rule that is written to its limit.
        help: What to do when a plan is refused, None when the file does not say.
    """

    file: str
    rules: Mapping[str, Any]
    help: str | None
    source: YamlSource

    def place(self, rule: str) -> Position:
        """Return where a rule is written."""
        return self.source.key_positions[f"/rules/{rule}"]

    def line(self, rule: str) -> str:
        """Return the line that a rule is written in."""
        return self.source.lines[self.place(rule).line - 1]


def load_policy(path: Path) -> Policy:
    """Read the policy at `path`.

    Raises:
        InvalidInput: It cannot be read or says something that cannot be; holds every diagnostic.
    """
    report = Report(file=str(path), kind=POLICY_FILE)
    try:
        return read_policy(read_file(path, report), report)
    except Stop:
        raise invalid(report) from None


def read_policy(raw: bytes, report: Report) -> Policy:
    """Return the policy in `raw`; what is wrong with it is noted in `report`.

    Raises:
        Stop: Something is.
    """
    source = read_yaml(raw, report)
    _check(source, report)
    if report.found:
        raise Stop
    return Policy(
        file=report.file,
        rules=source.data["rules"],
        help=source.data.get("help"),
        source=source,
    )


@cache
def policy_schema() -> Mapping[str, Any]:
    """Return the description of a policy file; shared, not to be changed."""
    schema: Mapping[str, Any] = json.loads(schema_document("policy"))
    return schema


def _check(source: YamlSource, report: Report) -> None:
    data, schema = source.data, policy_schema()
    said = data.get("policy_version") if isinstance(data, dict) else None
    if type(said) is int and said > VERSION:
        raise report.fatal(
            "newer-version",
            "File of a newer version",
            f"This file has policy version {said}, and this release reads version {VERSION}.",
            source.positions["/policy_version"],
            help="Upgrade runpod-deploy.",
        )
    if not conforms(data, schema, schema):
        from runpod_deploy.schema.explain import report_misfits  # noqa: PLC0415 - slow to import

        report_misfits(source, schema, frozenset(), report)
    elif not data["rules"]:
        report.error(
            "policy-without-rules",
            "Policy without rules",
            "`rules` is empty, so every plan would pass.",
            source.positions["/rules"],
            help="Write a rule, or do without --policy. What there is:\n  runpod-deploy schema policy",
        )
