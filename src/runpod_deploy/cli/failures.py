"""The end of a command that could not do its work: what is said, and the exit status."""

import os
import re
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

from runpod_deploy.cli import exits
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.errors import InternalError, InvalidInput, RunpodDeployError

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


def report(error: BaseException, terminal: Terminal) -> int:
    """Say on stderr what went wrong and what to do, and return the exit status.

    A traceback is never shown for what the user can mend; that of a bug of ours is shown with
    --verbose, and else kept in a file that is named.
    """
    code = exits.of_error(error)
    if code == InternalError.exit_code:
        _report_bug(error, terminal)
    elif isinstance(error, InvalidInput) and error.diagnostics:
        terminal.findings(error.diagnostics)
    else:
        terminal.alert(message(error, terminal))
    if terminal.verbose and code != InternalError.exit_code and error.__cause__ is not None:
        terminal.alert(terminal.err.dim(_traceback(error)))
    return code


def message(error: BaseException, terminal: Terminal) -> str:
    """Return `error: …` with its help, ready for stderr."""
    from runpod_deploy.cli.printable import block  # noqa: PLC0415 - only when needed

    head = terminal.err.bad("error:")
    if isinstance(error, RunpodDeployError):
        lines = [f"{head} {block(error.message)}"]
        if error.help:
            lines.append(f"{terminal.err.bold('help:')} {block(error.help)}")
        return "\n".join(lines)
    return f"{head} {block(str(error) or type(error).__name__)}"


def _report_bug(error: BaseException, terminal: Terminal) -> None:
    from runpod_deploy.cli.printable import block  # noqa: PLC0415 - only when needed

    text = _masked(_traceback(error), os.environ)
    head = terminal.err.bad("internal error:")
    what = block(_masked(str(error), os.environ))
    terminal.alert(f"{head} {type(error).__name__}: {what}")
    if terminal.verbose:
        terminal.alert(text)
        kept = ""
    else:
        kept = f"\nThe traceback is in {_keep(text)}; please report it with that file."
    terminal.alert(f"This is a bug in runpod-deploy.{kept}")


def _masked(text: str, environ: Mapping[str, str]) -> str:
    """Hide all that is called like a secret: which ones a job uses is not known here."""
    from runpod_deploy.record.masking import Masker  # noqa: PLC0415 - only when needed

    return Masker(value for name, value in environ.items() if _SECRET_NAME.search(name)).text(text)


def _keep(text: str) -> Path:
    fd, name = tempfile.mkstemp(prefix="runpod-deploy-", suffix=".traceback.txt")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip("\n")
