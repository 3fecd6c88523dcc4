"""Tokens arrive as the model makes them: nothing between the model and the client waits for more."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest
from openai import AsyncOpenAI

from tests.support.endpoint import Cue, Endpoint, ModelCall

pytestmark = pytest.mark.anyio

TOKENS = [f"token-{number} " for number in range(20)]


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="none", timeout=60, max_retries=0) as opened:
        yield opened


async def stream_text(client: AsyncOpenAI) -> AsyncIterator[str]:
    chunks = await client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": "Count."}], stream=True
    )
    async for chunk in chunks:
        if chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


async def test_model_is_never_more_than_two_tokens_ahead_of_the_client(
    client: AsyncOpenAI, model: Endpoint
) -> None:
    """The third token leaves the endpoint only when the client has the first, the fourth when it has the second …"""
    read = [Cue() for _ in TOKENS]

    async def count(call: ModelCall) -> None:
        await call.start_stream()
        for place, token in enumerate(TOKENS):
            if place >= 2:
                await read[place - 2].given()
            await call.text(token)
        await call.end_stream()

    model.script = count
    told: list[str] = []
    with anyio.fail_after(60):
        async for text in stream_text(client):
            told.append(text)
            read[len(told) - 1].give()

    assert told == TOKENS


async def test_first_text_arrives_before_the_third_of_tokens_50_ms_apart(
    client: AsyncOpenAI, model: Endpoint
) -> None:
    left: list[float] = []

    async def count(call: ModelCall) -> None:
        await call.start_stream()
        for token in TOKENS:
            left.append(time.monotonic())
            await call.text(token)
            await anyio.sleep(0.05)
        await call.end_stream()

    model.script = count
    delays: list[float] = []
    # A busy machine may stop any of the three processes for longer than that; one calm moment in five is enough.
    while len(delays) < 5 and not any(delay < 0 for delay in delays):
        left.clear()
        with anyio.fail_after(60):
            arrived = [time.monotonic() async for _ in stream_text(client)]
        assert len(arrived) == len(left) == len(TOKENS)
        delays.append(arrived[0] - left[2])

    assert min(delays) < 0
