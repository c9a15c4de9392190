"""The published JSON Schema documents, as they lie in this package."""

from pathlib import Path

_SUFFIX = ".schema.json"
_FOLDER = Path(__file__).parent

SCHEMA_NAMES: tuple[str, ...] = tuple(
    sorted(path.name.removesuffix(_SUFFIX) for path in _FOLDER.glob(f"*{_SUFFIX}"))
)
"""The documents there are: `job`, and those of the run folder's files."""


def schema_document(name: str) -> bytes:
    """Return the document `name`, UTF-8.

    Raises:
        KeyError: There is no such document; `SCHEMA_NAMES` lists them.
    """
    if name not in SCHEMA_NAMES:
        raise KeyError(name)
    return (_FOLDER / f"{name}{_SUFFIX}").read_bytes()
