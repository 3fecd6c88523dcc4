"""Tools that the client runs, over chat completions: handed out, answered, and gone on with."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from pais_lite import LocalMemory, serve
from tests.api.client_tools import (
    ALICE,
    BOB,
    CHAT,
    called,
    error_of,
    events_of,
    make_server,
    message_of,
    post,
    result,
    streamed_message,
    user,
)
from tests.support.agents import call
from tests.support.asgi import ask, chat

pytestmark = pytest.mark.anyio


async def test_a_call_is_handed_out_and_its_result_goes_on_from_the_messages() -> None:
    server = make_server(call(("map", {"place": "Rome"}), content="Let me see."), "There it is.")
    first = await post(server, [user("Where is Rome?")])
    choice = first.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    (handed,) = choice["message"]["tool_calls"]
    assert handed["type"] == "function"
    assert handed["function"] == {"name": "map", "arguments": '{"place": "Rome"}'}

    second = await post(server, [user("Where is Rome?"), choice["message"], result(handed, "a map")])
    assert message_of(second) == {"role": "assistant", "content": "There it is.", "refusal": None}
    assert second.json()["choices"][0]["finish_reason"] == "stop"
    # The client named no session, and its answer is recorded in the one that the call came from all the same.
    assert second.headers["x-session-id"] == first.headers["x-session-id"]


async def test_content_is_null_where_the_model_said_nothing_before_the_call() -> None:
    answer = await post(make_server(call(("clock", {}))), [user()])
    message = message_of(answer)
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "clock", "arguments": "{}"}


async def test_the_session_is_enough_to_go_on() -> None:
    server = make_server(call(("clock", {})), "It is noon.")
    headers = {"x-session-id": "s"}
    handed = message_of(await post(server, [user("What time is it?")], headers))["tool_calls"][0]
    # Neither the conversation nor the tools come along again.
    body = {"messages": [result(handed, "12:00")]}
    second = await ask(server, "POST", CHAT, body, headers=headers)
    assert message_of(second)["content"] == "It is noon."

    events = await events_of(server, "s")
    assert [event["event_type"] for event in events] == [
        "user_message",
        "tool_call",
        "tool_result",
        "agent_response",
    ]
    assert events[1]["content"] == {"tool": "clock", "call_id": handed["id"], "arguments": {}}
    assert events[1]["metadata"]["waits_for"] == "client"
    assert events[2]["content"] == {"tool": "clock", "call_id": handed["id"], "result": "12:00"}
    # What the run needs to go on is nobody else's business.
    assert "A system prompt." not in json.dumps(events)


async def test_streamed_calls_have_the_shape_that_clients_know() -> None:
    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        yield "Let me "
        yield "see."
        yield {0: DeltaToolCall("map", '{"pla', tool_call_id="x")}
        yield {0: DeltaToolCall(json_args='ce": "Ro')}
        yield {0: DeltaToolCall(json_args='me"}')}
        yield {1: DeltaToolCall("clock", "", tool_call_id="y")}

    server = serve(Agent(FunctionModel(stream_function=speak), name="guide"))
    answer = await post(server, [user()], stream=True, stream_options={"include_usage": True})
    assert answer.text() == "Let me see."
    choices = [choice for chunk in answer.chunks() for choice in chunk["choices"]]
    deltas = [piece for choice in choices for piece in choice["delta"].get("tool_calls", [])]
    ids = [piece["id"] for piece in deltas if "id" in piece]
    assert len(set(ids)) == 2
    assert deltas == [
        {"index": 0, "id": ids[0], "type": "function", "function": {"name": "map", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"pla'}},
        {"index": 0, "function": {"arguments": 'ce": "Ro'}},
        {"index": 0, "function": {"arguments": 'me"}'}},
        {"index": 1, "id": ids[1], "type": "function", "function": {"name": "clock", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert reasons == ["tool_calls"]
    assert choices[-1] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    assert answer.frames()[-1] == "[DONE]"
    assert not any("progress" in chunk for chunk in answer.chunks())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stateless", [False, True])
async def test_tools_of_the_agent_run_once_and_their_results_are_not_lost(
    stream: bool, stateless: bool
) -> None:
    asked: list[list[ModelMessage]] = []
    ran: list[str] = []

    def answer(messages: list[ModelMessage]) -> list[tuple[str, str, str]] | str:
        asked.append(messages)
        spoken = sum(isinstance(message, ModelResponse) for message in messages)
        if spoken == 0:
            return [("look_up", '{"place": "Rome"}', "a")]
        if spoken == 1:
            return [
                ("look_up", '{"place": "Bath"}', "b"),
                ("clock", "{}", "c"),
                ("map", '{"place": "Bath"}', "d"),
            ]
        return "Done."

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        said = answer(messages)
        if isinstance(said, str):
            yield said
        else:
            for place, (name, arguments, call_id) in enumerate(said):
                yield {place: DeltaToolCall(name, arguments, tool_call_id=call_id)}

    async def speak_whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = answer(messages)
        if isinstance(said, str):
            return ModelResponse(parts=[TextPart(said)])
        return ModelResponse(
            parts=[ToolCallPart(name, args, tool_call_id=call_id) for name, args, call_id in said]
        )

    agent = Agent(FunctionModel(speak_whole, stream_function=speak), name="guide")

    @agent.tool_plain
    async def look_up(place: str) -> str:
        ran.append(place)
        return f"{place} is far"

    server = serve(agent)
    headers = {} if stateless else {"x-session-id": "s"}
    first = await post(server, [user()], headers, stream=stream)
    told = streamed_message(first) if stream else message_of(first)
    clock, map_ = told["tool_calls"]
    assert [clock["function"]["name"], map_["function"]["name"]] == ["clock", "map"]
    assert ran == ["Rome", "Bath"]

    # In another order than they were asked, as parallel work ends.
    results = [result(map_, "a map"), result(clock, "12:00")]
    sent = [user(), told, *results] if stateless else results
    second = await post(server, sent, headers, stream=stream)
    assert (second.text() if stream else message_of(second)["content"]) == "Done."
    assert ran == ["Rome", "Bath"]
    returned = {
        part.tool_name: part.content
        for message in asked[-1]
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    assert returned == {"look_up": "Bath is far", "clock": "12:00", "map": "a map"}
    assert sum(isinstance(message, ModelResponse) for message in asked[-1]) == 2
    events = await events_of(server, first.headers["x-session-id"])
    assert [event["event_type"] for event in events] == [
        "user_message",
        *(["tool_call", "tool_result"] * 2),
        *["tool_call", "tool_call", "tool_result", "tool_result"],
        "agent_response",
    ]


async def test_a_turn_may_call_the_client_again_and_again() -> None:
    server = make_server(call(("clock", {})), call(("map", {"place": "Rome"})), "Done.")
    messages = [user()]
    for name in ("clock", "map"):
        message = message_of(await post(server, messages))
        (handed,) = message["tool_calls"]
        assert handed["function"]["name"] == name
        messages += [message, result(handed, name)]
    answer = await post(server, messages)
    assert message_of(answer)["content"] == "Done."
    events = await events_of(server, answer.headers["x-session-id"])
    assert [event["event_type"] for event in events] == [
        "user_message",
        "tool_call",
        "tool_result",
        "tool_call",
        "tool_result",
        "agent_response",
    ]


async def test_the_next_turn_of_a_session_sees_question_and_answer_and_no_orphan() -> None:
    asked: list[list[ModelMessage]] = []

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        asked.append(messages)
        if len(asked) == 1:
            yield {0: DeltaToolCall("clock", "{}", tool_call_id="x")}
        else:
            yield "Done."

    server = serve(Agent(FunctionModel(stream_function=speak), name="guide"))
    headers = {"x-session-id": "s"}
    first = await post(server, [user("one")], headers, stream=True)
    (handed,) = streamed_message(first)["tool_calls"]
    await post(server, [result(handed, "12:00")], headers, stream=True)
    await post(server, [user("two")], headers, stream=True)
    kinds = [[part.part_kind for part in message.parts] for message in asked[-1]]
    assert kinds == [["user-prompt"], ["text"], ["user-prompt"]]


async def test_a_question_that_was_left_open_does_not_block_the_session() -> None:
    server = make_server(call(("clock", {})), "Done.")
    headers = {"x-session-id": "s"}
    handed = message_of(await post(server, [user("one")], headers))["tool_calls"][0]
    assert message_of(await post(server, [user("two")], headers))["tool_calls"]
    late = await post(server, [result(handed, "12:00")], headers)
    assert error_of(late)[:2] == (409, "already_answered")


async def test_answers_that_fit_no_call_are_refused_and_leave_no_trace() -> None:
    server = make_server(call(("clock", {}), ("map", {"place": "Rome"})), "Done.")
    headers = {"x-session-id": "s"}
    clock, map_ = message_of(await post(server, [user()], headers))["tool_calls"]
    before = await events_of(server, "s")
    other = {**clock, "id": "call_0"}
    refused = [
        ([result(clock, "12:00")], "missing_tool_result"),
        ([result(other, "12:00")], "unknown_tool_call"),
        ([result(clock, "1"), result(map_, "2"), result(other, "3")], "unknown_tool_call"),
        ([result(clock, "1"), result(clock, "2"), result(map_, "3")], "invalid_messages"),
    ]
    for messages, code in refused:
        assert error_of(await post(server, messages, headers)) == (400, code, "messages")
    assert await events_of(server, "s") == before
    # In another session nothing waits.
    elsewhere = await post(server, [result(clock, "1"), result(map_, "2")], {"x-session-id": "t"})
    assert error_of(elsewhere) == (400, "unknown_tool_call", "messages")
    assert (
        message_of(await post(server, [result(clock, "1"), result(map_, "2")], headers))["content"] == "Done."
    )
    again = await post(server, [result(clock, "1"), result(map_, "2")], headers)
    assert error_of(again)[:2] == (409, "already_answered")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool", "tool_call_id": "x", "content": "orphan"}],
        [user(), {"role": "tool", "tool_call_id": "x", "content": "orphan"}],
        [user(), {"role": "tool", "content": "no id"}],
        [user(), {"role": "assistant", "content": None, "tool_calls": []}],
        [user(), {"role": "assistant", "content": "Done."}],
    ],
)
async def test_a_conversation_that_ends_in_nothing_to_answer_is_refused(
    messages: list[dict[str, Any]],
) -> None:
    answer = await post(make_server("hi"), messages)
    assert error_of(answer) == (400, "invalid_messages", "messages")


async def test_calls_that_another_server_made_are_gone_on_with_from_the_messages_alone() -> None:
    server = make_server("not this", "Done.")
    messages = [user("What time?"), called(("x", "clock", "{}"), ("y", "map", '{"place": "Rome"}'))]
    messages += [
        {"role": "tool", "tool_call_id": "y", "content": "a map"},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "12:00"}]},
    ]
    answer = await post(server, messages)
    assert message_of(answer)["content"] == "Done."
    events = await events_of(server, answer.headers["x-session-id"])
    assert [(event["event_type"], event["content"]) for event in events] == [
        ("user_message", "What time?"),
        ("tool_call", {"tool": "map", "call_id": "y", "arguments": {"place": "Rome"}}),
        ("tool_result", {"tool": "map", "call_id": "y", "result": "a map"}),
        ("tool_call", {"tool": "clock", "call_id": "x", "arguments": {}}),
        ("tool_result", {"tool": "clock", "call_id": "x", "result": "12:00"}),
        ("agent_response", "Done."),
    ]


async def test_a_result_that_is_claimed_for_a_tool_of_the_agent_is_refused() -> None:
    ran: list[str] = []
    server = make_server("not this", "Done.", ran=ran)
    messages = [user(), called(("x", "look_up", '{"place": "Rome"}'))]
    answer = await post(server, [*messages, {"role": "tool", "tool_call_id": "x", "content": "near"}])
    assert error_of(answer) == (400, "unknown_tool_call", "messages")
    assert ran == []
    unheard_of = [
        user(),
        called(("x", "abacus", "{}")),
        {"role": "tool", "tool_call_id": "x", "content": "1"},
    ]
    assert error_of(await post(server, unheard_of)) == (400, "unknown_tool", "messages")
    # A client that wants no more calls may leave the tools out now.
    assert message_of(await post(server, unheard_of, tools=None))["content"] == "Done."


async def test_another_owner_does_not_reach_the_calls() -> None:
    ran: list[str] = []
    server = make_server(
        call(("look_up", {"place": "Rome"}), ("clock", {})), "Done.", ran=ran, agent_api_keys="alice:a,bob:b"
    )
    session = {"x-session-id": "s"}
    message = message_of(await post(server, [user()], {**ALICE, **session}))
    (handed,) = message["tool_calls"]
    theirs = await post(server, [result(handed, "12:00")], {**BOB, **session})
    assert error_of(theirs) == (400, "unknown_tool_call", "messages")
    assert (await events_of(server, "s", BOB)) == []
    assert (
        message_of(await post(server, [result(handed, "12:00")], {**ALICE, **session}))["content"] == "Done."
    )


async def test_a_client_that_keeps_the_conversation_may_go_back_and_answer_otherwise() -> None:
    ran: list[str] = []
    server = make_server(call(("look_up", {"place": "Rome"}), ("clock", {})), "Done.", ran=ran)
    message = message_of(await post(server, [user()]))
    (handed,) = message["tool_calls"]
    for time in ("12:00", "13:00"):
        answer = await post(server, [user(), message, result(handed, time)])
        assert message_of(answer)["content"] == "Done."
    assert ran == ["Rome"]


async def test_results_may_be_told_again_after_the_model_has_failed() -> None:
    server = make_server(call(("clock", {})))
    headers = {"x-session-id": "s"}
    (handed,) = message_of(await post(server, [user()], headers))["tool_calls"]
    for _ in range(2):
        # The script of the mock is at its end.
        assert (await post(server, [result(handed, "12:00")], headers)).json()["error"]["code"] == (
            "mock_responses_exhausted"
        )


async def test_arguments_that_are_no_object_are_a_model_that_misbehaves() -> None:
    for arguments in ("[1]", '{"place": '):
        server = make_server({"tool_calls": [{"name": "map", "arguments": arguments}]})
        answer = await post(server, [user()])
        assert (answer.status, answer.json()["error"]["code"]) == (502, "model_behavior")


async def test_with_memory_off_the_messages_are_enough() -> None:
    server = make_server(call(("clock", {})), "Done.", memory_enabled=False)
    message = message_of(await post(server, [user()]))
    answer = await post(server, [user(), message, result(message["tool_calls"][0], "12:00")])
    assert message_of(answer)["content"] == "Done."


async def test_a_plain_request_is_as_it_was() -> None:
    answer = await ask(make_server("hi"), "POST", CHAT, chat(tools=[], tool_choice="auto"))
    assert message_of(answer) == {"role": "assistant", "content": "hi", "refusal": None}


async def test_a_turn_that_goes_to_and_fro_is_stored_once() -> None:
    asked: list[list[ModelMessage]] = []

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(messages)
        if len(asked) > 12:
            return ModelResponse(parts=[TextPart("Done.")])
        tools = ["clock", "look_up"] if len(asked) % 3 == 0 else ["clock"]
        calls = [ToolCallPart(name, {"place": f"p{len(asked)}"}, tool_call_id=name) for name in tools]
        return ModelResponse(parts=[TextPart(f"Step {len(asked)}."), *calls])

    agent = Agent(FunctionModel(speak), name="guide")

    @agent.tool_plain
    def look_up(place: str) -> str:
        return f"{place} is far"

    memory = LocalMemory()
    server = serve(agent, memory=memory)
    headers = {"x-session-id": "s"}
    message = message_of(await post(server, [user("Begin.")], headers))
    times = 0
    while message.get("tool_calls"):
        times += 1
        (handed,) = message["tool_calls"]
        message = message_of(await post(server, [result(handed, f"{times} o'clock")], headers))
    assert (message["content"], times) == ("Done.", 12)
    # The model got to see all of it, in order, with every result beside its call.
    *_, last = asked
    said = [
        part.content
        for m in last
        if isinstance(m, ModelResponse)
        for part in m.parts
        if isinstance(part, TextPart)
    ]
    assert said == [f"Step {n}." for n in range(1, 13)]
    told = [
        [part.content for part in m.parts if isinstance(part, ToolReturnPart)]
        for m in last
        if isinstance(m, ModelRequest)
    ][1:]
    assert told == [
        [f"{n} o'clock", f"p{n} is far"] if n % 3 == 0 else [f"{n} o'clock"] for n in range(1, 13)
    ]
    stored = [event.metadata["pause"] for event in await memory.get_events("s") if "pause" in event.metadata]
    assert max(len(pause["messages"]) for pause in stored) <= 4
