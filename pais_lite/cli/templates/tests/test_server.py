"""The agent as its clients see it, with a mock that says what the model would: no key, no network."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from pais_lite import serve

from server import agent

pytestmark = pytest.mark.anyio

# What the model says, turn by turn: first it calls the tool, then it answers. Every request starts at the first.
SCRIPT = [
    {"tool_calls": [{"name": "days_between", "arguments": {"first": "2026-12-01", "last": "2026-12-24"}}]},
    "23 days.",
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    server = serve(agent, debug_mock_responses=SCRIPT, memory_type="local")
    async with (
        server.lifespan(),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(server), base_url="http://agent") as client,
    ):
        yield client


async def test_answer(client: httpx2.AsyncClient) -> None:
    request = {"messages": [{"role": "user", "content": "How long until Christmas Eve?"}]}
    answer = await client.post("/v1/chat/completions", json=request, headers={"X-Session-ID": "ada"})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "23 days."


async def test_what_the_tool_returned_is_remembered(client: httpx2.AsyncClient) -> None:
    request = {"messages": [{"role": "user", "content": "How long until Christmas Eve?"}]}
    await client.post("/v1/chat/completions", json=request, headers={"X-Session-ID": "ada"})
    events = (await client.get("/memory/events", params={"session_id": "ada"})).json()["events"]
    results = [event["content"]["result"] for event in events if event["event_type"] == "tool_result"]
    assert results == [23]


async def test_stream(client: httpx2.AsyncClient) -> None:
    request = {"stream": True, "messages": [{"role": "user", "content": "How long until Christmas Eve?"}]}
    answer = await client.post("/v1/chat/completions", json=request)
    assert answer.text.endswith("data: [DONE]\n\n")
