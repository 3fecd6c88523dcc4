"""The same requests to every server: what clients see must not depend on who listens to the socket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.servers.conftest import OVER_HTTP1, Served
from tests.support.asgi import Answer, chat
from tests.support.sockets import connected, request_bytes

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
# Far more than the ten messages of a body that hypercorn holds for an application that does not read them.
# Over HTTP/1.1, also more than the kernel holds for a server that does not read; HTTP/2 has windows of its own for that,
# is slower by far, and a body that nobody wants is read for five seconds only.
LARGE, LARGE_OVER_HTTP2 = 20 * 1024 * 1024, 4 * 1024 * 1024


def large_body(served: Served, *, declared: bool) -> bytes | AsyncIterator[bytes]:
    size = LARGE_OVER_HTTP2 if served.http2 else LARGE
    return b" " * size if declared else pieces(size)


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield b" " * 65536


async def test_plain_answer(client: httpx2.AsyncClient) -> None:
    answer = await client.post(CHAT, json=chat("hello"), headers={"x-session-id": "plain"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-session-id"] == "plain"
    assert answer.json()["choices"][0]["message"]["content"] == "You said hello"


async def test_streamed_answer(client: httpx2.AsyncClient) -> None:
    answer = await client.post(CHAT, json=chat("hello", stream=True))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    stream = Answer(body=answer.content)
    assert stream.text() == "You said hello"
    assert stream.frames()[-1] == "[DONE]"


async def test_first_text_comes_while_the_model_still_talks(
    client: httpx2.AsyncClient, served: Served
) -> None:
    said = f"forever {served.kind} {served.http2} first text"
    async with client.stream("POST", CHAT, json=chat(said, stream=True)) as answer:
        async for line in answer.aiter_lines():
            if "tick" in line:
                break
        assert said not in served.model.left


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/v1/models", "/tools", "/memory/sessions"])
async def test_head_has_the_headers_of_get_and_no_body(client: httpx2.AsyncClient, path: str) -> None:
    got, headed = await client.get(path), await client.head(path)
    assert (got.status_code, headed.status_code) == (200, 200)
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert headed.content == b""


async def test_errors_use_the_envelope(client: httpx2.AsyncClient) -> None:
    wrong: list[tuple[int, dict[str, Any]]] = [
        (404, {"method": "GET", "url": "/nowhere"}),
        (404, {"method": "GET", "url": "/v1/models/org%2Fother"}),
        (404, {"method": "GET", "url": "/v1/models/org/other"}),
        (405, {"method": "GET", "url": CHAT}),
        (405, {"method": "PATCH", "url": "/health"}),
        (405, {"method": "OPTIONS", "url": CHAT}),
        (415, {"method": "POST", "url": CHAT, "content": b"{}", "headers": {"content-type": "text/plain"}}),
        (400, {"method": "POST", "url": CHAT, "content": b"{"}),
        (400, {"method": "POST", "url": CHAT}),
        (413, {"method": "POST", "url": CHAT, "content": b" " * 200_000}),
    ]
    for status, request in wrong:
        answer = await client.request(**request)
        assert answer.status_code == status, request
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        if status == 405:
            assert answer.headers["allow"] in ("POST", "GET, HEAD")


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "unannounced"])
@pytest.mark.parametrize(("path", "status"), [(CHAT, 413), ("/nowhere", 404), ("/health", 405)])
async def test_large_body_that_nobody_wants_is_answered(
    served: Served, client: httpx2.AsyncClient, path: str, status: int, declared: bool
) -> None:
    answer = await client.post(path, content=large_body(served, declared=declared))
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "unannounced"])
async def test_get_with_a_large_body_is_answered(
    served: Served, client: httpx2.AsyncClient, declared: bool
) -> None:
    answer = await client.request("GET", "/health", content=large_body(served, declared=declared))
    assert answer.status_code == 200
    assert (await client.get("/health")).status_code == 200


@OVER_HTTP1
async def test_large_head_is_refused_though_it_comes_at_once(served: Served) -> None:
    async with connected(served.url) as connection:
        head, end, _ = request_bytes("GET", "/health").partition(b"\r\n\r\n")
        await connection.send(head + b"".join(b"\r\nx-%d: %s" % (n, b"a" * 2000) for n in range(18)) + end)
        answer = await connection.answer()
        assert answer.status == 431
        assert answer.json()["error"]["code"] == "headers_too_large"


@OVER_HTTP1
async def test_connection_serves_on_after_errors(served: Served) -> None:
    async with connected(served.url) as connection:
        for request, status in [
            (request_bytes("GET", "/nowhere"), 404),
            (request_bytes("PUT", CHAT, b"{}"), 405),
            (request_bytes("POST", CHAT, b"{"), 400),
            (request_bytes("POST", CHAT, b"{}", content_type="text/plain"), 415),
            (request_bytes("POST", CHAT, b" " * 150_000), 413),
        ]:
            await connection.send(request)
            assert (await connection.answer()).status == status
        await connection.send(request_bytes("POST", CHAT, json.dumps(chat("after all")).encode()))
        answer = await connection.answer()
        assert answer.status == 200
        assert answer.json()["choices"][0]["message"]["content"] == "You said after all"


@OVER_HTTP1
async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    requests = [request_bytes("POST", CHAT, json.dumps(chat(f"line {n}")).encode()) for n in range(3)]
    stream = request_bytes("POST", CHAT, json.dumps(chat("streamed", stream=True)).encode())
    async with connected(served.url) as connection:
        await connection.send(
            b"".join([requests[0], request_bytes("GET", "/nowhere"), stream, *requests[1:]])
        )
        first, missing, streamed, *rest = [await connection.answer() for _ in range(5)]
    texts = [answer.json()["choices"][0]["message"]["content"] for answer in (first, *rest)]
    assert texts == ["You said line 0", "You said line 1", "You said line 2"]
    assert missing.status == 404
    assert streamed.text() == "You said streamed"


@OVER_HTTP1
async def test_chunked_body_in_single_bytes(served: Served) -> None:
    body = json.dumps(chat("drop by drop")).encode()
    async with connected(served.url) as connection:
        await connection.send(request_bytes("POST", CHAT, transfer_encoding="chunked"))
        for start in range(len(body)):
            await connection.send(b"1\r\n" + body[start : start + 1] + b"\r\n")
        await connection.send(b"0\r\n\r\n")
        answer = await connection.answer()
    assert answer.json()["choices"][0]["message"]["content"] == "You said drop by drop"


@pytest.mark.parametrize("prefix", ["/continue", "/stripped"])
async def test_mounted_under_a_prefix(client: httpx2.AsyncClient, served: Served, prefix: str) -> None:
    assert (await client.get(f"{prefix}/health")).json()["status"] == "healthy"
    answer = await client.post(f"{prefix}{CHAT}", json=chat("mounted"))
    assert answer.json()["choices"][0]["message"]["content"] == "You said mounted"
    assert (await client.get(f"{prefix}/nowhere")).status_code == 404
    card = (await client.get(f"{prefix}/.well-known/agent.json")).json()
    assert card["url"] == f"{served.url}{prefix}/"
