"""Rules about who is told of a run's end."""

import shlex
from collections.abc import Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved


def command_words(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The command is a program and its arguments, since no shell will read it."""
    command = config.notify.command if config.notify else None
    if command is None:
        return
    try:
        words = shlex.split(command)
    except ValueError as error:
        why = f"It cannot be taken apart into words: {str(error).lower()}."
    else:
        if words and words[0]:
            return
        why = "It names no program."
    yield Finding(
        pointer="/notify/command",
        code="notify-command",
        summary="The command cannot be run",
        detail=f"{why} `notify.command` is a program and its arguments, quoted as a shell would "
        "have them, and run without one.",
    )
