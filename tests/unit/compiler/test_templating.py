"""Templates of the job file: `{{ … }}` and nothing else."""

import pytest

from compiler_cases import HOSTILE_SHELL
from runpod_deploy.compiler.template_bounds import MAX_TOKENS
from runpod_deploy.compiler.templating import CAP_CHARACTERS, Renderer, TemplateProblem

VALUES = {"seed": "7", "name": "a b"}


@pytest.mark.parametrize("text", [text for text in HOSTILE_SHELL if "{{" not in text])
def test_shell_text_passes_untouched(text: str) -> None:
    """Text is not changed by the fast way nor by Jinja2, whose marks are all switched off."""
    assert f"{text}7{text}" == Renderer().render(f"{text}{{{{ seed }}}}{text}", VALUES)
    assert f"{text}8{text}" == Renderer().render(f"{text}{{{{ seed|int + 1 }}}}{text}", VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ seed }}", "7"),
        ("{{seed}}{{  seed  }}", "77"),
        ("{{ seed }}\n", "7\n"),
        ("{{ seed }}\r\n{{ seed | int }}\r", "7\r\n7\r"),
        ("{{ 'a\rb' }}", "a\rb"),
        ("{{ '{{' }}.Names{{ '}}' }}", "{{.Names}}"),
        ("{{ '%03d' | format(seed | int) }}", "007"),
        ("{{ '%03d' % (seed | int) }}", "007"),
        ("{{ name | sh }}", "'a b'"),
        ("{{ '2.567' | round(1) }}", "2.6"),
        ("{{ name.split(' ') | join('-') }}", "a-b"),
        ("{{ name | replace('a', 'aa') }}", "aa b"),
        ("{{ 'x' if seed == '7' else 'y' }}", "x"),
        ("{{ seed * 3 }}", "777"),
        ("{{ seed }}}", "7}"),
        ("{{- seed -}} x", "7x"),
        ("{{ true }}", "True"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    """Names and expressions are replaced by their values; carriage returns stay."""
    assert expected == Renderer().render(text, VALUES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("docker --format '{{.Names}}'", "template-syntax"),
        ("{{ seed", "template-syntax"),
        ("{{ }}", "template-syntax"),
        ("{{ seed | nofilter }}", "template-syntax"),
        ("{{ seed | xmlattr }}", "template-syntax"),
        ("{{ seed.__class__ }}", "template-forbidden"),
        ("{{ ''.__class__.__mro__ }}", "template-forbidden"),
        ("{{ seed.format(1) }}", "template-forbidden"),
        ("{{ seed.ljust(9) }}", "template-forbidden"),
        ("{{ seed + 1 }}", "template-expression"),
        ("{{ 1 / 0 }}", "template-expression"),
        ("{{ seed * 9999999 }}", "template-too-large"),
        ("{{ 9 ** 999 }}", "template-too-large"),
        ("{{ [seed] * 99999999 }}", "template-too-large"),
        ("{{ '%99999999d' % 1 }}", "template-too-large"),
        ("{{ '%*d' | format(99999999, 1) }}", "template-too-large"),
        ("{{ '%(a)99999999d' % {'a': 1} }}", "template-too-large"),
        ("{{ 1.5 | round(99999999, 'ceil') }}", "template-expression"),
        ("{{ (seed * 99999) | replace('7', seed * 99999) }}", "template-too-large"),
        ("{{ (seed * 99999) | list | join(seed * 99999) }}", "template-syntax"),
        ("{{ '%99999999d' is even }}", "template-expression"),
        ("{{ '%99999999d' is divisibleby(3) }}", "template-expression"),
        ("{{ '%(a(b)c)99999999d' % {'a(b)c': 1} }}", "template-too-large"),
        ("{{ '" + "%(a)s" * 9999 + "' % {'a': seed * 999} }}", "template-too-large"),
        ("{{ ('f' * 99999)|int(0, 16) // ('e' * 9999)|int(0, 16) }}", "template-too-large"),
        (
            "{{ " + "[" * 15 + "'" + "\\\\" * 99 + "'" + "]|string" * 15 + " }}",
            "template-too-large",
        ),
        ("{{ " + "[" * 15 + "'" + "\\\\" * 99 + "'" + "]~''" * 15 + " }}", "template-too-large"),
        ("{{ " + "[" * 15 + "'" + "\\\\" * 99 + "'" + "]|lower" * 15 + " }}", "template-too-large"),
        ('{{ "' + "'" * 99 + '"' + "|sh" * 15 + " }}", "template-too-large"),
        ("{{ " + "1" * 5000 + " }}", "template-too-long"),
        ("{{ seed" + " + seed" * 5000 + " }}", "template-too-long"),
        ("{{ seed" + " + seed" * 500 + " }}", "template-too-deep"),
        ("{{ seed" + " | upper" * 500 + " }}", "template-too-deep"),
        ("{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "template-too-deep"),
    ],
)
def test_what_fails_or_is_forbidden(text: str, code: str) -> None:
    """A template that cannot be read, fails, reaches out or runs away is a problem with a code."""
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(text, VALUES)

    assert code == caught.value.code


def test_no_globals_are_known() -> None:
    """Jinja2's own functions are names like any other, so that they are reported as undefined."""
    used = [use.name for use in Renderer().uses("{{ range(9) }}{{ lipsum() }}{{ self }}")]

    assert ["range", "lipsum", "self"] == used


def test_problem_names_its_line_and_the_cure() -> None:
    """A template of another tool is told apart, with its line and how to write braces."""
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("one\ntwo {{ seed }}\nps --format '{{.Names}}'\n", VALUES)

    assert 3 == caught.value.line
    assert "another tool" in caught.value.detail
    assert "{{ '{{' }}" in (caught.value.help or "")


def test_line_of_a_failing_expression() -> None:
    """An expression that fails while it is evaluated is found on its line."""
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("one\ntwo\n{{ seed + 1 }}\n", VALUES)

    assert 3 == caught.value.line


def test_deep_nesting_is_a_problem_not_a_crash() -> None:
    """Parentheses without end are refused like any other runaway."""
    with pytest.raises(TemplateProblem):
        Renderer().render("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", VALUES)


def test_one_allowance_for_the_whole_job() -> None:
    """Many texts together may not yield more than one may."""
    renderer = Renderer()
    half = "x" * (CAP_CHARACTERS // 2 - 1)
    renderer.render("{{ half }}", {"half": half})
    renderer.render("{{ half }}", {"half": half})

    with pytest.raises(TemplateProblem) as caught:
        renderer.render("{{ half }}", {"half": half})

    assert "template-too-large" == caught.value.code


@pytest.mark.parametrize("text", ["{{ big }}" * 100_000, "{{ big" + " ~ big" * 2000 + " }}"])
def test_a_value_that_is_named_without_end_is_refused_before_it_is_put_in(text: str) -> None:
    """What would be gigabytes is counted first: neither time nor memory goes into it."""
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(text, {"big": "x" * 400_000})

    assert "template-too-large" == caught.value.code


def test_one_allowance_of_words_for_the_whole_job() -> None:
    """Expressions spread over many texts may not keep Jinja2 busy for longer than those of one."""
    renderer = Renderer()
    third = "{{ seed ~ seed }}" * (MAX_TOKENS // 5 // 3)  # five words and signs each
    renderer.render(third, VALUES)
    renderer.render(third, VALUES)  # what was just read is not read again
    renderer.render(f"2{third}", VALUES)
    renderer.render(f"3{third}", VALUES)

    with pytest.raises(TemplateProblem) as caught:
        renderer.render(f"4{third}", VALUES)

    assert "template-too-long" == caught.value.code


def test_uses_tell_line_column_and_whether_the_value_is_computed_with() -> None:
    """A name is bare only where it is put in as it is, in a choice, or joined by `~`."""
    text = "{{ a }}\n  {{ b | upper }} {{ 'x' ~ c if d else e }} {{ f | default('') }}"

    uses = {use.name: (use.line, use.column, use.bare) for use in Renderer().uses(text)}

    assert (1, 4, True) == uses["a"]
    assert (2, 6, False) == uses["b"]
    assert [True, False, True] == [uses[name][2] for name in "cde"]
    assert [use.optional for use in Renderer().uses(text) if use.name == "f"] == [True]
