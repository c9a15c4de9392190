"""What holds for every value, plan and payload."""

import json
from typing import Any

import jcs
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler_cases import a_file, job, plan_file_of
from runpod_deploy.compiler.canonical import canonical, sha256
from runpod_deploy.compiler.payload import sorted_by_bytes, tree_sha256
from runpod_deploy.compiler.planfile import dumps, loads
from runpod_deploy.compiler.templating import Renderer
from runpod_deploy.schema.plain import to_plain

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
SHELL = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\r\n\t{}%#$'\"")
).filter(lambda text: "{{" not in text and "@@rd:" not in text.lower())
PATHS = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0/"), min_size=1).filter(
        lambda name: name not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)


@given(JSON)
def test_canonical_is_what_another_implementation_writes(value: Any) -> None:
    """Our RFC 8785 and that of the package `jcs` write the same bytes."""
    assert jcs.canonicalize(value) == canonical(value)


@given(JSON)
def test_canonical_is_json_with_the_same_value(value: Any) -> None:
    """Any JSON reader gets the value back, and its canonical form is the same again."""
    written = canonical(value)

    assert written == canonical(json.loads(written, parse_int=float))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit(value: float) -> None:
    """A number read back from its canonical form is the same number."""
    assert value == float(canonical(value))


@settings(max_examples=60, deadline=None)  # loads Jinja2 and the schema on the first example
@given(
    body=SHELL.filter(str.strip),
    env=st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), SHELL, max_size=3),
    cap=st.floats(min_value=0.01, max_value=1e6),
    paths=st.lists(PATHS, unique=True, max_size=6),
)
def test_plan_files_round_trip(
    body: str, env: dict[str, str], cap: float, paths: list[str]
) -> None:
    """Whatever a job says, its plan file is read back as it was, with the same hash."""
    over = {
        "run": {"body": body, "env": {f"A{name}": value for name, value in env.items()}},
        "budget": {"cost_cap_usd": cap},
        "staging": [{"label": "code", "source": "src", "destination": "/x"}],
    }
    files = sorted_by_bytes(a_file(path) for path in paths)
    plan_file = plan_file_of(job(over), payload={"code": files})

    read = loads(dumps(plan_file), "plan.json")

    assert plan_file == read
    assert read.plan.script("run").text.startswith(body)


@given(st.lists(PATHS, unique=True))
def test_tree_digests_are_over_the_canonical_list(paths: list[str]) -> None:
    """The digest written by hand is that of the general way, without the empty target."""
    files = sorted_by_bytes(a_file(path, size=3) for path in paths)
    plain = [
        {key: value for key, value in to_plain(file).items() if value is not None} for file in files
    ]

    assert sha256(plain) == tree_sha256(files)
    assert sorted(paths, key=str.encode) == [file.path for file in files]


@settings(deadline=None)  # loads Jinja2 on the first example
@given(SHELL, SHELL)
def test_templates_change_nothing_around_them(before: str, after: str) -> None:
    """The fast way and Jinja2 agree, and leave the text around a template alone."""
    before = before.rstrip("{")
    values = {"seed": "7"}

    by_name = Renderer().render(f"{before}{{{{ seed }}}}{after}", values)
    by_jinja = Renderer().render(f"{before}{{{{ seed | string }}}}{after}", values)

    assert f"{before}7{after}" == by_name == by_jinja
