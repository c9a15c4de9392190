"""The commands and scripts of a job as text, each with the environment that it runs in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TypedDict

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.scripts import run_suffix
from runpod_deploy.frozen import frozen

_SHELL = re.compile(r"#!.*\b(?:ba|da|z|k)?sh\b")


class Place(TypedDict):
    """Where in the job file something is, as `Lint.at` takes it."""

    pointer: str
    line: int
    column: int


@frozen
class ShellText:
    """One text that runs on the pod.

    Attributes:
        pointer: Its place in the job file.
        text: What runs, as a plan holds it.
        env: What the job itself puts into its environment.
        strict: Whether bash runs it with `-eo pipefail`.
        shell: Whether it is a shell script at all.
        file: The file that it stands in, None for the job file.
    """

    pointer: str
    text: str
    strict: bool
    env: Mapping[str, str] = field(default_factory=dict)
    shell: bool = True
    file: str | None = None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and content of each line that is neither blank nor a comment."""
        for number, line in enumerate(self.text.split("\n"), start=1):
            content = line.strip()
            if content and not content.startswith("#"):
                yield number, line

    def place(self, number: int) -> Place:
        """Return where the line `number` is: in the job file, or the key that names its file."""
        if self.file is not None:
            return Place(pointer=self.pointer, line=0, column=1)
        line = self.text.split("\n")[number - 1]
        return Place(
            pointer=self.pointer, line=number, column=len(line) - len(line.lstrip(" \t")) + 1
        )

    def told(self, number: int) -> str:
        """Return how a sentence begins that is about the line `number`."""
        return "Here" if self.file is None else f"In line {number} of `{self.file}`"


def shell_texts(config: Resolved, facts: Facts) -> Iterator[ShellText]:
    """Yield everything that runs on the pod, in the order it runs."""
    everywhere = dict(config.pod.env)
    exports = {**everywhere, **config.remote_env.exports}
    for phase, entries in (("setup", config.setup), ("preflight", config.preflight)):
        for index, entry in enumerate(entries):
            yield ShellText(
                pointer=f"/{phase}/{index}/command",
                text=entry.command,
                env=exports if entry.with_env else everywhere,
                strict=entry.strict,
            )
    run, env = config.run, {**exports, **config.run.env}
    if run.body is not None:
        own = run.body.startswith("#!")
        yield ShellText(
            pointer="/run/body",
            text=run.body,
            env=env,
            strict=run.strict and not own,
            shell=not own or _SHELL.match(run.body) is not None,
        )
    elif facts.script_text is not None:
        text = facts.script_text
        shebang = text.startswith("#!")
        yield ShellText(
            pointer="/run/script",
            text=text,
            env=env,
            strict=False,
            shell=_SHELL.match(text) is not None if shebang else run_suffix(config) in ("", ".sh"),
            file=run.script,
        )
