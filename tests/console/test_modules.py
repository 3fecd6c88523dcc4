"""What the page's modules make of values, asked in the browser without clicking around."""

import json
import shlex
from typing import Any

import pytest

from tests.console.conftest import Visit

pytestmark = pytest.mark.browser

STREAM = 'event: a\r\ndata: {"x": 1}\r\n\r\n: keepalive\ndata:two\ndata:  lines\n\ndata\n\nid: 3\rdata: \u00e9\U0001f30a\r\rdata: [DONE]\n\n'
EVENTS = ['{"x": 1}', "two\n lines", "\u00e9\U0001f30a", "[DONE]"]
NASTY = "it's $(touch x) `id` \\ \" \n\t\u202e \U000e0041 \u00e9 \U0001f30a </script> %s {0}"


def ask(visit: Visit, module: str, expression: str, given: Any) -> Any:
    """Return what an expression over a module `m` and a value `v` is."""
    if not visit.page.url.startswith(visit.url):
        visit.open()
    program = f"async ([where, v]) => {{ const m = await import(where); return {expression}; }}"
    return visit.page.evaluate(program, [f"{visit.url}/console/{module}", given])


def test_stream_is_read_whole_and_in_pieces_of_any_size(visit: Visit) -> None:
    for size in (1, 2, 3, 7, len(STREAM)):
        pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
        read = ask(
            visit,
            "api.js",
            "(() => { const p = new m.SseParser(); return v.flatMap((x) => p.push(x)); })()",
            pieces,
        )
        assert read == EVENTS, size


def test_commands_hold_whatever_was_said(visit: Visit) -> None:
    body = {
        "input": NASTY,
        "stream": True,
        "none": None,
        "list": [1, 2.5, False, {"a": [NASTY]}],
        "empty": {},
    }
    entry = {
        "method": "POST",
        "url": "http://h/v1/responses",
        "body": body,
        "headers": {"X-A": "it's"},
        "withKey": True,
    }
    curl = ask(visit, "snippets.js", "m.curl(v)", entry)
    words = shlex.split(curl)
    assert json.loads(words[words.index("-d") + 1]) == body
    assert "X-A: it's" in words
    assert words[:4] == ["curl", "-N", "-X", "POST"]
    python = ask(visit, "snippets.js", "m.python(v)", {**entry, "url": "http://h/x"})
    for text in (curl, python):
        assert not {"\u202e", "\U000e0041"} & set(text)
    sent: dict[str, Any] = {}

    class Answer:
        status_code, text = 200, ""

    class Client:
        @staticmethod
        def post(url: str, **given: Any) -> Answer:
            sent.update(given, url=url)
            return Answer()

    program = python.replace("import httpx2", "").replace("import os", "")
    os = type("os", (), {"environ": {"PAIS_API_KEY": "k"}})
    exec(program, {"httpx2": Client, "os": os})
    assert sent == {
        "url": "http://h/x",
        "headers": {"X-A": "it's", "Authorization": "Bearer k"},
        "json": body,
    }


def test_times_are_told_as_people_tell_them(visit: Visit) -> None:
    told = {
        0: "0 ms",
        999.4: "999 ms",
        999.6: "1.0 s",
        59_940: "59.9 s",
        59_960: "1 min 0 s",
        119_600: "2 min 0 s",
    }
    assert ask(visit, "dom.js", "v.map((ms) => m.duration(ms))", list(told)) == list(told.values())
