"""What changed between two texts, line by line, in time that grows little faster than the texts.

Lines that stand once on both sides are matched first and hold the rest in place (patience diff);
what lies between them is small as a rule and is left to difflib. Where it is not, it counts as
replaced, so that no text can make the comparison slow.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 3
NO_BREAK = "\\ No newline at end of file"
_SMALL = 40_000  # lines before × lines after


class Block(NamedTuple):
    """Lines `before[a:b]` that became `after[c:d]`; equal ones do not occur in any block."""

    a: int
    b: int
    c: int
    d: int


def changed_blocks(before: Sequence[str], after: Sequence[str]) -> list[Block]:
    """Return the places where two lists of lines differ, in order, none next to another."""
    blocks: list[Block] = []
    for block in _blocks(before, after):
        last = blocks[-1] if blocks else None
        if last is not None and (last.b, last.d) == (block.a, block.c):
            blocks[-1] = Block(last.a, block.b, last.c, block.d)
        else:
            blocks.append(block)
    return blocks


def unified(before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff of two texts, without a header; nothing when they agree.

    As in other tools, a last line without a line break is followed by a line that says so.
    """
    old, new = lines_of(before), lines_of(after)
    for hunk in _hunks(changed_blocks(old, new)):
        first, last = hunk[0], hunk[-1]
        lead = min(CONTEXT, first.a, first.c)
        tail = min(CONTEXT, len(old) - last.b, len(new) - last.d)
        yield (
            f"@@ -{_range(first.a - lead, last.b + tail)} +{_range(first.c - lead, last.d + tail)} @@"
        )
        at = first.a - lead
        for block in hunk:
            yield from _marked(" ", old[at : block.a])
            yield from _marked("-", old[block.a : block.b])
            yield from _marked("+", new[block.c : block.d])
            at = block.b
        yield from _marked(" ", old[at : at + tail])


def lines_of(text: str) -> list[str]:
    """Return the lines of `text`, each with its line break; only the last may lack it."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.removesuffix("\n")
        if not line.endswith("\n"):
            yield NO_BREAK


def _range(begin: int, end: int) -> str:
    return f"{begin + 1 if end > begin else begin},{end - begin}"


def _hunks(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield blocks by hunk: those whose context would touch stand together."""
    hunk: list[Block] = []
    for block in blocks:
        if hunk and block.a - hunk[-1].b > 2 * CONTEXT:
            yield hunk
            hunk = []
        hunk.append(block)
    if hunk:
        yield hunk


def _blocks(before: Sequence[str], after: Sequence[str]) -> Iterator[Block]:
    pending = [Block(0, len(before), 0, len(after))]
    while pending:
        block = _trimmed(before, after, pending.pop())
        if block.a == block.b or block.c == block.d:
            if block.a != block.b or block.c != block.d:
                yield block
            continue
        anchors = _anchors(before, after, block)
        if anchors:
            pending += reversed(list(_between(block, anchors)))
        else:
            yield from _small(before, after, block)


def _trimmed(before: Sequence[str], after: Sequence[str], block: Block) -> Block:
    a, b, c, d = block
    while a < b and c < d and before[a] == after[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and before[b - 1] == after[d - 1]:
        b, d = b - 1, d - 1
    return Block(a, b, c, d)


def _between(block: Block, anchors: Sequence[tuple[int, int]]) -> Iterator[Block]:
    a, c = block.a, block.c
    for i, j in anchors:
        yield Block(a, i, c, j)
        a, c = i + 1, j + 1
    yield Block(a, block.b, c, block.d)


def _anchors(before: Sequence[str], after: Sequence[str], block: Block) -> list[tuple[int, int]]:
    """Return pairs of places of lines that stand once on each side, the longest rising run."""
    once_before = Counter(before[block.a : block.b])
    once_after = Counter(after[block.c : block.d])
    place = {
        line: index
        for index, line in enumerate(after[block.c : block.d], block.c)
        if once_after[line] == 1 and once_before[line] == 1
    }
    pairs = [
        (index, place[line])
        for index, line in enumerate(before[block.a : block.b], block.a)
        if line in place
    ]
    return _rising(pairs)


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of `pairs`, sorted by the first, in which the second rises too."""
    ends: list[int] = []
    piles: list[int] = []
    previous: list[int] = []
    for number, (_, j) in enumerate(pairs):
        pile = bisect_left(ends, j)
        previous.append(piles[pile - 1] if pile else -1)
        if pile == len(ends):
            ends.append(j)
            piles.append(number)
        else:
            ends[pile], piles[pile] = j, number
    run = []
    at = piles[-1] if piles else -1
    while at >= 0:
        run.append(pairs[at])
        at = previous[at]
    return run[::-1]


def _small(before: Sequence[str], after: Sequence[str], block: Block) -> Iterator[Block]:
    a, b, c, d = block
    if (b - a) * (d - c) > _SMALL:
        yield block
        return
    matcher = SequenceMatcher(None, before[a:b], after[c:d], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            yield Block(a + i, a + j, c + k, c + m)
