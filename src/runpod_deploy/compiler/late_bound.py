"""Tokens for values that exist only once a plan is applied, filled by plain substitution."""

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


def fill_quoted(text: str, values: Mapping[str, str]) -> str:
    """Fill a shell text whose tokens all stand between single quotes, as in the pod scripts.

    The `sh` filter of those templates quotes whatever holds a token, so a folder named `it's mine`
    cannot end the quotes.
    """
    return fill(text, {name: value.replace("'", "'\\''") for name, value in values.items()})
