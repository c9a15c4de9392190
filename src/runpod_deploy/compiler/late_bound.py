"""Tokens for values that exist only once a plan is applied, and their filling by plain substitution."""

import re
from collections.abc import Mapping

LATE_BOUND = (
    "run_id",
    "run_dir",
    "project_root",
    "config_dir",
    "pod_id",
    "gpu_id",
    "datacenter_id",
)
MARK = "@@rd:"
_TOKEN = re.compile(r"@@rd:([a-z_]+)@@")


def token(name: str) -> str:
    """Return the token that stands for `name` in a plan."""
    return f"{MARK}{name}@@"


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace each token in `text` by its value; one whose value is not known yet is left alone."""
    return _TOKEN.sub(lambda match: values.get(match[1], match[0]), text)
