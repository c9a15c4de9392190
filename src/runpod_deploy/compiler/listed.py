"""What this release knows of RunPod's catalog: ids, and what the hover says about each."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal

from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.validate import job_schema

_PRICE = re.compile(r"(Secure|Community) Cloud ([0-9]+\.[0-9]+)")
_SHORTEST = 4


@cache
def listed(name: Literal["gpu", "datacenter"]) -> Mapping[str, str]:
    """Return each id of an open list of the schema with what is known about it."""
    choice = job_schema()["$defs"][name]["anyOf"][0]
    return dict(zip(choice["enum"], choice["enumDescriptions"], strict=True))


@cache
def listed_price(gpu: str, cloud: str) -> float | None:
    """Return USD per GPU and hour as of this release; None when it is not known.

    Args:
        cloud: `SECURE` or `COMMUNITY`.
    """
    prices = {kind.upper(): float(usd) for kind, usd in _PRICE.findall(listed("gpu").get(gpu, ""))}
    return prices.get(cloud)


def near_names(word: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the ids that hold all the words of `word`, or it as one, else the one spelt most alike."""
    known = list(known)
    wanted = _words(word)
    together = "".join(re.findall(r"[a-z0-9]+", word.lower()))
    having = [
        name
        for name in known
        if (wanted and wanted <= _words(name))
        or (len(together) >= _SHORTEST and together in re.sub(r"[^a-z0-9]", "", name.lower()))
    ]
    if having:
        return sorted(having, key=lambda name: (len(_words(name)), name))[:most]
    near = near_miss(word, known)
    return [] if near is None else [near]


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9.]+", name.lower()))
