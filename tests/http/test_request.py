"""One request, as a server hands it over: headers, paths, and bodies in any number of pieces."""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from pais_lite.errors import InvalidRequest, TooManyRuns
from pais_lite.http import MAX_HEADER_BYTES, BodyBudget, ClientDisconnected, Request
from pais_lite.http import request as request_module
from pais_lite.http.errors import BodyTooLarge, HeadersTooLarge, RequestTimeout, UnsupportedMediaType
from pais_lite.http.types import Message
from tests.support.asgi import make_scope

pytestmark = pytest.mark.anyio

LIMIT = 1000


def messages(*pieces: bytes, more: bool = False) -> list[Message]:
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": more or place < last}
        for place, piece in enumerate(pieces)
    ]


def receiving(queue: list[Message]) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        if not queue:
            await anyio.sleep_forever()
        return queue.pop(0)

    return receive


def make_request(*pieces: bytes, headers: list[tuple[str, str]] | None = None, **scope: str) -> Request:
    method, path = scope.pop("method", "POST"), scope.pop("path", "/")
    return Request(make_scope(method, path, headers or [], **scope), receiving(messages(*pieces)))


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("size", [0, 1, LIMIT])
async def test_body_up_to_the_limit_is_read_whole_or_byte_by_byte(size: int, declared: bool) -> None:
    body = b"x" * size
    headers = [("content-length", str(size))] if declared else []
    assert await make_request(body, headers=headers).read_body(LIMIT) == body
    in_bytes = [body[n : n + 1] for n in range(size)] or [b""]
    assert await make_request(*in_bytes, headers=headers).read_body(LIMIT) == body


async def test_body_over_the_limit_is_refused_before_it_is_read_when_announced() -> None:
    queue = messages(b"x" * (LIMIT + 1))
    request = Request(make_scope("POST", "/", {"content-length": str(LIMIT + 1)}), receiving(queue))
    with pytest.raises(BodyTooLarge):
        await request.read_body(LIMIT)
    assert len(queue) == 1


@pytest.mark.parametrize("declared", [None, "1", "-5", "many", "1e3", "²", ""])
async def test_body_over_the_limit_is_refused_whatever_was_announced(declared: str | None) -> None:
    headers = [] if declared is None else [("content-length", declared)]
    with pytest.raises(BodyTooLarge):
        await make_request(b"x" * LIMIT, b"", b"x", headers=headers).read_body(LIMIT)


@pytest.mark.parametrize("declared", ["9" * 5000, str(LIMIT + 1), "0" * 5000 + "1001"])
async def test_length_of_thousands_of_digits_is_a_number_like_any_other(declared: str) -> None:
    with pytest.raises(BodyTooLarge):
        await make_request(b"", headers=[("content-length", declared)]).read_body(LIMIT)


async def test_length_with_leading_zeros_is_no_larger_for_them() -> None:
    assert (
        await make_request(b"abc", headers=[("content-length", "0" * 5000 + "3")]).read_body(LIMIT) == b"abc"
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"headers": [(b"a", b"b" * (MAX_HEADER_BYTES - 3))]},
        {"headers": [(b"a" * 1022, b"b")] * 31 + [(b"c", b"d" * 1052)]},
        {"query_string": b"a" * (MAX_HEADER_BYTES - 2)},
        {"raw_path": b"/" * MAX_HEADER_BYTES},
    ],
    ids=["one header", "many headers", "query", "path"],
)
async def test_head_may_be_as_long_as_the_limit(parts: dict[str, Any]) -> None:
    scope = {**make_scope("GET", "/x"), "headers": [], **parts}
    Request(scope, receiving([])).check_size()
    longer = {**scope, "headers": [*scope["headers"], (b"x", b"")]}
    with pytest.raises(HeadersTooLarge, match=str(MAX_HEADER_BYTES)):
        Request(longer, receiving([])).check_size()


async def test_client_that_leaves_in_the_middle_of_a_body() -> None:
    queue: list[Message] = [*messages(b"{", more=True), {"type": "http.disconnect"}]
    request = Request(make_scope("POST", "/"), receiving(queue))
    with pytest.raises(ClientDisconnected):
        await request.read_body(LIMIT)
    with anyio.fail_after(5):
        await request.disconnected()
        await request.discard_body()


async def test_client_that_stops_in_the_middle_of_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "BODY_TIMEOUT", 0.02)
    request = Request(make_scope("POST", "/"), receiving(messages(b"{", more=True)))
    with anyio.fail_after(5), pytest.raises(RequestTimeout):
        await request.read_body(LIMIT)


async def test_client_that_drips_a_byte_now_and_then_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "BODY_TIMEOUT", 0.1)
    dripped = 0

    async def drip() -> Message:
        nonlocal dripped
        await anyio.sleep(0.02)
        dripped += 1
        return {"type": "http.request", "body": b"x", "more_body": True}

    with anyio.fail_after(10), pytest.raises(RequestTimeout):
        await Request(make_scope("POST", "/"), drip).read_body(LIMIT)
    assert dripped > 1


async def test_large_body_at_a_modest_pace_has_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "BODY_TIMEOUT", 0.1)
    pieces = messages(*[b"x" * 100] * 8)

    async def modest() -> Message:
        await anyio.sleep(0.03)
        return pieces.pop(0)

    assert len(await Request(make_scope("POST", "/"), modest).read_body(LIMIT)) == 800


async def test_bodies_that_are_being_read_share_a_budget() -> None:
    budget = BodyBudget(1500)
    waiting = Request(make_scope("POST", "/"), receiving(messages(b"x" * LIMIT, more=True)), budget)
    late = Request(make_scope("POST", "/"), receiving(messages(b"x" * 600, b"y")), budget)
    small = Request(make_scope("POST", "/"), receiving(messages(b"x" * 400, b"y")), budget)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiting.read_body, LIMIT)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(TooManyRuns):
            await late.read_body(LIMIT)
        assert len(await small.read_body(LIMIT)) == 401
        tasks.cancel_scope.cancel()
    # What a body held is free again, however its reading ended.
    late = Request(make_scope("POST", "/"), receiving(messages(b"x" * LIMIT, b"")), budget)
    assert len(await late.read_body(LIMIT)) == LIMIT


async def test_discarding_ends_with_the_body() -> None:
    request = make_request(b"x" * 10, b"y" * 10)
    with anyio.fail_after(5):
        await request.discard_body()
    assert request.body_ended


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b' \n[1.5, "\\u00e4", "\xc3\xa4"]\t', [1.5, "ä", "ä"]),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"-0", 0),
        (b"9" * 400, int("9" * 400)),
        (b"[" * 150 + b"]" * 150, json.loads("[" * 150 + "]" * 150)),
    ],
)
async def test_json_that_is_read(body: bytes, value: Any) -> None:
    assert await make_request(body).read_json(LIMIT) == value


async def test_number_too_large_for_a_float_is_infinite_or_refused_but_no_crash() -> None:
    assert await make_request(b"1e400").read_json(LIMIT) == math.inf


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{]",
        b"[1,]",
        b"{'a': 1}",
        b"nul",
        b"1 2",
        b"NaN",
        b"Infinity",
        b"[-Infinity]",
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\x41"',
        b'"\x00"',
        b"\x00" * 20,
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"1" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_json_that_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await make_request(body).read_json(1_000_000)
    assert caught.value.code == "invalid_json"
    assert len(caught.value.message) < 200


async def test_bad_utf8_is_told_with_its_place() -> None:
    with pytest.raises(InvalidRequest, match="not UTF-8: byte 3"):
        await make_request(b'{"a\xff": 1}').read_json(LIMIT)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "Application/JSON; charset=utf-8",
        " application/json ;x=y",
        "application/vnd.api+json",
    ],
)
async def test_content_types_that_are_json(content_type: str | None) -> None:
    headers = [] if content_type is None else [("content-type", content_type)]
    assert await make_request(b"{}", headers=headers).read_json(LIMIT) == {}


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", "text/plain")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "multipart/form-data; boundary=x")],
        [("content-type", "jsonish")],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
    ],
)
async def test_content_types_that_are_something_else(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(UnsupportedMediaType):
        await make_request(b"{}", headers=headers).read_json(LIMIT)


async def test_headers_are_found_whatever_their_case_and_the_first_counts() -> None:
    scope = {**make_scope("GET", "/"), "headers": [(b"X-Session-ID", b" a "), (b"x-session-id", b"b")]}
    request = Request(scope, receiving([]))
    assert request.header("x-session-id") == "a"
    assert request.header("x-session") is None


@pytest.mark.parametrize(
    ("path", "root_path", "seen"),
    [
        ("/health", "", "/health"),
        ("/agents/health", "/agents", "/health"),
        ("/health", "/agents", "/health"),
        ("/agents", "/agents", "/"),
        ("/agents/", "/agents/", "/"),
        ("/agentsmith/health", "/agents", "/agentsmith/health"),
        ("/a/b/health", "/a/b", "/health"),
        ("", "", "/"),
        ("/agents/agents/health", "/agents", "/agents/health"),
    ],
)
async def test_prefix_of_a_mounted_application_is_taken_off(path: str, root_path: str, seen: str) -> None:
    assert make_request(path=path, root_path=root_path).path == seen


@pytest.mark.parametrize(("raw_path", "seen"), [(b"/a/b", "/b"), (b"/a/b/", "/b/")])
async def test_slash_that_only_a_host_has_put_at_the_end_is_taken_off(raw_path: bytes, seen: str) -> None:
    scope = {**make_scope("GET", "/b/", root_path="/a"), "raw_path": raw_path}
    assert Request(scope, receiving([])).path == seen


async def test_base_url_is_the_one_the_client_used() -> None:
    headers = [("host", "agents.example:8443")]
    assert make_request(headers=headers, root_path="/a/").base_url == "http://agents.example:8443/a"
    assert make_request().base_url == "http://testserver:80"


async def test_query_with_anything_in_it() -> None:
    query = make_request(query="limit=5&limit=6&empty=&a%20b=%C3%A4%FF&=x&;&%").query
    assert query["limit"] == "6"
    assert query["empty"] == ""
    assert query["a b"] == "ä\ufffd"
