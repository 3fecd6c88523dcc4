"""Many clients of one process at the same time: each gets its own answer, whole, and nobody else's words."""

import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator

import anyio
import pytest
from openai import AsyncOpenAI

from tests.conformance.repertoire import said_by
from tests.support.endpoint import Cue, Endpoint, ModelCall

pytestmark = pytest.mark.anyio

SESSIONS = 50
STREAMS = 200
TIMEOUT = 120


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="none", timeout=TIMEOUT, max_retries=0) as opened:
        yield opened


class Gathering:
    """Lets nobody go on before all are there."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._complete = Cue()

    async def join(self) -> None:
        """Wait for the others. All who join do so on one event loop."""
        self._missing -= 1
        if not self._missing:
            self._complete.give()
        await self._complete.given()


async def test_fifty_sessions_with_a_tool_never_see_each_others_words(
    client: AsyncOpenAI, model: Endpoint
) -> None:
    sessions = [f"table-{uuid.uuid4()}" for _ in range(SESSIONS)]
    words = [[uuid.uuid4().hex for _ in range(2)] for _ in range(SESSIONS)]
    all_in_turn = [Gathering(SESSIONS), Gathering(SESSIONS)]

    async def echo_all(call: ModelCall) -> None:
        """Have the tool look the session up, then repeat all that there is to see."""
        if call.body["messages"][-1]["role"] == "tool":
            await call.complete(" ".join(said_by(call.body, "user") + said_by(call.body, "tool")))
        else:
            # With its second turn, a session's first is in its history.
            await all_in_turn[len(said_by(call.body, "user")) - 1].join()
            await call.call_tool("recall_session", {})

    answers: dict[int, list[str]] = defaultdict(list)

    async def visit(number: int) -> None:
        for word in words[number]:
            chunks = await client.chat.completions.create(
                model="clerk",
                messages=[{"role": "user", "content": f"Remember {word}."}],
                stream=True,
                extra_headers={"X-Session-ID": sessions[number]},
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in chunks]
            answers[number].append("".join(pieces))

    model.script = echo_all
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as visitors:
            for number in range(SESSIONS):
                visitors.start_soon(visit, number)

    # To the letter, so that there is no room for anything of the other 49.
    for number, session in enumerate(sessions):
        one, two = (f"Remember {word}." for word in words[number])
        first = f"{one} session {session}\nUser: {one}"
        second = f"{one} {two} session {session}\nUser: {one}\nAssistant: {first}\nUser: {two}"
        assert answers[number] == [first, second]


async def test_two_hundred_streams_are_all_complete_and_correct(client: AsyncOpenAI, model: Endpoint) -> None:
    shuffle = random.Random(2)
    stories = {
        f"Story {number}.": [
            f"{number}:{place}:{shuffle.choice('aüß🥣')} " for place in range(shuffle.randint(5, 40))
        ]
        for number in range(STREAMS)
    }
    all_begun, all_heard = Gathering(STREAMS), Cue()

    async def tell(call: ModelCall) -> None:
        first, *others = stories[said_by(call.body, "user")[-1]]
        await all_begun.join()
        await call.start_stream()
        await call.text(first)
        await all_heard.given()
        for piece in others:
            await call.text(piece)
        await call.end_stream()

    told: dict[str, list[str]] = defaultdict(list)
    reasons: list[str | None] = []

    async def listen(prompt: str) -> None:
        chunks = await client.chat.completions.create(
            model="clerk", messages=[{"role": "user", "content": prompt}], stream=True
        )
        async for chunk in chunks:
            if chunk.choices[0].delta.content:
                told[prompt].append(chunk.choices[0].delta.content)
                # The first words of every story are out before any story goes on.
                if len(told) == STREAMS:
                    all_heard.give()
        reasons.append(chunk.choices[0].finish_reason)

    model.script = tell
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as listeners:
            for prompt in stories:
                listeners.start_soon(listen, prompt)

    assert told == stories
    assert reasons == ["stop"] * STREAMS
    assert len(model.calls) == STREAMS
