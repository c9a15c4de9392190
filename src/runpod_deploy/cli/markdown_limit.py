"""A Markdown document that fits into a comment: what matters less is cut first, and named.

GitHub takes 65,536 characters. Counted here are bytes of UTF-8, and line breaks twice, which is
never fewer than anybody's count of characters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MOST = 65_000
_LEAST_SHARE = 700
_CUT_ROOM = 4_500
_NAMED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A stretch of the document.

    Attributes:
        name: What the list of cuts calls it; one line of Markdown that is safe.
        head: Lines that stand before the body, if there is room for the part at all.
        body: Lines that may be cut from the end.
        foot: Lines that close what the head has opened.
        noun: What a line of the body is.
        kept: Whether head and foot are there in any case; only for short ones.
    """

    name: str
    head: Sequence[str] = ()
    body: Sequence[str] = ()
    foot: Sequence[str] = ()
    noun: str = "line"
    kept: bool = False


@dataclass(slots=True)
class _Cuts:
    said: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        if not self.said:
            return []
        more = len(self.said) - _NAMED
        rest = [f"- and {more:,} more parts"] if more > 0 else []
        head = "**Cut to fit into a comment** (the plan itself holds everything):"
        return [head, "", *(f"- {one}" for one in self.said[:_NAMED]), *rest, ""]


def weight(lines: Iterable[str]) -> int:
    """Return what lines, and the breaks after them, count."""
    return sum(len(line.encode("utf-8", "replace")) + 2 * (line.count("\n") + 1) for line in lines)


def fitted(parts: Sequence[Part], most: int = MOST) -> str:
    """Return the document; its weight is at most `most`.

    First come heads and feet that are `kept`. Then the parts share the room evenly: what one does
    not need goes to the others. Where even that is too little, the later ones are left out.

    Raises:
        ValueError: What is to be kept is longer than `most`.
    """
    frames = [weight([*part.head, *part.foot]) if part.kept else 0 for part in parts]
    room = most - _CUT_ROOM - sum(frames)
    if room < 0:
        raise ValueError("the parts that are kept are longer than the limit")
    cuts = _Cuts()
    lines: list[str] = []
    share = max(_LEAST_SHARE, _even_share(list(map(_need, parts)), room))
    for part, frame in zip(parts, frames, strict=True):
        if not _wants_room(part):
            lines += _whole(part)
            continue
        shown = _within(part, min(room, share) + frame, cuts)
        room -= weight(shown) - frame
        lines += shown
    return "\n".join([*lines, *cuts.lines()]).rstrip("\n") + "\n"


def _even_share(needs: Sequence[int], room: int) -> int:
    """Return the most that each may take so that all together, none more than it needs, fit."""
    ordered = sorted(needs)
    for number, need in enumerate(ordered):
        left = len(ordered) - number
        if need * left > room:
            return max(room, 0) // left
        room -= need
    return ordered[-1] if ordered else 0


def _wants_room(part: Part) -> bool:
    return bool(part.body) or not part.kept


def _need(part: Part) -> int:
    return weight(part.body if part.kept else _whole(part))


def _whole(part: Part) -> list[str]:
    return [*part.head, *part.body, *part.foot]


def _within(part: Part, room: int, cuts: _Cuts) -> list[str]:
    whole = _whole(part)
    if weight(whole) <= room:
        return whole
    lines = [*part.head]
    noted = f"… {len(part.body):,} more {part.noun}s"
    room -= weight([*part.head, *part.foot, noted])
    shown = 0
    for line in part.body:
        room -= weight([line])
        if room < 0:
            break
        lines.append(line)
        shown += 1
    if not shown:
        cuts.said.append(f"{part.name}: not shown, {_count(len(part.body), part.noun)}")
        return [*part.head, *part.foot] if part.kept else []
    left = len(part.body) - shown
    cuts.said.append(f"{part.name}: {left:,} of {_count(len(part.body), part.noun)} cut")
    return [*lines, f"… {left:,} more {part.noun}{'' if left == 1 else 's'}", *part.foot]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
