"""The floor: an ASGI application that passes the upstream's bytes on as they come. No agent, no memory, no protocol."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx2

_URL = os.environ["MODEL_API_URL"] + "/chat/completions"
_client = httpx2.AsyncClient(timeout=600, trust_env=False, limits=httpx2.Limits(max_connections=2000))


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Relay a request, or answer a probe."""
    if scope["method"] == "GET":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    async with _client.stream("POST", _URL, content=body) as response:
        headers = [(b"content-type", response.headers["content-type"].encode())]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        async for data in response.aiter_raw():
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
