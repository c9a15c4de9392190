"""How long and how deep the expressions of one text may be, so that none overcharges Jinja2."""

from jinja2 import Environment, nodes

from runpod_deploy.compiler.templating import TemplateProblem

MAX_TOKENS = 5_000
MAX_DEPTH = 50
MAX_DIGITS = 300
_OUTSIDE = frozenset(("data", "whitespace"))
_HELP = "Compute on the pod instead, or before, and hand the result over as a variable."


def tokens_of(environment: Environment, text: str, before: int) -> int:
    """Return how many words and signs the expressions of a text hold.

    Args:
        before: How many the same job has had in other texts.

    Raises:
        TemplateProblem: They are more, or one is larger, than any job needs.
        TemplateSyntaxError: Jinja2 cannot read the text.
    """
    tokens = 0
    for line, kind, value in environment.lex(text):
        if kind in _OUTSIDE:
            continue
        tokens += 1
        if before + tokens > MAX_TOKENS:
            what = f"The templates of a job may hold {MAX_TOKENS:,} words and signs together"
            raise _too_long(line, what)
        if kind in ("integer", "float") and len(value) > MAX_DIGITS:
            raise _too_long(line, f"A number in a template may have {MAX_DIGITS} digits")
    return tokens


def check_depth(tree: nodes.Template) -> None:
    """Refuse an expression whose parts lie too deep in one another.

    Raises:
        TemplateProblem: That is so.
    """
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH + 2):  # the text itself and its output are two more
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise too_deep(level[0].lineno)


def too_deep(line: int = 1) -> TemplateProblem:
    """Return the problem of an expression that Python itself could not follow."""
    return TemplateProblem(
        "template-too-deep",
        "A template's expression is nested too deeply",
        f"The parts of an expression may lie {MAX_DEPTH} levels deep in one another.",
        line=line,
        help=_HELP,
    )


def _too_long(line: int, what: str) -> TemplateProblem:
    return TemplateProblem(
        "template-too-long",
        "A template's expression is too long",
        f"{what}; this is where more comes.",
        line=line,
        help=_HELP,
    )
