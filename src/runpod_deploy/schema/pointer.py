"""JSON pointers (RFC 6901): how one value of a document is named, for programs and for people."""

from runpod_deploy.schema.plain import escape

__all__ = ["child", "dotted", "escape", "parent", "split"]


def child(pointer: str, key: str | int) -> str:
    """Return the pointer of the value under `key` of the value at `pointer`."""
    return f"{pointer}/{key if isinstance(key, int) else escape(key)}"


def parent(pointer: str) -> str:
    """Return the pointer of the container; the document for a top-level key."""
    return pointer.rpartition("/")[0]


def split(pointer: str) -> tuple[str, ...]:
    """Return the unescaped keys of `pointer`, list indexes as digits."""
    if not pointer:
        return ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def dotted(pointer: str) -> str:
    """Return `pointer` as people write it: `artifacts[0].label`; empty for the document."""
    name = ""
    for part in split(pointer):
        name += f"[{part}]" if part.isdecimal() else f".{part}" if name else part
    return name
