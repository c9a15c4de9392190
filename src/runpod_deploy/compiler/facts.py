"""What the compiler has to be told, because it may not look: the files of the project, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import Diagnostic


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The outside of a compile.

    Attributes:
        job_file: The job file relative to the project root, `/` separators.
        payload: Staging label to its files, sorted by the bytes of `path`.
        excludes: Staging label to the filter patterns in effect.
        script_text: Content of `run.script`; None when the job has a `body`.
        diagnostics: What the look-up found wrong or remarkable: a missing path, a name that is
            not UTF-8.
    """

    job_file: str
    payload: Mapping[str, tuple[PayloadEntry, ...]] = field(default_factory=dict)
    excludes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    script_text: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
