"""Plain scalars follow the YAML 1.2 core schema, not YAML 1.1."""

import pytest

from runpod_deploy.schema.yaml_scalars import NotFiniteError, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
    ],
)
def test_scalar_of_the_core_schema(text: str, value: object) -> None:
    """Null, booleans and numbers are those of the core schema, with their Python type."""
    assert (value, type(value)) == (resolve(text), type(resolve(text)))


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "nULL", "tRUE", "12:30", "1_000", "0b1", "1e", "-", ".", "0o8"],
)
def test_everything_else_is_text(text: str) -> None:
    """What YAML 1.1 read as booleans, sexagesimals and the like is text."""
    assert text == resolve(text)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.INF", "+.inf", "1e999", "9" * 301])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """NaN, infinities and numbers beyond all measure are refused, not rounded."""
    with pytest.raises(NotFiniteError):
        resolve(text)
