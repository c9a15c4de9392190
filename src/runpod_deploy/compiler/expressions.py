"""Templates that hold more than names, through Jinja2: what they use, yield, and fail with."""

import re
import traceback
from collections.abc import Iterator, Mapping

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError, TemplateAssertionError

from runpod_deploy.compiler.findings import column_of
from runpod_deploy.compiler.sandbox import METHOD_NAMES, JobEnvironment, TooLarge
from runpod_deploy.compiler.template_bounds import check_depth, tokens_of, too_deep
from runpod_deploy.compiler.templating import LITERAL_HELP, TemplateProblem, Use, too_large

# Jinja2's lexer drops CR; each of these is white space to it too, and can stand for CR meanwhile.
_SPACES = "\x1c\x1d\x1e\x1f\x0b\x0c\x85\u2028\u2029\u1680\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SyntaxError)
_RUNAWAYS = (TooLarge, MemoryError)
_TEMPLATE_NAME = "<job>"


def uses(environment: JobEnvironment, text: str) -> tuple[Use, ...]:
    """Return every use of a name in `text`.

    Raises:
        TemplateProblem: Jinja2 cannot read the text.
    """
    tree = _parse(environment, _without_cr(text)[0])
    optional = frozenset(_optional(tree))
    return tuple(
        Use(
            name=node.name,
            line=node.lineno,
            column=column_of(text, node.lineno, node.name),
            optional=node.name in optional,
            bare=bare,
        )
        for node, bare in _names(tree, bare=True)
    )


def render(environment: JobEnvironment, text: str, values: Mapping[str, str], room: int) -> str:
    """Return `text` rendered; carriage returns stay where they are.

    Args:
        room: How many characters the values may be, counted each time that one is named.

    Raises:
        TemplateProblem: An expression fails, is forbidden, or yields too much.
    """
    guarded, mark = _without_cr(text)
    tree = _parse(environment, guarded)
    for node, _ in _names(tree, bare=True):
        room -= len(values.get(node.name, ""))
        if room < 0:
            raise too_large(node.lineno)
    try:
        code = environment.compile(tree, _TEMPLATE_NAME, _TEMPLATE_NAME)
        template = environment.template_class.from_code(environment, code, {})
        result = template.render(dict(values))
    except TemplateSyntaxError as error:
        raise _unreadable(error, text) from error
    except TemplateError as error:
        raise _refused(error, text) from error
    except _RUNAWAYS as error:
        raise too_large(_line_of(error)) from error
    except _FAILURES as error:
        raise TemplateProblem(
            "template-expression",
            "A template's expression cannot be evaluated",
            f"The expression fails: {error}. Variables are text, even if they look like numbers.",
            line=_line_of(error),
            help="Make a number of a variable with a filter:\n  {{ (seed | int) + 1 }}",
        ) from error
    return result.replace(mark, "\r") if mark else result


def _without_cr(text: str) -> tuple[str, str]:
    if "\r" not in text:
        return text, ""
    for mark in _SPACES:
        if mark not in text:
            return text.replace("\r", mark), mark
    raise TemplateProblem(
        "template-syntax",
        "A template cannot be read",
        "The text mixes carriage returns with every other kind of white space there is.",
    )


def _parse(environment: JobEnvironment, text: str) -> nodes.Template:
    """Return the tree of a text; its last one is kept, for it is asked for its names first."""
    if environment.parsed is not None and environment.parsed[0] == text:
        return environment.parsed[1]
    try:
        environment.tokens += tokens_of(environment, text, environment.tokens)
        tree = environment.parse(text, _TEMPLATE_NAME, _TEMPLATE_NAME)
    except TemplateSyntaxError as error:
        raise _unreadable(error, text) from error
    except RecursionError as error:
        raise too_deep() from error
    check_depth(tree)
    environment.parsed = text, tree
    return tree


def _unreadable(error: TemplateSyntaxError, text: str) -> TemplateProblem:
    lines = text.split("\n")
    line = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
    message = (error.message or "it is not complete").rstrip(".")
    go = (
        ""
        if not re.search(r"\{\{-?\s*[.$]", line)
        else " It looks like a template of another tool."
    )
    known = isinstance(error, TemplateAssertionError)
    return TemplateProblem(
        "template-syntax",
        "A template cannot be read",
        f"`{{{{` begins a template of the job file, but this cannot be read: {message}.{go}",
        line=error.lineno,
        help=None if known else LITERAL_HELP,
    )


def _refused(error: TemplateError, text: str) -> TemplateProblem:
    message = (error.message or str(error)).rstrip(".")
    line = _line_of(error)
    if isinstance(error, SecurityError):
        return TemplateProblem(
            "template-forbidden",
            "A template reaches for something forbidden",
            f"{message[:1].upper()}{message[1:]}. A template may use filters and these methods of "
            f"text: {', '.join(sorted(METHOD_NAMES))}.",
            line=line,
        )
    kind = "undefined-name" if isinstance(error, UndefinedError) else "template-expression"
    return TemplateProblem(
        kind,
        "A template's expression cannot be evaluated",
        f"{message[:1].upper()}{message[1:]}.",
        line=line if line <= text.count("\n") + 1 else 1,
    )


def _line_of(error: BaseException) -> int:
    """Return the template's line on which `error` arose, as Jinja2's rewritten traceback says."""
    from_template = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == _TEMPLATE_NAME and frame.lineno
    ]
    return from_template[-1] if from_template else 1


def _names(node: nodes.Node, *, bare: bool) -> Iterator[tuple[nodes.Name, bool]]:
    """Yield each name below `node`; `bare` holds while a value is only put in or joined by `~`."""
    if isinstance(node, nodes.Name):
        yield node, bare
        return
    if isinstance(node, nodes.CondExpr):
        yield from _names(node.test, bare=False)
        for branch in (node.expr1, node.expr2):
            if branch is not None:
                yield from _names(branch, bare=bare)
        return
    inner = bare and isinstance(node, (nodes.Template, nodes.Output, nodes.Concat))
    for child in node.iter_child_nodes():
        yield from _names(child, bare=inner)


def _optional(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        if node.name in ("default", "d", "defined", "undefined") and isinstance(
            node.node, nodes.Name
        ):
            yield node.node.name
