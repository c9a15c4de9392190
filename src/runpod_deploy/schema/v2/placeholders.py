"""The placeholders of version 2: `{name}`, replaced in one pass, with no way to escape one.

They become templates of version 3, so that the compiler knows one kind of template only. What looks
like a template of version 3 is text in version 2, and is written so that it stays text.
"""

import re
from collections.abc import Iterator, Mapping

BUILT_INS = ("config_dir", "project_root", "run_dir", "run_id", "job_name", "volume_mount")
"""Names that every file of version 2 knows."""

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACES = re.compile(r"\{{2,}")
_BRACES_BEFORE = re.compile(r"\{{2,}|\{\Z")


def placeholders(text: str) -> Iterator[tuple[str, int]]:
    """Yield the name of each placeholder in `text`, and the offset of its brace."""
    for found in PLACEHOLDER.finditer(text):
        yield found[1], found.start()


def as_template(text: str, names: Mapping[str, str], quote: str = "'") -> str:
    """Return the template of version 3 that yields what version 2 made of `text`.

    Args:
        text: As written in a file of version 2.
        names: Each known name and what version 3 calls it; other placeholders stay as they are.
        quote: How a single quote is written where the result goes.
    """

    def quoted(braces: re.Match[str]) -> str:
        return f"{{{{ {quote}{braces[0]}{quote} }}}}"

    if "{" not in text:
        return text
    pieces: list[str] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        if found[1] in names:
            pieces.append(_BRACES_BEFORE.sub(quoted, text[end : found.start()]))
            pieces.append(f"{{{{ {names[found[1]]} }}}}")
            end = found.end()
    pieces.append(_BRACES.sub(quoted, text[end:]))
    return "".join(pieces)


def filled(text: str, values: Mapping[str, str], limit: int = 10_000) -> str:
    """Return `text` with the known `values` put in, as far as that can be told beforehand.

    Values may hold placeholders themselves; after a few rounds, or beyond `limit` characters, what is
    left open stays open.
    """
    for _ in range(5):
        result = PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)
        if result == text or len(result) > limit:
            break
        text = result
    return text
