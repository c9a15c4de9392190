"""The names that templates may use, and the rendering of one text with all its faults."""

import re

from runpod_deploy.compiler.findings import Finding, column_of
from runpod_deploy.compiler.late_bound import LATE_BOUND, MARK, token
from runpod_deploy.compiler.templating import Renderer, TemplateProblem, Use, is_template
from runpod_deploy.errors import Severity
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.plain import escape
from runpod_deploy.schema.report import MAX_DIAGNOSTICS

_ANY_TOKEN = re.compile(r"@@rd:(.*?)@@", re.DOTALL)
_RUNPOD_SECRET = re.compile(r"RUNPOD_SECRET_\w+")
_LATE_ALLOWED = (
    (re.compile(r"/variables/.*"), frozenset(LATE_BOUND)),
    (re.compile(r"/(setup|preflight)/\d+/command"), frozenset(LATE_BOUND)),
    (re.compile(r"/run/(body|script/text|workdir|script_path|log_path)"), frozenset(LATE_BOUND)),
    (re.compile(r"/run/(success_marker|failure_markers/.*)"), frozenset(LATE_BOUND)),
    (
        re.compile(r"/(run/env|remote_env/exports|remote_env/source_files)/.*"),
        frozenset(LATE_BOUND),
    ),
    (re.compile(r"/(staging|secrets)/\d+/destination"), frozenset(LATE_BOUND)),
    (re.compile(r"/artifacts/\d+/(remote_path|local_path|upload)"), frozenset(LATE_BOUND)),
    (re.compile(r"/pod/env/.*"), frozenset({"run_id"})),
    (
        re.compile(r"/notify/command"),
        frozenset({"run_id", "run_dir", "project_root", "config_dir"}),
    ),
    (
        re.compile(
            r"/(staging/\d+/source|run/script|secrets/\d+/file|local/required_paths/\d+|state_file"
            r"|notify/webhook/file)"
        ),
        frozenset({"project_root", "config_dir"}),
    ),
)


class Scope:
    """The names that templates of one job may use; a name is rendered when first asked for.

    Variables may use each other in any order as long as none needs itself.
    """

    def __init__(self, config: JobConfig) -> None:
        self.findings: list[Finding] = []
        self.failed: set[str] = set()
        self._renderer = Renderer()
        self._definitions = {
            "job_name": ("/name", config.name),
            "volume_mount": ("/storage/volume_mount", config.storage.volume_mount),
        }
        self._values = {name: token(name) for name in LATE_BOUND}
        self._done: dict[str, str] = {}
        self._under_way: list[str] = []
        reserved = {*self._definitions, *self._values}
        for name, text in config.variables.items():
            if name in reserved:
                self._report(
                    Finding(
                        pointer=f"/variables/{escape(name)}",
                        code="reserved-variable",
                        summary="A variable has the name of a built-in value",
                        detail=f"`{name}` is built in and cannot be set; choose another name.",
                    )
                )
            else:
                self._definitions[name] = (f"/variables/{escape(name)}", text)

    def render(self, text: str, pointer: str) -> str:
        """Return the value at `pointer` rendered, or as written when a fault was found in it."""
        if pointer in self._done:
            return self._done[pointer]
        result = self._checked(text, pointer)
        if result is None:
            self.failed.add(pointer)
        self._done[pointer] = text if result is None else result
        return self._done[pointer]

    def _report(self, finding: Finding) -> None:
        self.failed.add(finding.pointer)
        if len(self.findings) < MAX_DIAGNOSTICS:
            self.findings.append(finding)
        elif len(self.findings) == MAX_DIAGNOSTICS:
            self.findings.append(_more(finding.pointer))

    def _checked(self, text: str, pointer: str) -> str | None:
        if self._is_unusable(pointer, _no_text(text) or _marked(text)):
            return None
        if not is_template(text):
            return text
        try:
            uses = self._renderer.uses(text)
            values = self._values_for(uses, pointer)
            if values is None:
                return None
            result = self._renderer.render(text, values)
        except TemplateProblem as error:
            self._report(
                Finding(
                    pointer=pointer,
                    code=error.code,
                    summary=error.summary,
                    detail=error.detail,
                    help=error.help,
                    line=error.line,
                    column=column_of(text, error.line, error.needle),
                )
            )
            return None
        if self._is_unusable(pointer, _no_text(result)):
            return None
        return result if self._late_bound_is_fine(result, text, pointer) else None

    def _is_unusable(self, pointer: str, problem: tuple[str, str, str] | None) -> bool:
        if problem is None:
            return False
        code, summary, detail = problem
        self._report(Finding(pointer=pointer, code=code, summary=summary, detail=detail))
        return True

    def _values_for(self, uses: tuple[Use, ...], pointer: str) -> dict[str, str] | None:
        """Return a value for each use; None when one is missing, which has then been reported."""
        values: dict[str, str] = {}
        complete = True
        for use in uses:
            if len(self.findings) > MAX_DIAGNOSTICS:
                return None
            value = self._value(use, pointer)
            if value is not None:
                values[use.name] = value
                if not use.bare and MARK in value:
                    complete = False
                    self._report(_too_early(use, pointer))
            elif not use.optional or use.name in self._definitions:
                complete = False
        return values if complete else None

    def _value(self, use: Use, pointer: str) -> str | None:
        if use.name in self._values:
            return self._values[use.name]
        if use.name not in self._definitions:
            if pointer.startswith("/pod/env/") and _RUNPOD_SECRET.fullmatch(use.name):
                return f"{{{{ {use.name} }}}}"
            if not use.optional:
                self._report(self._undefined(use, pointer))
            return None
        if use.name in self._under_way:
            circle = " → ".join([*self._under_way[self._under_way.index(use.name) :], use.name])
            self._report(
                Finding(
                    pointer=pointer,
                    code="circular-variable",
                    summary="Variables need each other",
                    detail=f"The value of `{use.name}` would need itself: {circle}.",
                    line=use.line,
                    column=use.column,
                )
            )
            return None
        where, text = self._definitions[use.name]
        self._under_way.append(use.name)
        value = self.render(text, where)
        self._under_way.pop()
        return None if where in self.failed else value

    def _undefined(self, use: Use, pointer: str) -> Finding:
        known = sorted({*self._values, *self._definitions})
        secret = _RUNPOD_SECRET.fullmatch(use.name)
        return Finding(
            pointer=pointer,
            code="undefined-name",
            summary="A template uses a name that is not defined",
            detail=f"There is no variable `{use.name}`. Defined are: {', '.join(known)}."
            + (" RunPod fills in its secrets in `pod.env` only." if secret else ""),
            suggestion=near_miss(use.name, known),
            help="Define it under `variables`.",
            line=use.line,
            column=use.column,
        )

    def _late_bound_is_fine(self, result: str, text: str, pointer: str) -> bool:
        if MARK not in result:
            return True
        allowed = next(
            (names for pattern, names in _LATE_ALLOWED if pattern.fullmatch(pointer)), frozenset()
        )
        wrong = [name for name in _ANY_TOKEN.findall(result) if name not in allowed]
        for name in dict.fromkeys(wrong):
            line = text.count("\n", 0, max(0, text.find(name))) + 1
            self._report(
                Finding(
                    pointer=pointer,
                    code="late-bound-here",
                    summary="A value that is not known yet stands where it is needed now",
                    detail=f"`{name}` exists only once the plan is applied, and this value is "
                    "needed before that. Late-bound values may stand in commands, in the run "
                    "script and its environment, and in paths on the pod.",
                    line=line,
                    column=column_of(text, line, name),
                )
            )
        return not wrong


def _more(pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        severity=Severity.NOTE,
        code="more-findings",
        summary="There may be more",
        detail=f"Of what is wrong with templates, the first {MAX_DIAGNOSTICS} are told.",
    )


def _too_early(use: Use, pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        code="late-bound-computed",
        summary="A template computes with a value that is not known yet",
        detail=f"`{use.name}` is filled in only while the plan is applied, so it can be put in as "
        "it is, but not compared, filtered or cut.",
        help="Compute on the pod instead; every script there has it in its environment:\n"
        f'  "$RUNPOD_DEPLOY_{use.name.upper()}"'
        if use.name in LATE_BOUND
        else None,
        line=use.line,
        column=use.column,
    )


def _no_text(text: str) -> tuple[str, str, str] | None:
    """Return code, summary and detail of what makes `text` unfit for any plan."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return (
                "not-unicode",
                "A text is not Unicode",
                "The text holds half of a surrogate pair, which no file or command can carry.",
            )
    if "\0" in text:
        return (
            "nul-character",
            "A text holds a NUL character",
            "No command, path or environment variable can hold the character U+0000.",
        )
    return None


def _marked(text: str) -> tuple[str, str, str] | None:
    """Return what there is to say about text in which the author wrote a mark of ours."""
    if MARK in text.lower():
        return (
            "reserved-mark",
            "A text holds the mark of late-bound values",
            f"`{MARK}` marks values that apply fills in; name them: `{{{{ run_id }}}}`.",
        )
    return None
