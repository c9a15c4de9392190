"""Names and the patterns that allow them."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from runpod_deploy.compiler.image_name import HUB, parse_image


def allowed(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether one of the patterns is `name`; in them, only `*` and `?` are special."""
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def image_allowed(image: str, patterns: Sequence[str]) -> bool:
    """Tell whether an image is allowed, by the name as written or by its full one.

    A pattern without tag and digest allows all of them.
    """
    return any(allowed(name, patterns) for name in _names(image))


def _names(image: str) -> Iterator[str]:
    yield image
    reference = parse_image(image)
    if reference is None:
        return
    yield _without_tag(image)
    for name in (str(reference), f"{reference.registry}/{reference.repository}"):
        yield name
        if reference.registry == HUB:
            yield name.removeprefix(f"{HUB}/")


def _without_tag(image: str) -> str:
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
