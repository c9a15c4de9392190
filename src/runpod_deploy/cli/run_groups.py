"""Runs that differ alike, told once: as text, and as stretches of a comment; bounded, cuts named."""

from collections.abc import Callable, Iterator, Sequence

from runpod_deploy.cli import diff_summary as summary
from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.diff_markdown import parts_of_diff
from runpod_deploy.cli.diff_view import change_lines
from runpod_deploy.cli.layout import INDENT, folded
from runpod_deploy.cli.markdown import code
from runpod_deploy.cli.markdown_limit import Part
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.alike import Group

MOST_GROUPS = 10
_MOST_NAMES = 6
_MOST_OTHERS = 30


def group_lines(
    groups: Sequence[Group],
    style: Style,
    *,
    width: int,
    full: bool,
    within: bool = False,
    most: int | None = None,
) -> Iterator[str]:
    """Yield what differs as text.

    Args:
        within: Whether the runs are compared with the first of their own sweep.
        most: How many lines one group may have; None: all it needs.
    """
    for group in groups[:MOST_GROUPS]:
        heading = _heading(group, ", ".join(map(line, group.names)), line, within=within)
        yield from (style.bold(one) for one in folded(heading, width))
        yield ""
        changes = change_lines(group.diff, style, width=width, full=full)
        yield from changes[:most]
        if most is not None and len(changes) > most:
            cut = f"… {count(len(changes) - most, 'more line')} of this difference, in full with "
            yield from (style.dim(one) for one in (f"{INDENT}{cut}`plan --scripts`", ""))
    others = groups[MOST_GROUPS:]
    if others:
        yield style.dim(f"… and {count(len(others), 'other change')}, in --format json:")
        for group in others[:_MOST_OTHERS]:
            told = f"{_some(group, line)}: {line(summary.overview(group.diff))}"
            yield from (f"{INDENT}{one}" for one in folded(told, width - len(INDENT)))
        if len(others) > _MOST_OTHERS:
            yield f"{INDENT}… and {len(others) - _MOST_OTHERS:,} more"
        yield ""


def group_parts(
    groups: Sequence[Group], *, kept: bool = True, within: bool = False
) -> Iterator[Part]:
    """Yield what differs as stretches of Markdown; arguments as `group_lines`.

    Args:
        kept: Whether cost and hardware of the first group are there in any case.
    """
    for number, group in enumerate(groups[:MOST_GROUPS]):
        heading = _heading(group, _some(group, _named), _named, within=within)
        name = f"changes of {code(group.names[0], 50)}"
        yield Part(name=name, head=[f"### {heading}", ""], kept=True)
        # Of one group they are always there; there may be too many groups to promise more.
        yield from parts_of_diff(group.diff, kept=kept and not number)
    others = groups[MOST_GROUPS:]
    if others:
        rest = f"… and {count(len(others), 'other change')} of other runs, in `--format json`:"
        told = [f"- {_some(one, _named)}: {code(summary.overview(one.diff))}" for one in others]
        yield Part(name="other changes", head=[rest, ""], body=told, foot=[""], kept=True)


def _heading(group: Group, names: str, named: Callable[[str], str], *, within: bool) -> str:
    new = "new " if group.beside is not None and not within else ""
    beside = ""
    if group.beside is not None:
        other = named(group.beside)
        beside = f"the first run, {other}" if within else f"{other} of before"
        beside = f", compared with {beside}"
    if len(group.names) == 1:
        return f"In the {new}run {names}{beside}"
    return f"In {len(group.names):,} {new}runs, as in the first of them{beside}: {names}"


def _some(group: Group, named: Callable[[str], str]) -> str:
    more = len(group.names) - _MOST_NAMES
    shown = ", ".join(map(named, group.names[:_MOST_NAMES]))
    return f"{shown} and {more:,} more" if more > 0 else shown


def _named(name: str) -> str:
    return code(name, 60)
