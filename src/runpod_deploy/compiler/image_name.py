"""The name of a container image, read as Docker reads it."""

import re
from dataclasses import dataclass

HUB = "docker.io"
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,128}))?"
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReference:
    """An image as a registry knows it; `reference` is a tag or a digest, which wins."""

    registry: str
    repository: str
    reference: str

    @property
    def pinned(self) -> bool:
        """Whether it is named by its digest, so that it is the same image tomorrow."""
        return ":" in self.reference

    def __str__(self) -> str:
        sign = "@" if self.pinned else ":"
        return f"{self.registry}/{self.repository}{sign}{self.reference}"


def parse_image(image: str) -> ImageReference | None:
    """Return the parts of an image name; None when it is none."""
    first, slash, rest = image.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if named else (HUB, image)
    parts = _REFERENCE.fullmatch(path)
    if parts is None or not _HOST.fullmatch(registry):
        return None
    name = parts["name"]
    if registry == HUB and "/" not in name:
        name = f"library/{name}"
    return ImageReference(
        registry=registry, repository=name, reference=parts["digest"] or parts["tag"] or "latest"
    )
