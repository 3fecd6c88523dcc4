"""What a chat client can say of a run that may outlive its connection: go on, once only, one after another."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import AgentServer, serve
from pais_lite.agent.event_log import MAX_LAG_EVENTS
from tests.support.asgi import Exchange, ask, chat, exchange, make_scope

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ALICE, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}


class Teller:
    """A model that says one piece, waits to be let on, and says the other; it counts how often it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.may_end = anyio.Event()

    async def tell(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        number = len(self.calls)
        prompt: Any = messages[-1].parts[-1]
        self.calls.append(prompt.content)
        yield f"first {number} "
        await self.may_end.wait()
        yield "second"

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("".join([piece async for piece in self.tell(messages, info)]))])

    def server(self, **settings: Any) -> AgentServer:
        model = FunctionModel(self.answer, stream_function=self.tell)
        return serve(Agent(model, name="teller"), **settings)


async def begin(talk: Exchange, body: bytes) -> None:
    talk.send_body(body)
    await talk.until("first")


def scope(**headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return dict(make_scope("POST", CHAT, {"content-type": "application/json", **named}))


STREAM = b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}'


async def settled(server: AgentServer) -> None:
    with anyio.fail_after(10):
        await server.drain()


async def contents(server: AgentServer, session: str) -> list[str]:
    answer = await ask(server, "GET", "/memory/events", query=f"session_id={session}")
    return [event["content"] for event in answer.json()["events"]]


async def test_every_answer_names_its_run() -> None:
    server = serve(Agent("test", name="greeter"), debug_mock_responses=["hello"])
    answers = [await ask(server, "POST", CHAT, chat(stream=stream)) for stream in (True, False)]
    ids = [answer.headers["x-run-id"] for answer in answers]
    assert len(set(ids)) == 2
    assert all(run_id.startswith("resp_") for run_id in ids)
    assert answers[0].chunks()[0]["id"] == ids[0].replace("resp_", "chatcmpl-")
    assert answers[1].json()["id"] == ids[1].replace("resp_", "chatcmpl-")


@pytest.mark.parametrize(
    ("setting", "header", "goes_on"),
    [("cancel", "continue", True), ("continue", "cancel", False), ("continue", None, True)],
)
async def test_client_says_what_becomes_of_its_run_when_it_leaves(
    setting: str, header: str | None, goes_on: bool
) -> None:
    teller = Teller()
    server = teller.server(on_disconnect=setting)
    headers = {"x-session-id": "s"} | ({"x-on-disconnect": header} if header else {})
    async with exchange(server, scope(**headers)) as talk:
        await begin(talk, STREAM)
        talk.disconnect()
        await anyio.wait_all_tasks_blocked()
        teller.may_end.set()
        with anyio.fail_after(10):
            await talk.ended.wait()
    await settled(server)
    said = await contents(server, "s")
    assert said == ["hi", "first 0 second" if goes_on else "the client left before the run had its answer"]


async def test_wrong_wish_for_the_time_after_is_told() -> None:
    server = serve(Agent("test"), debug_mock_responses=["hello"])
    answer = await ask(server, "POST", CHAT, chat(), {"x-on-disconnect": "maybe"})
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "X-On-Disconnect"


@pytest.mark.parametrize("stream", [True, False])
async def test_request_that_comes_again_gets_the_very_same_answer(stream: bool) -> None:
    teller = Teller()
    teller.may_end.set()
    server = teller.server()
    key = {"idempotency-key": "once"}
    first = await ask(server, "POST", CHAT, chat(stream=stream), key)
    again = await ask(server, "POST", CHAT, chat(stream=stream), key)
    assert first.status == again.status == 200
    assert again.body == first.body
    assert again.headers["x-run-id"] == first.headers["x-run-id"]
    assert again.headers["x-session-id"] == first.headers["x-session-id"]
    assert len(teller.calls) == 1
    other = await ask(server, "POST", CHAT, chat("something else", stream=stream), key)
    assert other.status == 409
    assert other.json()["error"]["code"] == "idempotency_key_reused"


async def test_requests_with_one_key_at_once_share_one_run_even_when_the_first_client_leaves() -> None:
    teller = Teller()
    server = teller.server(max_concurrent_runs=1)
    key = {"idempotency_key": "once"}
    async with exchange(server, scope(**key)) as first, exchange(server, scope(**key)) as second:
        await begin(first, STREAM)
        await begin(second, STREAM)
        first.disconnect()
        await anyio.wait_all_tasks_blocked()
        teller.may_end.set()
        await second.until("[DONE]")
    assert len(teller.calls) == 1
    assert second.answer.text() == "first 0 second"


async def test_key_of_one_owner_is_nothing_to_another() -> None:
    teller = Teller()
    teller.may_end.set()
    server = teller.server(agent_api_keys="alice:a,bob:b")
    answers = [
        await ask(server, "POST", CHAT, chat(), {**who, "idempotency-key": "once"}) for who in (ALICE, BOB)
    ]
    assert len({answer.headers["x-run-id"] for answer in answers}) == 2
    assert len(teller.calls) == 2


async def test_request_that_was_refused_before_it_began_may_come_again_with_its_key() -> None:
    teller = Teller()
    server = teller.server(session_policy="reject")
    key = {"idempotency-key": "once", "x-session-id": "s"}
    async with exchange(server, scope(x_session_id="s")) as talk:
        await begin(talk, STREAM)
        refused = await ask(server, "POST", CHAT, chat(), key)
        assert refused.status == 409
        assert refused.json()["error"]["code"] == "session_busy"
        teller.may_end.set()
        await talk.until("[DONE]")
    await settled(server)
    async with server.lifespan():
        assert (await ask(server, "POST", CHAT, chat(), key)).status == 200
    assert len(teller.calls) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_key_that_is_none_is_told(key: str) -> None:
    server = serve(Agent("test"), debug_mock_responses=["hello"])
    answer = await ask(server, "POST", CHAT, chat(), {"idempotency-key": key})
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "Idempotency-Key"


async def test_turns_of_one_session_are_answered_one_after_another_and_others_at_once() -> None:
    teller = Teller()
    server = teller.server()
    async with (
        exchange(server, scope(x_session_id="s")) as first,
        exchange(server, scope(x_session_id="s")) as second,
        exchange(server, scope(x_session_id="other")) as other,
    ):
        await begin(first, STREAM)
        second.send_body(b'{"stream": true, "messages": [{"role": "user", "content": "and now?"}]}')
        await anyio.wait_all_tasks_blocked()
        await begin(other, STREAM)
        assert teller.calls == ["hi", "hi"]
        assert await contents(server, "s") == ["hi"]
        teller.may_end.set()
        await second.until("[DONE]")
    assert await contents(server, "s") == ["hi", "first 0 second", "and now?", "first 2 second"]


async def test_turn_whose_client_gives_up_waiting_leaves_no_trace_in_the_session() -> None:
    teller = Teller()
    server = teller.server()
    async with (
        exchange(server, scope(x_session_id="s")) as first,
        exchange(server, scope(x_session_id="s")) as second,
    ):
        await begin(first, STREAM)
        second.send_body(STREAM)
        await anyio.wait_all_tasks_blocked()
        second.disconnect()
        with anyio.fail_after(10):
            await second.ended.wait()
        teller.may_end.set()
        await first.until("[DONE]")
    await settled(server)
    assert await contents(server, "s") == ["hi", "first 0 second"]


async def test_plain_answer_holds_up_no_run_that_has_much_to_tell() -> None:
    agent = Agent("test")

    @agent.tool_plain
    def count(number: int) -> int:
        return number

    calls = [{"name": "count", "arguments": {"number": number}} for number in range(MAX_LAG_EVENTS)]
    server = serve(agent, debug_mock_responses=[{"tool_calls": calls}, "done"])
    answer = await ask(server, "POST", CHAT, chat())
    assert (answer.status, answer.json()["choices"][0]["message"]["content"]) == (200, "done")
