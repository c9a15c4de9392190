"""Reading YAML gives data, and the place of everything in it, the same with either parser."""

from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.schema.report import Report, Stop
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml

PARSERS = pytest.mark.parametrize(
    "pure",
    [
        pytest.param(
            False,
            id="libyaml",
            marks=pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without libyaml"),
        ),
        pytest.param(True, id="python"),
    ],
)


def read(text: str | bytes, *, pure: bool = False) -> YamlSource:
    """Read a document that has no faults."""
    report = Report(file="f")
    source = read_yaml(text if isinstance(text, bytes) else text.encode(), report, pure=pure)
    assert report.found == []
    return source


def codes(text: str | bytes, *, pure: bool = False) -> list[tuple[str, str]]:
    """Return code and place of each finding about a faulty document."""
    report = Report(file="f")
    with suppress(Stop):
        read_yaml(text if isinstance(text, bytes) else text.encode(), report, pure=pure)
    return [(one.code, str(one.where)) for one in report.found]


@PARSERS
def test_each_value_and_key_has_its_place(pure: bool) -> None:
    """Lines and columns count from 1, in characters, and a list item has no key."""
    source = read("a:\n  b: [1, x]\né: 日本 # c\nz: {k/1: 2}\n", pure=pure)

    assert {
        "": "f:1:1",
        "/a": "f:2:3",
        "/a/b": "f:2:6",
        "/a/b/0": "f:2:7",
        "/a/b/1": "f:2:10",
        "/é": "f:3:4",
        "/z": "f:4:4",
        "/z/k~11": "f:4:10",
    } == {pointer: str(place) for pointer, place in source.positions.items()}
    assert {
        "/a": "f:1:1",
        "/a/b": "f:2:3",
        "/é": "f:3:1",
        "/z": "f:4:1",
        "/z/k~11": "f:4:5",
    } == {pointer: str(place) for pointer, place in source.key_positions.items()}
    assert "/a/b/2" not in source.positions
    assert "/a/b/0" not in source.key_positions
    assert (8, 5) == (len(source.positions), len(source.key_positions))


@PARSERS
def test_anchors_aliases_and_merges(pure: bool) -> None:
    """A merge fills in what is missing, the first source wins, and own keys win over all."""
    source = read(
        "base: &b {a: 1, b: 1}\nmore: &m {b: 2, c: 2}\n"
        "one: {<<: *b, a: own}\ntwo:\n  <<: [*b, *m]\nsame: *b\n",
        pure=pure,
    )

    assert {"a": "own", "b": 1} == source.data["one"]
    assert {"a": 1, "b": 1, "c": 2} == source.data["two"]
    assert {"a": 1, "b": 1} == source.data["same"]
    assert "f:6:7" == str(source.positions["/same"])
    assert "f:1:11" == str(source.key_positions["/two/a"])


def test_a_quoted_merge_key_is_a_key() -> None:
    """Only the plain scalar `<<` merges."""
    assert {"<<": {"a": 1}} == read('"<<": {a: 1}').data


def test_explicit_tags_of_the_core_schema() -> None:
    """A core tag decides the type of a scalar, whatever its look."""
    assert {"a": "1", "b": 1.0, "c": 3, "d": None, "e": {}, "f": "2"} == read(
        "a: !!str 1\nb: !!float 1\nc: !!int '3'\nd: !!null ''\ne: !!map {}\nf: ! 2\n"
    ).data


def test_text_as_written_is_kept() -> None:
    """A number keeps its spelling beside its value."""
    node = read("v: 1.10").root.find("/v")

    assert node is not None
    assert (1.1, "1.10") == (node.value, node.text)


def test_byte_order_mark_and_carriage_returns_move_nothing() -> None:
    """A byte order mark is skipped, and CRLF ends a line like LF."""
    source = read(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n")

    assert {"a": 1, "b": "x\ny\n"} == source.data
    assert ("f:1:1", "f:2:1") == (
        str(source.key_positions["/a"]),
        str(source.key_positions["/b"]),
    )


def test_an_empty_value_is_shown_at_its_key() -> None:
    """Nothing has no place of its own."""
    assert "f:2:1" == str(read("a: 1\nb:\n").positions["/b"])


@PARSERS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", [("duplicate-key", "f:2:1")]),
        ("a: {b: 1, b: 2}\nc: .nan\n", [("duplicate-key", "f:1:11"), ("not-finite", "f:2:4")]),
        ("1: a\n", [("key-not-text", "f:1:1")]),
        ("? [a]\n: b\n", [("key-not-text", "f:1:3")]),
        ("a: {{ b }}\n", [("unquoted-template", "f:1:4")]),
        ("a: [{{ b }}, c]\n", [("unquoted-template", "f:1:5")]),
        ("<<: 1\n", [("bad-merge", "f:1:5")]),
        ("a: !x 1\n", [("unknown-tag", "f:1:4")]),
        ("a: !!int x\n", [("unknown-tag", "f:1:4")]),
        ("a: !!set {}\n", [("unknown-tag", "f:1:4")]),
        ('a: "\\0"\n', [("forbidden-character", "f:1:4")]),
        ("a: *b\n", [("unknown-anchor", "f:1:4")]),
        ("a: &b [*b]\n", [("recursive-alias", "f:1:8")]),
        ("a: 1\n---\nb: 2\n", [("several-documents", "f:2:1")]),
        ("", [("empty-file", "f:1:1")]),
        ("~\n", [("empty-file", "f:1:1")]),
        ("\n# c\n", [("empty-file", "f:1:1")]),
        ("[" * 101, [("too-deep", "f:1:101")]),
        ("a:\n\tb: 1\n", [("yaml-syntax", "f:2:1")]),
        ("a: b: c\n", [("yaml-syntax", "f:1:5")]),
        ("a: 'x\n\n\n", [("yaml-syntax", "f:1:4")]),
        ("- *.py\n", [("yaml-syntax", "f:1:3")]),
        ("a: @b\n", [("yaml-syntax", "f:1:4")]),
        ("x\x00y", [("forbidden-character", "f:1:2")]),
        ("a: b\nc: \u2028\n", [("forbidden-character", "f:2:4")]),
        (b"a: 1\r\nb: \xe9\n", [("not-utf-8", "f:2:4")]),
        (b"\xff\xfea\x00", [("not-utf-8", "f:1:1")]),
    ],
)
def test_each_fault_has_its_code_and_place(
    text: str | bytes, expected: list[tuple[str, str]], pure: bool
) -> None:
    """Whatever is wrong with the YAML is a finding at the right line and column, by either parser."""
    assert expected == codes(text, pure=pure)


def test_depth_counts_through_aliases() -> None:
    """Depth is that of the document with its aliases filled in."""
    deep = "[" * 60 + "]" * 60
    text = f"a: &a {deep}\nb: " + "[" * 60 + "*a" + "]" * 60

    assert [("too-deep", "f:2:64")] == codes(text)


def test_a_full_report_ends_the_reading() -> None:
    """After a hundred findings nothing more is looked for."""
    assert 100 == len(codes("a: 1\n" * 500))


def _plain(data: object) -> str:
    return yaml.dump(data, allow_unicode=True, Dumper=yaml.SafeDumper)


_KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=9
)
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | _KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS.filter(lambda key: key != "<<"), _DATA, min_size=1, max_size=4))
def test_both_parsers_read_the_same(data: dict[str, object]) -> None:
    """What PyYAML writes is read alike with libyaml and without it: data and places."""
    raw = _plain(data).encode()
    seen = []
    for pure in (False, True):
        report = Report(file="f")
        try:
            source = read_yaml(raw, report, pure=pure)
            seen.append((repr(source.data), dict(source.positions), dict(source.key_positions)))
        except Stop:
            seen.append(("", {}, {}))

    assert seen[0] == seen[1]
