"""An endpoint that answers 200 with something else is a failed dependency, whole or streamed."""

import logging
from typing import Any

import pytest
from pydantic_ai import Agent

from pais_lite import serve
from tests.support.asgi import ask, chat
from tests.support.endpoint import ModelCall, model_endpoint

pytestmark = pytest.mark.anyio

WRONG: list[Any] = [
    {},
    [],
    "text",
    None,
    {"choices": None},
    {"choices": "none"},
    {"choices": [None]},
    {"choices": ["text"]},
    {"choices": [{}]},
    {"choices": [{"message": "text", "delta": "text"}]},
    {"choices": [{"message": {"content": 5}, "delta": {"content": {"a": 1}}}]},
    {"choices": [{"message": {"tool_calls": "x"}, "delta": {"tool_calls": "x"}}]},
    {"choices": [{"message": {"tool_calls": [5]}, "delta": {"tool_calls": [5]}}]},
    {"choices": [{"message": {"content": "x"}, "delta": {"content": "x"}}], "usage": "much"},
    {"choices": [{"message": {"content": "x"}, "delta": {"content": "x"}}], "created": "long ago"},
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
async def test_answer_of_another_shape_is_the_endpoints_fault(
    caplog: pytest.LogCaptureFixture, wrong: Any, stream: bool
) -> None:
    async def answer(call: ModelCall) -> None:
        if not call.body.get("stream"):
            await call.respond(200, wrong)
            return
        await call.start_stream()
        await call.event(wrong)
        await call.end_stream()

    async with model_endpoint(answer) as endpoint:
        server = serve(Agent(), model_api_url=endpoint.url, model_name="m")
        with caplog.at_level(logging.ERROR):
            answered = await ask(server, "POST", "/v1/chat/completions", chat(stream=stream))
        async with server.lifespan():
            pass
    assert answered.status in (200, 502), answered.body
    assert b"run_failed" not in answered.body
    assert caplog.records == []
