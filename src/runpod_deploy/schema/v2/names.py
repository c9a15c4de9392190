"""The names that the placeholders of one file may use, and what version 3 calls each."""

from collections.abc import Iterable, Mapping

from runpod_deploy.schema.v2.placeholders import BUILT_INS, PLACEHOLDER, placeholders

_TAKEN = frozenset(
    (
        *("pod_id", "gpu_id", "datacenter_id"),
        *("true", "false", "none", "True", "False", "None"),
        *("not", "and", "or", "in", "is", "if", "else"),
        *("self", "super", "caller", "loop", "varargs", "kwargs"),
    )
)
"""Names that mean something else in the templates of version 3."""


def is_name(word: str) -> bool:
    """Return whether a placeholder could name a variable called `word`."""
    return PLACEHOLDER.fullmatch(f"{{{word}}}") is not None


def known_names(variables: Iterable[str]) -> dict[str, str]:
    """Return each name that placeholders may use, and its name in version 3."""
    declared = [name for name in variables if is_name(name)]
    names = {name: name for name in (*BUILT_INS, *declared) if name not in _TAKEN}
    for name in declared:
        if name in _TAKEN:
            free = f"{name}_"
            while free in names.values():
                free += "_"
            names[name] = free
    return names


def usable_names(name: str, variables: Mapping[str, str]) -> frozenset[str]:
    """Return the variables that the value of `name` may use without ever needing itself."""
    below = {word for word, _ in placeholders(variables[name]) if word in variables}
    return frozenset(word for word in below if name not in _reached(word, variables))


def _reached(start: str, variables: Mapping[str, str]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for word, _ in placeholders(variables[waiting.pop()]):
            if word in variables and word not in reached:
                reached.add(word)
                waiting.append(word)
    return reached
