"""`/v1/responses` over ASGI: who may see what, what goes on without its client, and what a client hears when."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import AgentServer, serve
from pais_lite.agent import event_log
from pais_lite.runs import local
from tests.support.agents import call
from tests.support.asgi import Answer, ask, chat, exchange, make_scope

pytestmark = pytest.mark.anyio

RESPONSES = "/v1/responses"
ALICE, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}


class Teller:
    """A model that says one piece, waits to be let on, and says the other; it remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.may_begin, self.may_end = anyio.Event(), anyio.Event()
        self.may_begin.set()

    async def tell(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        requests = [message for message in messages if isinstance(message, ModelRequest)]
        parts = [part for request in requests for part in request.parts]
        self.calls.append([str(part.content) for part in parts if isinstance(part, UserPromptPart)])
        await self.may_begin.wait()
        yield "first "
        await self.may_end.wait()
        yield "second"

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("".join([piece async for piece in self.tell(messages, info)]))])

    def server(self, **settings: Any) -> AgentServer:
        return serve(Agent(FunctionModel(self.answer, stream_function=self.tell), name="teller"), **settings)


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def quick(teller: Teller) -> Teller:
    teller.may_end.set()
    return teller


def events(answer: Answer) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in answer.frames()]


def types(answer: Answer) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events(answer)]


def output_text(response: Any) -> str:
    return "".join(
        part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]
    )


async def post(server: AgentServer, said: Any = "hi", headers: Any = None, **fields: Any) -> Answer:
    return await ask(server, "POST", RESPONSES, {"input": said, **fields}, headers)


async def get(server: AgentServer, run_id: str, query: str = "", headers: Any = None) -> Answer:
    return await ask(server, "GET", f"{RESPONSES}/{run_id}", headers=headers, query=query)


async def ended(server: AgentServer, run_id: str) -> Any:
    """Wait for the end of a run, and return it as a response."""
    await get(server, run_id, "stream=true")
    return (await get(server, run_id)).json()


async def test_every_answer_names_run_and_session(quick: Teller) -> None:
    server = quick.server()
    for fields in ({}, {"stream": True}, {"background": True}):
        answer = await post(server, headers={"x-session-id": "s"}, **fields)
        assert answer.status == 200
        assert answer.headers["x-session-id"] == "s"
        response = (await get(server, answer.headers["x-run-id"])).json()
        assert (response["id"], response["conversation"]) == (answer.headers["x-run-id"], {"id": "s"})


async def test_late_reader_is_told_the_very_same_bytes(quick: Teller) -> None:
    server = quick.server()
    first = await post(server, stream=True)
    again = await get(server, first.headers["x-run-id"], "stream=true")

    assert again.body == first.body
    assert again.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "[DONE]" not in first.frames()


async def test_plain_answer_and_what_is_kept_of_it_are_the_same(quick: Teller) -> None:
    server = quick.server()
    answer = await post(server, metadata={"a": "b"})

    assert (await get(server, answer.json()["id"])).json() == answer.json()
    stream = await get(server, answer.json()["id"], "stream=true")
    assert events(stream)[-1]["response"] == answer.json()


async def test_background_answers_at_once_and_streams_live(teller: Teller) -> None:
    server = teller.server()
    teller.may_begin = anyio.Event()
    scope = make_scope("POST", RESPONSES, {"content-type": "application/json"})
    async with exchange(server, scope) as talk:
        talk.send_body(b'{"input": "hi", "background": true, "stream": true}')
        # Before the model has said a word there is an id to come back with.
        await talk.until("response.queued")
        run_id = talk.answer.headers["x-run-id"]
        talk.disconnect()
    async with exchange(server, make_scope("GET", f"{RESPONSES}/{run_id}", query="stream=true")) as talk:
        await talk.until("response.queued")
        assert "response.in_progress" not in talk.answer.body.decode()
        teller.may_begin.set()
        await talk.until('"first "')
        assert (await get(server, run_id)).json()["status"] == "in_progress"
        teller.may_end.set()
        await talk.until("response.completed")
    assert output_text(await ended(server, run_id)) == "first second"
    assert len(teller.calls) == 1


async def test_background_queues_behind_the_turn_before_it(teller: Teller) -> None:
    server = teller.server()
    first = (await post(server, "one", conversation="s", background=True)).json()
    second = (await post(server, "two", conversation="s", background=True)).json()

    assert (await get(server, second["id"])).json()["status"] == "queued"
    teller.may_end.set()
    assert (await ended(server, second["id"]))["status"] == "completed"
    assert teller.calls == [["one"], ["one", "two"]]
    assert (await get(server, first["id"])).json()["status"] == "completed"


async def test_reader_who_leaves_ends_nothing(teller: Teller) -> None:
    server = teller.server()
    begun = (await post(server, background=True)).json()
    async with exchange(server, make_scope("GET", f"{RESPONSES}/{begun['id']}", query="stream=true")) as talk:
        await talk.until('"first "')
        talk.disconnect()
        with anyio.fail_after(10):
            await talk.ended.wait()
    assert (await get(server, begun["id"])).json()["status"] == "in_progress"
    teller.may_end.set()
    assert (await ended(server, begun["id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("header", "status"), [(None, "cancelled"), ("cancel", "cancelled"), ("continue", "completed")]
)
async def test_client_of_a_stream_says_what_becomes_of_it(
    teller: Teller, header: str | None, status: str
) -> None:
    server = teller.server()
    headers = {"content-type": "application/json"} | ({"x-on-disconnect": header} if header else {})
    async with exchange(server, make_scope("POST", RESPONSES, headers)) as talk:
        talk.send_body(b'{"input": "hi", "stream": true}')
        await talk.until('"first "')
        talk.disconnect()
        await anyio.wait_all_tasks_blocked()
        teller.may_end.set()
        with anyio.fail_after(10):
            await talk.ended.wait()
    response = await ended(server, talk.answer.headers["x-run-id"])
    assert response["status"] == status


async def test_cancel_ends_what_is_queued_too(teller: Teller) -> None:
    server = teller.server()
    await post(server, "one", conversation="s", background=True)
    second = (await post(server, "two", conversation="s", background=True)).json()
    answer = await ask(server, "POST", f"{RESPONSES}/{second['id']}/cancel")

    assert (answer.status, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["error"]["code"] == "cancelled"
    assert types(await get(server, second["id"], "stream=true")) == ["created", "queued", "failed"]
    assert ["one", "two"] not in teller.calls


async def test_delete_ends_what_is_under_way(teller: Teller) -> None:
    server = teller.server()
    begun = (await post(server, background=True)).json()
    answer = await ask(server, "DELETE", f"{RESPONSES}/{begun['id']}")

    assert answer.json() == {"id": begun["id"], "object": "response", "deleted": True}
    assert (await get(server, begun["id"])).status == 404
    assert (await ask(server, "DELETE", f"{RESPONSES}/{begun['id']}")).status == 404


async def test_owner_alone_knows_a_response(quick: Teller) -> None:
    server = quick.server(agent_api_keys="alice:a,bob:b")
    run_id = (await post(server, headers=ALICE)).json()["id"]
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/input_items"),
    ):
        assert (await ask(server, method, f"{RESPONSES}/{run_id}{path}", headers=BOB)).status == 404
        assert (await ask(server, method, f"{RESPONSES}/{run_id}{path}")).status == 401
    assert (await get(server, run_id, "stream=true", BOB)).status == 404
    refused = await post(server, headers=BOB, previous_response_id=run_id)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert (await get(server, run_id, headers=ALICE)).status == 200


async def test_conversation_of_another_owner_is_a_new_one(quick: Teller) -> None:
    server = quick.server(agent_api_keys="alice:a,bob:b")
    await post(server, "I am Alice.", ALICE, conversation="s")
    await post(server, "Who am I?", BOB, conversation="s")

    assert quick.calls == [["I am Alice."], ["Who am I?"]]


async def test_request_that_comes_again_with_its_key_is_the_same_response(quick: Teller) -> None:
    server = quick.server()
    key = {"idempotency-key": "once"}
    for fields in ({}, {"stream": True}):
        key = {"idempotency-key": f"once {fields}"}
        first, again = [await post(server, headers=key, **fields) for _ in range(2)]
        assert first.body == again.body
    key = {"idempotency-key": "in the background"}
    first, again = [await post(server, headers=key, background=True) for _ in range(2)]
    assert first.json()["id"] == again.json()["id"]
    assert (await post(server, "something else", key, background=True)).status == 409
    await ended(server, first.json()["id"])
    assert len(quick.calls) == 3


async def test_what_came_along_is_remembered_with_the_turn(quick: Teller) -> None:
    server = quick.server(memory_context_limit=3)
    items = [{"role": "user", "content": f"turn {number}"} for number in range(6)]
    answer = await post(server, items)
    run_id, session = answer.json()["id"], answer.headers["x-session-id"]
    remembered = (await ask(server, "GET", "/memory/events", query=f"session_id={session}")).json()["events"]

    # All of it reaches the model; as much as is ever read again is kept.
    assert quick.calls == [[f"turn {number}" for number in range(6)]]
    said = ["turn 2", "turn 3", "turn 4", "turn 5", "first second"]
    assert [event["content"] for event in remembered] == said
    await post(server, "more", previous_response_id=run_id)
    assert quick.calls[1] == ["turn 4", "turn 5", "more"]


async def test_chat_and_responses_share_a_session(quick: Teller) -> None:
    server = quick.server()
    in_chat = await ask(server, "POST", "/v1/chat/completions", chat("one"))
    await post(server, "two", previous_response_id=in_chat.headers["x-run-id"])

    assert quick.calls == [["one"], ["one", "two"]]


async def test_response_that_is_not_stored_is_there_while_it_is_made(teller: Teller) -> None:
    server = teller.server()
    async with exchange(server, make_scope("POST", RESPONSES, {"content-type": "application/json"})) as talk:
        talk.send_body(b'{"input": "hi", "stream": true, "store": false}')
        await talk.until('"first "')
        run_id = talk.answer.headers["x-run-id"]
        assert (await get(server, run_id)).json()["status"] == "in_progress"
        cancelled = await ask(server, "POST", f"{RESPONSES}/{run_id}/cancel")
        assert cancelled.json()["status"] == "cancelled"
    assert (await get(server, run_id)).status == 404


async def test_log_that_is_no_longer_whole(quick: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MAX_LOG_WEIGHT", 150)
    server = quick.server()
    run_id = (await post(server, background=True)).json()["id"]
    with anyio.fail_after(10):
        while (await get(server, run_id)).json()["status"] != "completed":
            await anyio.lowlevel.checkpoint()

    gone = await get(server, run_id, "stream=true")
    assert (gone.status, gone.json()["error"]["code"]) == (410, "run_log_truncated")
    assert output_text((await get(server, run_id)).json()) == "first second"


async def test_forgotten_response(quick: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_ENDED_RUNS", 1)
    server = quick.server()
    first, second = [(await post(server)).json()["id"] for _ in range(2)]

    assert [(await get(server, run_id)).status for run_id in (first, second)] == [404, 200]


async def test_input_items(quick: Teller) -> None:
    server = quick.server()
    items = [{"role": "user", "content": str(number), "id": f"m{number}"} for number in range(3)]
    run_id = (await post(server, items)).json()["id"]

    async def page(query: str = "") -> Any:
        return await ask(server, "GET", f"{RESPONSES}/{run_id}/input_items", query=query)

    whole = (await page()).json()
    assert [item["id"] for item in whole["data"]] == ["m2", "m1", "m0"]
    assert whole["data"][2] == {
        "id": "m0",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "0"}],
    }
    assert (whole["first_id"], whole["last_id"], whole["has_more"]) == ("m2", "m0", False)
    second = (await page("order=asc&after=m0&limit=1")).json()
    assert ([item["id"] for item in second["data"]], second["has_more"]) == (["m1"], True)
    assert (await page("after=m2&order=asc")).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    for query, param in (("order=up", "order"), ("after=m9", "after"), ("limit=0", "limit")):
        refused = await page(query)
        assert (refused.status, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=yes", "stream"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
    ],
)
async def test_bad_query_is_named(quick: Teller, query: str, param: str) -> None:
    server = quick.server()
    refused = await get(server, (await post(server)).json()["id"], query)

    assert (refused.status, refused.json()["error"]["param"]) == (400, param)


async def test_head_asks_for_no_stream(teller: Teller) -> None:
    server = teller.server()
    run_id = (await post(server, background=True)).json()["id"]
    answer = await ask(server, "HEAD", f"{RESPONSES}/{run_id}", query="stream=true")

    assert (answer.status, answer.body) == (200, b"")


async def test_body_that_is_no_object(quick: Teller) -> None:
    answer = await ask(quick.server(), "POST", RESPONSES, ["hi"])

    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_two_agents_behind_one_door() -> None:
    one, two = Teller(), Teller()
    one.may_end.set()
    two.may_end.set()
    model = FunctionModel(two.answer, stream_function=two.tell)
    server = serve({"one": Agent(FunctionModel(one.answer, stream_function=one.tell)), "two": Agent(model)})
    answer = await post(server, model="two")
    run_id = answer.json()["id"]

    assert (len(one.calls), len(two.calls)) == (0, 1)
    assert (await get(server, run_id)).json() == answer.json()
    stream = await get(server, run_id, "stream=true")
    assert events(stream)[-1]["response"] == answer.json()
    assert (await ask(server, "GET", f"/agents/one/v1/responses/{run_id}")).status == 404
    assert (await ask(server, "GET", f"/agents/two/v1/responses/{run_id}")).status == 200
    assert (await post(server, model="three")).status == 404
    assert (await ask(server, "DELETE", f"{RESPONSES}/{run_id}")).status == 200
    assert (await get(server, run_id)).status == 404


@pytest.mark.parametrize("stream", [False, True])
async def test_error_of_the_agent_names_the_field_of_this_protocol(quick: Teller, stream: bool) -> None:
    server = quick.server()
    output = {"type": "function_call_output", "call_id": "nobody's", "output": "shown"}
    refused = await post(server, [output], conversation="s", stream=stream)
    error = refused.json()["error"]

    assert (refused.status, error["param"], error["code"]) == (400, "input", "unknown_tool_call")
    assert error["message"].startswith("input: no call")
    stored = (await get(server, refused.headers["x-run-id"])).json()
    assert stored["error"]["message"] == error["message"]


async def test_text_before_a_call_comes_before_it_in_every_answer() -> None:
    tool = {"type": "function", "name": "show_map"}
    server = serve(
        Agent("test", name="guide"), debug_mock_responses=[call(("show_map", {}), content="Look:")]
    )
    answers = [await post(server, tools=[tool]), await post(server, tools=[tool], stream=True)]
    plain, streamed = answers[0].json(), events(answers[1])[-1]["response"]

    for response in (plain, streamed, await ended(server, plain["id"])):
        text, handed_out = response["output"]
        assert (text["content"][0]["text"], text["phase"]) == ("Look:", "commentary")
        assert (handed_out["type"], handed_out["name"], handed_out["arguments"]) == (
            *("function_call", "show_map"),
            "{}",
        )
