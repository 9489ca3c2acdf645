"""Plain scalars follow YAML 1.2."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.spec.scalars import resolve


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "off", "No", "y", "10:30", "2026-11-24", "1_000", "0b11", "012x", "+", ".", "e5", "<<"]
)
def test_words_of_yaml_1_1_are_strings(word: str) -> None:
    """What YAML 1.1 would read as a boolean, a time or a number stays a word."""
    assert word == resolve(word)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("true", True), ("FALSE", False), ("", None), ("~", None), ("Null", None)],
        *[("0o17", 15), ("0x1F", 31), ("017", 17), ("-5", -5), ("+5", 5)],
        *[("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-.inf", -math.inf)],
    ],
)
def test_core_schema(text: str, value: object) -> None:
    """The core schema's forms have their values and types."""
    assert (type(value), value) == (type(resolve(text)), resolve(text))


@given(st.integers(-(10**90), 10**90))
def test_every_integer_is_read(number: int) -> None:
    """An integer as Python writes it is that integer."""
    assert number == resolve(str(number))


@given(st.floats(allow_nan=False))
def test_every_float_is_read(number: float) -> None:
    """A float as Python writes it is that float, or a word where it is none in YAML (inf)."""
    expected = str(number) if math.isinf(number) else number
    assert expected == resolve(str(number))


@given(st.text())
def test_any_text_is_some_value(text: str) -> None:
    """No text raises; what is no number, boolean or null is itself."""
    value = resolve(text)
    assert isinstance(value, (bool, int, float, type(None))) or value == text


def test_too_long_for_a_number() -> None:
    """Thousands of digits are a word: Python refuses to read them."""
    assert resolve("9" * 5000) == "9" * 5000
