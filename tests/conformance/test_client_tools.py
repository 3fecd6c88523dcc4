"""The OpenAI client for Python runs tools of its own beside those of the agent, and approves the agent's."""

import json
import uuid
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessage, ChatCompletionToolUnionParam

from tests.conformance.repertoire import CANCEL, MAP, SHOW_PARAMETERS, SHOWN
from tests.support.endpoint import Endpoint

SHOW: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {
        "name": "show_on_map",
        "description": "Show a place to the user.",
        "strict": True,
        "parameters": SHOW_PARAMETERS,
    },
}


def complete(client: OpenAI, messages: list[Any], *, streamed: bool, **options: Any) -> ChatCompletionMessage:
    if not streamed:
        answer: ChatCompletionMessage = (
            client.chat.completions.create(model="clerk", messages=messages, **options).choices[0].message
        )
        return answer
    with client.chat.completions.stream(model="clerk", messages=messages, **options) as stream:
        return stream.get_final_completion().choices[0].message


def result_of(call: Any) -> dict[str, Any]:
    place = json.loads(call.function.arguments)["place"]
    return {"role": "tool", "tool_call_id": call.id, "content": f"shown at {place}"}


@pytest.mark.parametrize("streamed", [False, True])
def test_client_that_keeps_the_conversation(client: OpenAI, model: Endpoint, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": MAP}]
    first = complete(client, messages, streamed=streamed, tools=[SHOW])
    assert first.content == "One moment."
    assert first.tool_calls is not None
    messages += [first.to_dict(), *(result_of(call) for call in first.tool_calls)]
    second = complete(client, messages, streamed=streamed, tools=[SHOW])

    assert second.content == SHOWN
    assert second.tool_calls is None
    # The agent's own tool ran once, and the model got to see all of it: its calls, and both results.
    seen = model.calls[-1].body["messages"]
    asked = next(message for message in seen if message["role"] == "assistant")
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["find_order", "show_on_map"]
    assert [message["role"] for message in seen].count("tool") == 2
    assert len(model.calls) == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_session_that_the_server_keeps(client: OpenAI, streamed: bool) -> None:
    session = {"X-Session-ID": f"tools-{uuid.uuid4()}"}
    options: dict[str, Any] = {"streamed": streamed, "extra_headers": session}
    first = complete(client, [{"role": "user", "content": MAP}], tools=[SHOW], **options)
    assert first.tool_calls is not None
    second = complete(client, [result_of(call) for call in first.tool_calls], **options)

    assert second.content == SHOWN


def test_stream_of_chunks(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": MAP}], tools=[SHOW], stream=True
    ) as chunks:
        choices = [choice for chunk in chunks for choice in chunk.choices]

    pieces = [piece for choice in choices for piece in choice.delta.tool_calls or []]
    opening, *others = pieces
    assert (opening.index, opening.type, bool(opening.id)) == (0, "function", True)
    assert opening.function is not None
    assert (opening.function.name, opening.function.arguments) == ("show_on_map", "")
    assert all(piece.id is None and piece.function and piece.function.name is None for piece in others)
    arguments = "".join(piece.function.arguments or "" for piece in others if piece.function)
    assert json.loads(arguments) == {"place": "the oven"}
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        ({"approved": True}, "So: order 7 is cancelled"),
        ({"approved": False, "reason": "It is baked already."}, "So: It is baked already."),
    ],
)
def test_approval_of_a_tool_of_the_agent(client: OpenAI, decision: dict[str, Any], answer: str) -> None:
    session = {"X-Session-ID": f"approval-{uuid.uuid4()}"}
    first = complete(client, [{"role": "user", "content": CANCEL}], streamed=True, extra_headers=session)
    assert first.tool_calls is not None
    (call,) = first.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("cancel_order", '{"number": 7}')
    decided: dict[str, Any] = {"role": "tool", "tool_call_id": call.id, "content": json.dumps(decision)}
    assert complete(client, [decided], streamed=True, extra_headers=session).content == answer

    with pytest.raises(openai.ConflictError) as repeated:
        complete(client, [decided], streamed=True, extra_headers=session)
    assert repeated.value.code == "already_answered"


def test_tool_of_the_agents_name_is_refused_before_any_model_is_asked(
    client: OpenAI, model: Endpoint
) -> None:
    taken: ChatCompletionToolUnionParam = {"type": "function", "function": {"name": "find_order"}}

    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, [{"role": "user", "content": MAP}], streamed=False, tools=[taken])

    assert (caught.value.param, caught.value.code) == ("tools", "tool_name_clash")
    assert model.calls == []
