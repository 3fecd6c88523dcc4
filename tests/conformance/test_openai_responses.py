"""The OpenAI client for Python and the Responses API: answers, failures, conversations, tools of the client."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import FunctionToolParam, Response
from pydantic import BaseModel

from tests.conformance.repertoire import (
    ASK_BAKER,
    BREAK_OFF,
    BURN,
    CANCEL,
    CONCLUSION,
    CUT_SHORT,
    FIND,
    FOUND,
    HALF,
    MAP,
    REFUSE,
    SHOW_PARAMETERS,
    SHOWN,
    STORY,
    TELL,
    THINK,
    THOUGHT,
    said_by,
)
from tests.conformance.response_events import (
    dumped,
    final_of,
    stream,
    text_of,
    types_of,
)
from tests.support.endpoint import Endpoint, ModelCall

SHOW: FunctionToolParam = {
    "type": "function",
    "name": "show_on_map",
    "description": "Show a place to the user.",
    "strict": True,
    "parameters": SHOW_PARAMETERS,
}


@pytest.fixture
async def async_client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="none", timeout=60) as opened:
        yield opened


# ------------------------------------------------------------------------------------------------ answers and streams


def test_plain_answer_with_its_usage(client: OpenAI) -> None:
    response = client.responses.create(model="clerk", input=TELL, metadata={"who": "Ada"}, temperature=0.5)

    assert (response.status, response.output_text, response.error) == ("completed", STORY, None)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (
        11,
        7,
        18,
    )
    assert (response.model, response.metadata, response.temperature) == ("clerk", {"who": "Ada"}, 0.5)
    assert [item.type for item in response.output] == ["message"]


def test_stream_of_events_in_their_order(client: OpenAI) -> None:
    events = stream(client, TELL)

    assert types_of(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(events) == final_of(events).output_text == STORY
    assert len([event for event in events if event.type == "response.output_text.delta"]) > 5


def test_stream_of_an_agent_with_tools(client: OpenAI) -> None:
    events = stream(client, FIND)

    assert types_of(events)[2:8] == [
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
    ]
    tool, message = final_of(events).output
    assert tool.type == "mcp_call"
    assert (tool.server_label, tool.name, tool.status) == ("tools", "find_order", "completed")
    assert (json.loads(tool.arguments), tool.output) == ({"number": 7}, "order 7 is in the oven")
    assert message.type == "message"
    assert message.phase == "final_answer"
    extras = [event.model_extra or {} for event in events]
    assert [extra["progress"]["status"] for extra in extras if "progress" in extra] == [
        "started",
        "completed",
    ]


def test_stream_of_an_agent_that_delegates(client: OpenAI) -> None:
    events = stream(client, ASK_BAKER)

    call, _ = final_of(events).output
    assert call.type == "mcp_call"
    assert (call.server_label, call.name, call.status) == ("delegation", "baker", "completed")
    assert final_of(events).output_text == f"The baker says: {call.output}"
    # What the baker says comes along while it is said, in events that only those look into who know of it.
    steps = [event.model_extra["progress"] for event in events if event.model_extra]
    assert "".join(step.get("delta", "") for step in steps) == call.output
    assert {event.type for event in events if event.model_extra} == {
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
    }


def test_stream_with_thoughts(client: OpenAI) -> None:
    events = stream(client, THINK)

    assert types_of(events)[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    reasoning, _ = final_of(events).output
    assert reasoning.type == "reasoning"
    assert [part.text for part in reasoning.summary] == [THOUGHT]
    assert text_of(events) == CONCLUSION


@pytest.mark.parametrize(("prompt", "text"), [(TELL, STORY), (FIND, FOUND), (THINK, CONCLUSION)])
def test_stream_helper_puts_the_response_together(client: OpenAI, prompt: str, text: str) -> None:
    with client.responses.stream(model="clerk", input=prompt) as helper:
        deltas = [event.delta for event in helper if event.type == "response.output_text.delta"]
        response = helper.get_final_response()

    assert "".join(deltas) == response.output_text == text
    stored = client.responses.retrieve(response.id)
    assert [item.to_dict()["id"] for item in response.output] == [
        item.to_dict()["id"] for item in stored.output
    ]


@pytest.mark.anyio
async def test_asynchronous_client(async_client: AsyncOpenAI) -> None:
    async with async_client.responses.stream(model="clerk", input=FIND) as helper:
        response = await helper.get_final_response()
    again = await async_client.responses.retrieve(response.id)

    assert response.output_text == again.output_text == FOUND


def test_answer_that_was_cut_short(client: OpenAI) -> None:
    for response in (
        client.responses.create(model="clerk", input=CUT_SHORT),
        final_of(stream(client, CUT_SHORT)),
    ):
        assert (response.status, response.output_text) == ("incomplete", "Once upon")
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"


class Place(BaseModel):
    """Where something is."""

    name: str
    floor: int


@pytest.mark.parametrize("streamed", [False, True])
def test_answer_of_a_form(client: OpenAI, model: Endpoint, streamed: bool) -> None:
    async def answer(call: ModelCall) -> None:
        await call.complete('{"name": "the oven", "floor": 2}')

    model.script = answer
    if streamed:
        with client.responses.stream(model="clerk", input="hi", text_format=Place) as helper:
            parsed = helper.get_final_response().output_parsed
    else:
        parsed = client.responses.parse(model="clerk", input="hi", text_format=Place).output_parsed

    assert parsed == Place(name="the oven", floor=2)


# ------------------------------------------------------------------------------------------------ failures


def test_bad_field_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="clerk", input=TELL, temperature=cast("Any", "warm"))

    assert caught.value.param == "temperature"


@pytest.mark.parametrize("streamed", [False, True])
def test_failing_model_is_a_real_status_and_asked_once(
    client: OpenAI, model: Endpoint, streamed: bool
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.responses.create(model="clerk", input=REFUSE, stream=streamed)

    assert (caught.value.status_code, caught.value.code) == (502, "403")
    assert len(model.calls) == 1
    run_id = caught.value.response.headers["x-run-id"]
    response = client.responses.retrieve(run_id)
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.message == "the model endpoint answered with status 403"


def test_failure_in_the_middle_of_a_stream_ends_it_with_what_was_said(client: OpenAI) -> None:
    events = stream(client, BREAK_OFF)

    assert types_of(events)[-5:] == [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "failed",
    ]
    response = final_of(events)
    assert response.error is not None
    assert (response.error.code, response.output_text) == ("model_unavailable", HALF)
    (message,) = response.output
    assert message.type == "message"
    assert message.status == "incomplete"


def test_failing_tool_is_a_failed_call(client: OpenAI) -> None:
    events = stream(client, BURN)

    assert types_of(events)[-3:] == ["mcp_call.failed", "output_item.done", "failed"]
    (call,) = final_of(events).output
    assert call.type == "mcp_call"
    assert (call.status, call.output) == ("failed", None)
    assert call.error is not None
    assert "oven.internal" not in json.dumps(dumped(events))


# ------------------------------------------------------------------------------------------------ conversations


def test_previous_response_id_goes_on_with_its_conversation(client: OpenAI) -> None:
    first = client.responses.create(model="clerk", input="I am Ada.")
    second = client.responses.create(model="clerk", input="Who am I?", previous_response_id=first.id)
    third = client.responses.create(model="clerk", input="Sure?", previous_response_id=second.id)

    assert second.output_text == "I heard: I am Ada. / Who am I?"
    assert third.output_text == "I heard: I am Ada. / Who am I? / Sure?"
    assert third.previous_response_id == second.id
    assert first.conversation is not None
    assert first.conversation == second.conversation == third.conversation


def test_conversation_is_the_session(client: OpenAI) -> None:
    name = f"conv_{uuid.uuid4().hex}"
    client.responses.create(model="clerk", input="I am Ada.", conversation=name)
    second = client.responses.create(model="clerk", input="Who am I?", conversation={"id": name})
    in_chat = client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": "Sure?"}], extra_headers={"X-Session-ID": name}
    )

    assert second.output_text == "I heard: I am Ada. / Who am I?"
    assert in_chat.choices[0].message.content == "I heard: I am Ada. / Who am I? / Sure?"


def test_conversation_that_came_along_is_known_to_those_who_go_on_with_it(client: OpenAI) -> None:
    first = client.responses.create(
        model="clerk",
        input=[
            {"role": "user", "content": "I am Ada."},
            {"role": "assistant", "content": "Hello, Ada."},
            {"role": "user", "content": "Who am I?"},
        ],
    )
    second = client.responses.create(
        model="clerk",
        previous_response_id=first.id,
        input=[{"role": "user", "content": "Sure?"}, {"role": "user", "content": "Really?"}],
    )

    assert first.output_text == "I heard: I am Ada. / Who am I?"
    assert second.output_text == "I heard: I am Ada. / Who am I? / Sure? / Really?"


def test_output_may_come_back_as_input(client: OpenAI) -> None:
    items: list[Any] = [{"role": "user", "content": FIND}]
    items += client.responses.create(model="clerk", input=items, store=False).output
    items += final_of(stream(client, [*items, {"role": "user", "content": THINK}], store=False)).output
    last = client.responses.create(model="clerk", input=[*items, {"role": "user", "content": "And?"}])

    assert last.output_text == f"I heard: {FIND} / And?"


def test_instructions_are_for_this_response(client: OpenAI, model: Endpoint) -> None:
    first = client.responses.create(
        model="clerk",
        instructions="Be brief.",
        input=[{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hi"}],
    )
    client.responses.create(model="clerk", input="and now", previous_response_id=first.id)

    before, after = (" ".join(said_by(call.body, "system")) for call in model.calls)
    assert "Be brief." in before
    assert "Be kind." in before
    assert "Be" not in after
    assert "bakery" in after


@pytest.mark.parametrize("name", ["resp_unknown", f"resp_{'0' * 32}"])
def test_unknown_previous_response_is_told(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="clerk", input="hi", previous_response_id=name)

    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_two_conversations_at_once_are_too_many(client: OpenAI) -> None:
    first = client.responses.create(model="clerk", input="hi")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="clerk", input="hi", previous_response_id=first.id, conversation="c")

    assert caught.value.param == "previous_response_id"


# ------------------------------------------------------------------------------------------------ tools of the client


def respond(client: OpenAI, streamed: bool, **options: Any) -> Response:
    if not streamed:
        return cast("Response", client.responses.create(model="clerk", **options))
    with client.responses.stream(model="clerk", **options) as helper:
        return helper.get_final_response()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("keeps", ["server", "client"])
def test_tool_of_the_client(client: OpenAI, model: Endpoint, streamed: bool, keeps: str) -> None:
    items: list[Any] = [{"role": "user", "content": MAP}]
    first = respond(client, streamed, input=items, tools=[SHOW])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments), call.status) == (
        "show_on_map",
        {"place": "the oven"},
        "completed",
    )
    assert first.output_text == "One moment."
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "shown at the oven"}
    if keeps == "server":
        second = respond(client, streamed, input=[result], previous_response_id=first.id, tools=[SHOW])
    else:
        second = respond(client, streamed, input=[*items, *first.output, result], tools=[SHOW])

    assert second.output_text == SHOWN
    assert len(model.calls) == 2


def test_events_of_a_call_for_the_client(client: OpenAI) -> None:
    events = stream(client, MAP, tools=[SHOW])

    added = [event.item.type for event in events if event.type == "response.output_item.added"]
    done = [event.item.type for event in events if event.type == "response.output_item.done"]
    assert sorted(added) == sorted(done) == ["function_call", "mcp_call", "message"]
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    (whole,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert "".join(pieces) == whole.arguments == '{"place": "the oven"}'
    assert final_of(events).status == "completed"


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        ({"approve": True}, "So: order 7 is cancelled"),
        ({"approve": False, "reason": "It is baked already."}, "So: It is baked already."),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_approval_of_a_tool_of_the_agent(
    client: OpenAI, decision: dict[str, Any], answer: str, streamed: bool
) -> None:
    first = respond(client, streamed, input=CANCEL)
    (request,) = first.output
    assert request.type == "mcp_approval_request"
    assert (request.name, json.loads(request.arguments)) == ("cancel_order", {"number": 7})
    response: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, **decision}
    second = respond(client, streamed, input=[response], previous_response_id=first.id)

    assert second.output_text == answer
    calls = [item for item in second.output if item.type == "mcp_call"]
    assert [call.approval_request_id for call in calls] == ([request.id] if decision["approve"] else [])
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(max_retries=0).responses.create(
            model="clerk", input=[response], previous_response_id=first.id
        )
    assert caught.value.code == "already_answered"


def test_approval_by_a_client_that_keeps_the_conversation(client: OpenAI) -> None:
    items: list[Any] = [{"role": "user", "content": CANCEL}]
    items += client.responses.create(model="clerk", input=items).output
    items += [{"type": "mcp_approval_response", "approval_request_id": items[-1].id, "approve": True}]

    assert client.responses.create(model="clerk", input=items).output_text == "So: order 7 is cancelled"
