"""What a lint is: a warning with a stable code, told at one place of the job file."""

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.errors import Severity
from runpod_deploy.frozen import frozen


@frozen
class Lint:
    """One kind of warning; the reference page of lints is made of these.

    Attributes:
        code: Stable kebab-case name, for switching the warning off.
        summary: Fixed short text without user data.
        why: What goes wrong when nobody heeds it, in full sentences.
        cure: What to write instead, in full sentences.
    """

    code: str
    summary: str
    why: str
    cure: str

    def at(
        self,
        pointer: str,
        detail: str,
        *,
        help: str | None = None,
        suggestion: str | None = None,
        line: int = 0,
        column: int = 1,
        on_key: bool = False,
        hidden: bool = False,
    ) -> Finding:
        """Return this warning about the value at `pointer`; arguments as of `Finding`."""
        return Finding(
            pointer=pointer,
            code=self.code,
            summary=self.summary,
            detail=detail,
            severity=Severity.WARNING,
            suggestion=suggestion,
            help=self.cure if help is None else help,
            line=line,
            column=column,
            on_key=on_key,
            hidden=hidden,
        )
