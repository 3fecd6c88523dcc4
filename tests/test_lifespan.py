"""A server that has ended may live again: tests and hosts open and close the same one many times."""

from typing import Any

import pytest
from pydantic_ai import Agent

from pais_lite import serve
from tests.support.asgi import ask, chat
from tests.support.endpoint import ModelCall, model_endpoint

pytestmark = pytest.mark.anyio


async def _answer(call: ModelCall) -> None:
    await call.complete("Here I am.")


@pytest.mark.parametrize("lives", [1, 3])
async def test_a_server_lives_as_often_as_its_host_wants(lives: int) -> None:
    async with model_endpoint(_answer) as endpoint:
        server = serve(Agent(), model_api_url=endpoint.url, model_name="m", shutdown_grace_seconds=0.1)
        answers: list[Any] = []
        for _ in range(lives):
            async with server.lifespan():
                answers.append(await ask(server, "POST", "/v1/chat/completions", chat()))
            refused = await ask(server, "POST", "/v1/chat/completions", chat())
            assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["Here I am."] * lives
