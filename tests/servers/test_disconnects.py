"""What happens to a run when its client is gone, on every server."""

import json
import uuid
from typing import Any

import anyio
import httpx2
import pytest

from tests.servers.conftest import OVER_HTTP1, OVER_HTTP2, Served, new_client
from tests.support.asgi import chat
from tests.support.http2 import http2_connected
from tests.support.sockets import connected, request_bytes, until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def new(said: str) -> str:
    return f"{said} {uuid.uuid4().hex}"


async def events(client: httpx2.AsyncClient, session: str, prefix: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"{prefix}/memory/events", params={"session_id": session})
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


async def test_model_call_ends_when_the_reader_of_a_stream_leaves(
    client: httpx2.AsyncClient, served: Served
) -> None:
    said, session = new("forever"), uuid.uuid4().hex
    async with (
        new_client(served) as leaving,
        leaving.stream(
            "POST", CHAT, json=chat(said, stream=True), headers={"x-session-id": session}
        ) as answer,
    ):
        async for line in answer.aiter_lines():
            if "tick" in line:
                break
    await until(lambda: said in served.model.left)
    last = (await events(client, session))[-1]
    assert (last["event_type"], last["metadata"]["code"]) == ("error", "cancelled")


@pytest.mark.parametrize("stream", [True, False])
async def test_model_call_ends_when_the_client_leaves_before_the_answer(served: Served, stream: bool) -> None:
    said = new("silence")
    async with new_client(served) as leaving, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: leaving.post(CHAT, json=chat(said, stream=stream)))
        await until(lambda: said in served.model.begun)
        tasks.cancel_scope.cancel()
    await until(lambda: said in served.model.left)


@pytest.mark.parametrize("stream", [True, False])
async def test_run_that_may_go_on_is_finished_and_remembered(
    client: httpx2.AsyncClient, served: Served, stream: bool
) -> None:
    said, session = new("slowly"), uuid.uuid4().hex
    async with new_client(served) as leaving, anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: leaving.post(f"/continue{CHAT}", json=chat(said, stream=stream, session_id=session))
        )
        await until(lambda: said in served.model.begun)
        tasks.cancel_scope.cancel()

    async def is_answered() -> bool:
        return len(await events(client, session, "/continue")) == 2

    await until(is_answered)
    question, answer = await events(client, session, "/continue")
    assert (question["event_type"], question["content"]) == ("user_message", said)
    assert (answer["event_type"], answer["content"]) == ("agent_response", "one two three")


async def test_abandoned_streams_that_go_on_are_remembered(
    client: httpx2.AsyncClient, served: Served
) -> None:
    session = uuid.uuid4().hex
    async with (
        new_client(served) as leaving,
        leaving.stream(
            "POST", f"/continue{CHAT}", json=chat(new("slowly"), stream=True, session_id=session)
        ) as answer,
    ):
        async for line in answer.aiter_lines():
            if "one" in line:
                break

    async def is_answered() -> bool:
        return [event["event_type"] for event in await events(client, session, "/continue")] == [
            "user_message",
            "agent_response",
        ]

    await until(is_answered)


@OVER_HTTP2
async def test_stream_that_is_reset_ends_alone(served: Served) -> None:
    """One connection, two streams: leaving one ends its run and not the other's."""
    left, kept = new("forever"), new("forever")
    async with http2_connected(served.url) as connection:
        first = await connection.post(CHAT, chat(left, stream=True))
        second = await connection.post(CHAT, chat(kept, stream=True))
        await connection.until(first, b"tick")
        await connection.until(second, b"tick")
        await connection.reset(first)
        await until(lambda: left in served.model.left)
        assert kept not in served.model.left
        await connection.until(await connection.post(CHAT, chat("and now")), b"You said and now")
    await until(lambda: kept in served.model.left)


@OVER_HTTP1
async def test_client_that_leaves_in_the_middle_of_its_request(served: Served) -> None:
    body = json.dumps(chat("never told")).encode()
    for _ in range(5):
        async with connected(served.url) as connection:
            await connection.send(request_bytes("POST", CHAT, body, content_length=str(len(body) + 10)))


@OVER_HTTP1
async def test_connections_cut_at_any_moment_leave_the_server_calm(served: Served) -> None:
    """Each abort comes after one more byte of the answer, so it hits every step of writing it."""
    request = request_bytes("POST", CHAT, json.dumps(chat(new("forever"), stream=True)).encode())
    for size in range(0, 2000, 100):
        async with connected(served.url) as connection:
            await connection.send(request)
            with anyio.fail_after(20):
                await connection.reader.readexactly(size)
    began = {said for said in served.model.begun if said.startswith("forever")}
    await until(lambda: began <= served.model.left)
