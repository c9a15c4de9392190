"""From the bytes of a file to text that a YAML parser can be trusted with."""

import re

from runpod_deploy.schema.report import Report, Stop

MAX_BYTES = 1024 * 1024
MAX_DIRECTIVES = 10
_BREAK = re.compile(r"\r\n|\r|\n")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# YAML's printable characters, without the three that only YAML 1.1 takes for line breaks.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def decode(raw: bytes, report: Report) -> str:
    """Return the text of `raw` without a byte order mark and give `report` its lines.

    Raises:
        Stop: The file is too large, empty, not UTF-8, or holds characters YAML does not allow.
    """
    if len(raw) > MAX_BYTES:
        raise report.fatal(
            "file-too-large",
            "File too large",
            f"A {report.what} may hold at most 1 MiB, and `{report.file}` is larger.",
            None,
            help="Put data into files of the project and name them under `staging`.",
        )
    text = _decode_utf8(raw, report)
    report.lines = tuple(_BREAK.split(text))
    _refuse_characters(text, report)
    _refuse_directives(text, report)
    return text


def _decode_utf8(raw: bytes, report: Report) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error.start, report) from None


def _not_utf8(raw: bytes, start: int, report: Report) -> Stop:
    before = _BREAK.split(raw[:start].decode("utf-8-sig", errors="replace"))
    if raw.startswith(_UTF16):
        detail = f"A {report.what} is read as UTF-8; this one begins like UTF-16."
        before = [""]
    else:
        detail = (
            f"A {report.what} is read as UTF-8; the byte 0x{raw[start]:02x} here does not belong "
            "to it."
        )
        report.lines = tuple(_BREAK.split(raw.decode("utf-8-sig", errors="replace")))
    return report.fatal(
        "not-utf-8",
        "File is not UTF-8",
        detail,
        (len(before), len(before[-1]) + 1),
        help="Save the file as UTF-8.",
    )


def _refuse_characters(text: str, report: Report) -> None:
    match = _FORBIDDEN.search(text)
    if match is None:
        return
    before = _BREAK.split(text[: match.start()])
    raise report.fatal(
        "forbidden-character",
        "Character not allowed in YAML",
        f"The character U+{ord(match[0]):04X} may not stand in a YAML file.",
        (len(before), len(before[-1]) + 1),
        help='Remove it, or write it as an escape in double quotes, such as "\\x1b".',
    )


def _refuse_directives(text: str, report: Report) -> None:
    # libyaml compares each %TAG with all before it: a file full of them would take minutes.
    if text.count("\n%") + text.count("\r%") > MAX_DIRECTIVES:
        line = next(n for n, content in enumerate(report.lines, 1) if content.startswith("%"))
        raise report.fatal(
            "too-many-directives",
            "Too many YAML directives",
            f"Lines that begin with % are YAML directives; a {report.what} needs none.",
            (line, 1),
            help="Remove them.",
        )
