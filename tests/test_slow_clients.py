"""Clients that read or write as slowly as they can: what they hold is bounded, and their time is too."""

import json

import anyio
import anyio.lowlevel
import pytest
from pydantic_ai import Agent

from pais_lite import serve
from pais_lite.http import reply as reply_module
from pais_lite.http.types import Message
from tests.support.asgi import ask, chat, exchange, make_scope
from tests.support.endpoint import ModelCall, model_endpoint
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_reader_who_never_reads_holds_neither_the_run_nor_the_answer(
    monkeypatch: pytest.MonkeyPatch, on_disconnect: str
) -> None:
    monkeypatch.setattr(reply_module, "WRITE_TIMEOUT", 0.3)
    told = 0

    async def forever(call: ModelCall) -> None:
        nonlocal told
        await call.start_stream()
        while True:
            await call.text("x" * 1000)
            told += 1
            await anyio.lowlevel.checkpoint()

    async with model_endpoint(forever) as endpoint:
        server = serve(
            Agent(),
            model_api_url=endpoint.url,
            model_name="m",
            on_disconnect=on_disconnect,
            run_timeout=2,
            max_concurrent_runs=1,
        )
        body = json.dumps(chat(stream=True)).encode()

        async def receive() -> Message:
            nonlocal body
            if body:
                message, body = {"type": "http.request", "body": body}, b""
                return message
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            await anyio.sleep_forever()

        with anyio.fail_after(20):
            await server(make_scope("POST", CHAT, {"content-type": "application/json"}), receive, send)

            async def place_is_free() -> bool:
                return (await ask(server, "POST", CHAT, chat(temperature="wrong"))).status == 400

            await until(place_is_free)
        await until(lambda: endpoint.open_connections == 0)
        async with server.lifespan():
            pass
    # Every piece had an id of its own, so none was joined with another: each is an event that waited for the reader.
    assert told < 20_000


async def test_refused_request_is_refused_before_its_body_is_read() -> None:
    server = serve(Agent("test"), max_concurrent_runs=1)
    server._admission.enter("user")
    async with exchange(server, make_scope("POST", CHAT, {"content-type": "application/json"})) as talk:
        talk.send_body(b"{this is never parsed", more=False)
        with anyio.fail_after(10):
            await talk.ended.wait()
        assert talk.answer.status == 429
        assert int(talk.answer.headers["retry-after"]) >= 1
