"""What the compiler has to be told, because it may not look: the files of the project, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import Diagnostic
from runpod_deploy.frozen import frozen

MarkKind = Literal["user-path", "secret"]


@frozen
class Mark:
    """Something in a staged file that is worth a warning; what it says is not kept.

    Attributes:
        path: Relative to the source of the staging; empty when that is the file itself.
        line: Where it stands, from 1; 0 when that was not looked up.
    """

    path: str
    kind: MarkKind
    line: int


@frozen
class Facts:
    """The outside of a compile.

    Attributes:
        job_file: The job file relative to the project root, `/` separators.
        payload: Staging label to its files, sorted by the bytes of `path`.
        excludes: Staging label to the filter patterns in effect.
        marks: Staging label to what its files hold that is worth a warning.
        requirements: Staging label to path to text of the files that say what is installed.
        script_text: Content of `run.script`; None when the job has a `body`.
        diagnostics: What the look-up found wrong or remarkable: a missing path, a name that is
            not UTF-8.
    """

    job_file: str
    payload: Mapping[str, Sequence[PayloadEntry]] = field(default_factory=dict)
    excludes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    requirements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    script_text: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
