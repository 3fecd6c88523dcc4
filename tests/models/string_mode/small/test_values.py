"""What a message offers as values, and what words share."""

import pytest

from pais_lite.models.string_mode.small.values import numbers, quotations, spans, tokens
from pais_lite.models.string_mode.small.words import overlap, similarity, words


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("add 3.5 and -4", ["3.5", "-4"]),
        ("1,200 euros, please.", ["1,200"]),
        ("order A-1001 at 06:45 from v2.1", []),
        ("$50 or 30%", ["50", "30"]),
        ("in 20 minutes.", ["20"]),
        ("ticket #88", ["88"]),
    ],
)
def test_numbers(message: str, expected: list[str]) -> None:
    assert [span.text for span in numbers(message)] == expected


def test_quotations() -> None:
    message = "say 'good night' to \"Ann's dog\" and “Bob”, don't"
    assert [span.text for span in quotations(message)] == ["good night", "Ann's dog", "Bob"]
    assert all(message[span.start : span.end] == span.text for span in quotations(message))


def test_tokens_have_no_punctuation_around_them() -> None:
    message = '(Read "a.txt", then b-2!) ...'
    assert [span.text for span in tokens(message)] == ["Read", "a.txt", "then", "b-2"]
    assert all(message[span.start : span.end] == span.text for span in tokens(message))


def test_spans_are_runs_of_words() -> None:
    assert [span.text for span in spans("a b, c", longest=2)] == ["a", "a b", "b", "b, c", "c"]


def test_words() -> None:
    assert words("get_weatherNow for São-Paulo") == ["get", "weather", "now", "for", "são", "paulo"]
    assert similarity("light", "lights") > 0.8
    assert similarity("add", "address") == 0
    assert similarity("cat", "dog") == 0


def test_what_all_vocabularies_share_counts_least() -> None:
    alone, both = overlap(["weather", "please"], [{"weather": 1.0, "city": 1.0}, {"time": 1.0, "city": 1.0}])
    assert alone > both == 0
    shared = overlap(["city"], [{"weather": 1.0, "city": 1.0}, {"time": 1.0, "city": 1.0}])
    assert shared[0] == shared[1] < alone
