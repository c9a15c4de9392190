"""What a YAML parser's complaint means and what to do about it."""

from dataclasses import dataclass

from yaml.error import MarkedYAMLError, YAMLError

from runpod_deploy.schema.report import Report, Stop


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Our words for the complaints that contain `phrase`.

    Attributes:
        phrase: Part of what libyaml or PyYAML says.
        detail: What is wrong, in full sentences.
        help: What to do.
        at_start: The place to show is where the thing began, not where the parser gave up.
    """

    phrase: str
    detail: str
    help: str | None = None
    at_start: bool = False


_QUOTE = "Put the value in quotes."
_MEANINGS = (
    _Meaning(
        "mapping values are not allowed",
        "A colon followed by a space starts the value of a key, and none can start here: the line "
        "above may not be finished, the indentation may be off, or the value itself holds a colon.",
        "Put a value that holds a colon in quotes.",
    ),
    _Meaning(
        "could not find expected ':'",
        "This line looks like a key, and the colon after it is missing.",
        "Add the colon, or indent the line if it continues the value above.",
    ),
    _Meaning(
        "did not find expected key",
        "The keys of one section all begin in the same column, and this line begins in another.",
        "Indent the line like its neighbours.",
    ),
    _Meaning(
        "expected <block end>",
        "The keys or items of one section all begin in the same column, and this one does not.",
        "Indent the line like its neighbours.",
    ),
    _Meaning(
        "did not find expected '-' indicator",
        "The items of a list all begin with a dash in the same column, and this line does not.",
        "Begin the line with `- ` in the column of the other items, or indent it further.",
    ),
    _Meaning(
        "did not find expected ',' or ']'",
        "A list that begins with `[` needs commas between its items and a `]` at its end.",
    ),
    _Meaning(
        "expected ',' or ']'",
        "A list that begins with `[` needs commas between its items and a `]` at its end.",
    ),
    _Meaning(
        "did not find expected ',' or '}'",
        "A mapping that begins with `{` needs commas between its keys and a `}` at its end.",
    ),
    _Meaning(
        "expected ',' or '}'",
        "A mapping that begins with `{` needs commas between its keys and a `}` at its end.",
    ),
    _Meaning(
        "did not find expected node content",
        "A value is needed here: a bracket is not closed, or a comma or colon stands too many.",
    ),
    _Meaning(
        "expected the node content",
        "A value is needed here: a bracket is not closed, or a comma or colon stands too many.",
    ),
    _Meaning(
        "unexpected end of stream",
        "A quote is opened here and never closed.",
        "Close the quote.",
        at_start=True,
    ),
    _Meaning(
        "unknown escape character",
        "In double quotes a backslash begins an escape, and there is none with this letter.",
        "Use single quotes, which know no escapes, or write the backslash twice.",
    ),
    _Meaning("invalid Unicode character", "This escape stands for no character of Unicode."),
    _Meaning("incompatible YAML document", "This file asks for a YAML version that is not known."),
    _Meaning(
        "block sequence entries are not allowed",
        "A dash begins an item of a list, and no list can begin here.",
        "Begin the list on a line of its own below the key.",
    ),
    _Meaning(
        "undefined tag handle",
        "A word that begins with `!` is a YAML tag, and this one is not known.",
        _QUOTE,
    ),
    _Meaning("but found another document", "A file holds one document."),
    _Meaning(
        "did not find expected <document start>",
        "The document ends above, and this line is not indented as a part of it.",
        "Indent the line like its neighbours.",
    ),
    _Meaning(
        "while scanning an alias",
        "A value that begins with `*` is a YAML alias: a name of letters and digits must follow.",
        'Put a pattern such as `"*.pyc"` in quotes.',
        at_start=True,
    ),
    _Meaning(
        "while scanning an anchor",
        "A value that begins with `&` is a YAML anchor: a name of letters and digits must follow.",
        _QUOTE,
        at_start=True,
    ),
)


def syntax_error(error: YAMLError, report: Report) -> Stop:
    """Note the parser's complaint in our words; the caller raises what is returned."""
    if report.found and report.found[-1].code == "unquoted-template":
        return Stop()  # the parser stumbled over what follows the template
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if mark is None or not isinstance(error, MarkedYAMLError):
        detail = "The file could not be read as YAML."
        return report.fatal("yaml-syntax", "Malformed YAML", detail, (1, 1))
    line = report.lines[mark.line] if mark.line < len(report.lines) else ""
    said = f"{error.context} {error.problem}"
    meaning = _by_character(line, mark.column, said) or _by_phrase(said)
    detail = meaning.detail
    start = error.context_mark
    if start is not None and meaning.at_start:
        mark = start
    elif start is not None and start.line != mark.line and "flow" in str(error.context):
        detail += f" It begins in line {start.line + 1}, column {start.column + 1}."
    at = (mark.line + 1, mark.column + 1)
    if mark.line + 1 >= len(report.lines) and not line.strip():
        at = _last_text(report.lines)
    return report.fatal("yaml-syntax", "Malformed YAML", detail, at, help=meaning.help)


def _by_character(line: str, column: int, said: str) -> _Meaning | None:
    template = line.find("{{")
    before = line[:template].rstrip()
    if 0 <= template <= column and before.endswith((":", "-", "[", ",")):
        return _Meaning(
            "",
            "A value that begins with a template must be quoted: without quotes YAML takes `{` for "
            "the start of a mapping.",
            "Put the whole value in double quotes.",
        )
    character = line[column : column + 1]
    if character == "\t" or (not line[:column].strip() and "\t" in line[:column]):
        return _Meaning(
            "",
            "YAML is indented by spaces; here stands a tab.",
            "Indent by spaces; most editors can convert the file.",
        )
    if character in ("@", "`", "%") and "cannot start any token" in said:
        return _Meaning("", f"No unquoted value may begin with the character {character}.", _QUOTE)
    return None


def _by_phrase(said: str) -> _Meaning:
    for meaning in _MEANINGS:
        if meaning.phrase in said:
            return meaning
    words = said.removeprefix("None").strip()
    return _Meaning("", f"The file cannot be read as YAML beyond this place: {words}.")


def _last_text(lines: tuple[str, ...]) -> tuple[int, int]:
    for number in range(len(lines), 0, -1):
        if lines[number - 1].strip():
            return number, len(lines[number - 1])
    return 1, 1
