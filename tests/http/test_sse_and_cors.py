"""Frames of a stream, and what browsers of other origins are told."""

import pytest

from pais_lite.encoding import dump_json
from pais_lite.http import sse
from pais_lite.http.cors import cors_headers, preflight_headers


def test_event_is_one_data_line() -> None:
    assert sse.data_event(dump_json({"text": "a\nb\r\n\r\nc"})) == b'data: {"text":"a\\nb\\r\\n\\r\\nc"}\n\n'


def test_named_event_has_its_name_first() -> None:
    assert sse.named_event("done", b"{}") == b"event: done\ndata: {}\n\n"


def test_comment_ends_with_one_newline() -> None:
    assert sse.KEEPALIVE.startswith(b":")
    assert sse.KEEPALIVE.count(b"\n") == 1
    assert sse.KEEPALIVE.endswith(b"\n")


def test_no_origin_is_allowed_unless_configured() -> None:
    assert cors_headers("https://a.example", ()) == {}


@pytest.mark.parametrize(
    "origin", [None, "null", "https://b.example", "https://a.example.evil", "HTTPS://A.EXAMPLE"]
)
def test_other_origins_are_not_allowed(origin: str | None) -> None:
    assert cors_headers(origin, ("https://a.example",)) == {"vary": "origin"}


def test_allowed_origin_is_named_and_caches_are_told() -> None:
    headers = cors_headers("https://a.example", ("https://b.example", "https://a.example"))
    assert headers["access-control-allow-origin"] == "https://a.example"
    assert headers["vary"] == "origin"
    assert "x-session-id" in headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in headers


def test_any_origin() -> None:
    assert cors_headers(None, ("*",))["access-control-allow-origin"] == "*"


def test_preflight_allows_what_was_asked_for() -> None:
    headers = preflight_headers("POST, OPTIONS", "authorization, x-session-id")
    assert headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert headers["access-control-allow-headers"] == "authorization, x-session-id"
    assert "access-control-allow-headers" not in preflight_headers("GET", "a\r\nb")
    assert "access-control-allow-headers" not in preflight_headers("GET", None)
