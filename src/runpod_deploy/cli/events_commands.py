"""`events` and `events-query`: the events of one run as a story, and a search over many runs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import AsJson, Root, folders_in
from runpod_deploy.cli.terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runpod_deploy.forensics.query import Filter
    from runpod_deploy.record.events import Event


def events_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run folder, a run id, or `last`, which is the default.",
            show_default=False,
        ),
    ] = "last",
    root: Root = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Tell what happened in a run, event by event; --verbose leaves none out."""
    from runpod_deploy.cli.printable import json_line  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.load import iter_events  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    folder = find_run(run, root if root is not None else Path())
    events = iter_events(folder)
    lines = (json_line(event.line()) for event in events) if as_json else _told(events, terminal)
    with contextlib.suppress(BrokenPipeError):  # as of `events | head`
        for text in lines:
            terminal.stream(text)


def _told(events: Iterable[Event], terminal: Terminal) -> Iterator[str]:
    from runpod_deploy.cli.views.story import Story  # noqa: PLC0415 - not for `--help`

    story = Story(verbose=terminal.verbose)
    began: float | None = None
    for event in events:
        at = _seconds(event)
        began = at if began is None else began
        after = "" if at is None or began is None else f"{at - began:9.1f}s"
        told = story.tell(event)
        if told is not None:
            yield _line(after, told.step, told.text, _tones(terminal)[told.tone])
        elif terminal.verbose:
            yield _line(after, story.step, _plain(event), terminal.out.dim)


def _seconds(event: Event) -> float | None:
    from runpod_deploy.record import tolerant  # noqa: PLC0415 - not for `--help`

    return tolerant.seconds(event.ts_utc)


def _plain(event: Event) -> str:
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items() if value is not None)
    return f"{event.event} {fields}".rstrip()


def _tones(terminal: Terminal) -> dict[str, Callable[[str], str]]:
    style = terminal.out
    return {
        "plain": str,
        "good": style.good,
        "warn": style.warn,
        "bad": style.bad,
        "dim": style.dim,
    }


def _line(after: str, step: str, text: str, tone: Callable[[str], str]) -> str:
    from runpod_deploy.cli.printable import line  # noqa: PLC0415 - not for `--help`

    return f"{after:>10}  {line(step):<10} {tone(line(text))}"


def events_query_command(
    root: Root = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help="Only events with this field; repeatable, all must hold.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="AGE", help="30s, 5m, 1h, 7d, or a time.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Search the events of all runs; with --json one event on a line, with its run folder."""
    from runpod_deploy.cli.printable import json_line  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.query import (  # noqa: PLC0415 - not for `--help`
        parse_filter,
        parse_since,
        query,
    )

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    wanted = [parse_filter(one) for one in filters or ()]
    earliest = None if since is None else parse_since(since, datetime.now(UTC))
    found = 0
    try:
        for match in query(folders_in(root), wanted, earliest):
            found += 1
            if as_json:
                shown = {**match.event.line(), "run_dir": str(match.folder)}
                terminal.stream(json_line(shown))
            else:
                terminal.stream(_match(match.folder, match.event, terminal))
    except BrokenPipeError:
        return  # as of `events-query | head`: how many there are was not found out
    if not found:
        _tell_unknown(wanted, terminal)
    if not as_json:
        terminal.say(f"{found:,} event{'' if found == 1 else 's'}")


def _tell_unknown(wanted: Sequence[Filter], terminal: Terminal) -> None:
    """Say of a name that no event has; one that another version writes may still be found."""
    from runpod_deploy.cli.printable import line  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.events import EVENT_TYPES  # noqa: PLC0415 - likewise
    from runpod_deploy.schema.near_miss import near_miss  # noqa: PLC0415 - likewise

    for name in (one.text for one in wanted if one.key == "event"):
        if name not in EVENT_TYPES:
            near = near_miss(name, EVENT_TYPES)
            meant = f"; did you mean `{near}`?" if near else ""
            terminal.alert(f"warning: this version knows no event `{line(name)}`{meant}")
            terminal.alert("`runpod-deploy schema event` describes all that there are.")


def _match(folder: Path, event: Event, terminal: Terminal) -> str:
    from runpod_deploy.cli.printable import line  # noqa: PLC0415 - not for `--help`

    at = event.ts_utc[:19].replace("T", " ") or "?"
    run = terminal.out.dim(line(folder.name))
    return f"{run}  {line(at)}  {line(_plain(event))}"
