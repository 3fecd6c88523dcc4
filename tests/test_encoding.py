"""JSON as this package writes it."""

from typing import Any

import pytest

from pais_lite.encoding import dump_json, load_json, maybe_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True]}, b'{"a":[1,null,true]}'),
        ("line\nline\u2028\u0085\r", '"line\\nline\u2028\x85\\r"'.encode()),
        ("\ud800", b'"\\ud800"'),
        ("x\udfff\U0001f600", '"x\\udfff\U0001f600"'.encode()),
    ],
)
def test_json_is_one_line_of_utf8_and_comes_back(value: Any, text: bytes) -> None:
    assert dump_json(value) == text
    assert b"\n" not in dump_json(value)
    assert load_json(text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_word_for_is_null(value: float) -> None:
    assert dump_json([value]) == b"[null]"


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 200_000, b'{"a":' * 200_000])
def test_what_is_no_json_is_an_error_of_one_kind(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        load_json(text)
    assert maybe_json(text) is None
