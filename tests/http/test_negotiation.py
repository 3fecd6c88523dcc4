"""Which of two media types a client would rather have, and whether it has what is there already."""

import pytest

from pais_lite.http.negotiation import entity_tag, is_current, prefers

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (CHROMIUM, True),
        ("text/html", True),
        ("TEXT/HTML ; q=0.5, application/json;q=0.4", True),
        ("text/*, application/json;q=0.9", True),
        ("*/*;q=0.1, text/html;q=0.2", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0, */*", False),
        ("image/png", False),
        ("text/html;q=many", True),
        (",;=,q;;", False),
    ],
)
def test_page_is_for_those_who_like_it_better(accept: str | None, html: bool) -> None:
    assert prefers(accept, "text/html", "application/json") is html


def test_tag_tells_one_body_from_another() -> None:
    assert entity_tag(b"a") == entity_tag(b"a") != entity_tag(b"b")
    assert entity_tag(b"a")[0] == entity_tag(b"a")[-1] == '"'


@pytest.mark.parametrize(
    ("known", "current"),
    [
        (None, False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_client_may_have_what_is_there(known: str | None, current: bool) -> None:
    assert is_current(known, '"a"') is current
