"""A byte stream from a pod, cut into lines that are fit for a terminal."""

import codecs
import re

from runpod_deploy.cli.printable import log_line

LONGEST = 2000
MOST_KEPT = 1 << 18
"""Characters of an unfinished line where all of it is shown."""

OUTPUT_ENDS = frozenset({"command_completed", "job_ended"})
"""Events after which a program prints no more, so that its last line is whole."""

# Told as events; they stay in run.log.
_STEP_MARK = re.compile(r"\s*__RUNPOD_STEP_(?:START|DONE)__.+?__\s*")


class LogText:
    """Cuts one stream; a line that draws itself again after a carriage return shows its last form.

    Args:
        longest: Characters of a line that are shown; None for all of them.

    Attributes:
        partial: What stands behind the last line break, as it would show now.
    """

    def __init__(self, longest: int | None = LONGEST) -> None:
        self._longest = longest
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def partial(self) -> str:
        """The line that is not complete yet."""
        return self._shown(self._rest)

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that `piece` completes."""
        *lines, rest = (self._rest + self._decoder.decode(piece)).split("\n")
        # A program that never breaks its line must not fill the memory.
        room = self._longest or MOST_KEPT
        self._rest = rest[-room * 2 :] if len(rest) > room * 4 else rest
        return [self._shown(line) for line in lines if not _STEP_MARK.fullmatch(line)]

    def flush(self) -> list[str]:
        """Return the unfinished line at the end of the stream, if there is one."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [self._shown(rest)] if rest else []

    def _shown(self, text: str) -> str:
        forms = [form for form in text.split("\r") if form]
        line = log_line(forms[-1]) if forms else ""
        longest = self._longest or len(line)
        return line if len(line) <= longest else line[: longest - 1] + "…"
