"""Answers that are JSON because the client wants them so: asked for, held to, tried again, and refused."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, StructuredDict
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, FunctionModel
from pydantic_ai.profiles import ModelProfile

from pais_lite import AgentServer, serve
from tests.api.client_tools import CHAT, CLOCK, error_of, message_of, post, result, user
from tests.support.agents import call
from tests.support.asgi import Answer, ask, chat
from tests.support.endpoint import ModelCall, model_endpoint

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADA = {"name": "Ada", "age": 36}


def json_schema(schema: Any = SCHEMA, **fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, **fields}}


async def ask_for(server: AgentServer, form: Any, **fields: Any) -> Answer:
    return await ask(server, "POST", CHAT, chat(response_format=form, **fields))


def speaker(*says: Any, **settings: Any) -> AgentServer:
    said = [text if isinstance(text, str) else json.dumps(text) for text in says]
    return serve(Agent("test", name="clerk"), debug_mock_responses=said, **settings)


@pytest.mark.parametrize("mode", ["auto", "string"])
@pytest.mark.parametrize("form", [json_schema(), json_schema(strict=True), {"type": "json_object"}])
async def test_the_answer_is_json(form: Any, mode: str) -> None:
    answer = await ask_for(speaker(ADA, tool_call_mode=mode), form)
    assert json.loads(message_of(answer)["content"]) == ADA
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


async def test_the_text_of_a_stream_is_json_also_when_the_model_needed_two_attempts() -> None:
    server = speaker("Here is Ada: {", ADA)
    answer = await ask_for(server, json_schema(), stream=True)
    assert json.loads(answer.text()) == ADA
    events = (await ask(server, "GET", "/memory/events")).json()["events"]
    assert [event["event_type"] for event in events] == ["user_message", "agent_response"]
    assert json.loads(events[-1]["content"]) == ADA


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("says", "complaint"),
    [
        ({"name": "Ada", "age": "old"}, "$.age: has to be an integer"),
        ({"name": "Ada"}, "$: 'age' is missing"),
        ({"name": "Ada", "age": -1}, "$.age: has to be at least 0"),
        ({**ADA, "secret": "s3cret"}, "$: 'secret' is not allowed"),
        ('{"name": "Ada", "age": NaN}', "$.age: has to be an integer"),
        ("Once upon a time, s3cret.", "Invalid JSON"),
        ([ADA], "object"),
    ],
)
async def test_what_does_not_fit_in_the_end_is_an_error_that_says_why(
    says: Any, complaint: str, stream: bool
) -> None:
    answer = await ask_for(speaker(says, says), json_schema(), stream=stream)
    assert error_of(answer) == (502, "model_behavior", None)
    message = answer.json()["error"]["message"]
    assert complaint in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "form",
    [
        "json",
        {},
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "x"}},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        {"type": "json_schema", "json_schema": {"name": "two words", "schema": SCHEMA}},
        json_schema(True),
        json_schema({}),
        json_schema({"type": "array"}),
        json_schema({"type": "object", "properties": 1}),
        json_schema({"type": "object", "properties": {"a": {"$ref": "#"}}}),
        json_schema(SCHEMA, strict="yes"),
        json_schema(SCHEMA, description=1),
    ],
)
async def test_forms_that_cannot_be_asked_for_are_refused_by_name(form: Any) -> None:
    answer = await ask_for(speaker("hi"), form)
    assert (answer.status, answer.json()["error"]["param"]) == (400, "response_format")


@pytest.mark.parametrize("form", [None, {"type": "text"}])
async def test_text_is_text(form: Any) -> None:
    assert message_of(await ask_for(speaker("hi"), form))["content"] == "hi"


def listening(asked: list[AgentInfo], profile: ModelProfile | None = None) -> AgentServer:
    async def speak(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(info)
        return ModelResponse(parts=[TextPart(json.dumps(ADA))])

    return serve(Agent(FunctionModel(speak, profile=profile), name="clerk"))


async def test_the_model_is_held_to_the_schema_where_its_profile_knows_how() -> None:
    asked: list[AgentInfo] = []
    await ask_for(listening(asked), json_schema(SCHEMA, description="A person.", strict=True))
    parameters = asked[0].model_request_parameters
    assert parameters.output_mode == "native"
    assert parameters.output_object is not None
    assert parameters.output_object.name == "person"
    assert parameters.output_object.description == "A person."
    assert parameters.output_object.strict is True
    assert parameters.output_object.json_schema["properties"] == SCHEMA["properties"]


async def test_other_models_are_told_it_in_words() -> None:
    asked: list[AgentInfo] = []
    plain = ModelProfile(supports_json_schema_output=False, supports_json_object_output=False)
    answer = await ask_for(listening(asked, plain), json_schema())
    assert json.loads(message_of(answer)["content"]) == ADA
    assert asked[0].model_request_parameters.output_mode == "prompted"
    assert '"age"' in (asked[0].instructions or "")


async def say_ada(request: ModelCall) -> None:
    await request.complete(json.dumps(ADA))


async def test_what_an_endpoint_is_asked_for() -> None:
    loose = {"type": "object", "properties": {"name": {"type": "string"}}}
    async with model_endpoint(say_ada) as endpoint:
        server = serve(Agent(name="clerk"), model_api_url=endpoint.url, model_name="m")
        async with server.lifespan():
            for form in ({"type": "json_object"}, json_schema(loose), json_schema(SCHEMA, strict=True)):
                answer = await ask_for(server, form)
                assert json.loads(message_of(answer)["content"]) == ADA
    any_object, loosely, strictly = (request.body for request in endpoint.calls)
    assert any_object["response_format"] == {"type": "json_object"}
    # An object of any kind, and not one without entries.
    assert '"additionalProperties": true' in any_object["messages"][0]["content"]
    sent = loosely["response_format"]["json_schema"]
    assert (sent["schema"], sent["strict"]) == (loose, False)
    sent = strictly["response_format"]["json_schema"]
    assert (sent["name"], sent["schema"], sent["strict"]) == ("person", SCHEMA, True)


async def test_tools_of_the_client_and_a_form_of_the_answer_go_together() -> None:
    server = serve(
        Agent("test", name="clerk"),
        debug_mock_responses=[call(("clock", {}), content="One moment."), json.dumps(ADA)],
    )
    first = await post(server, [user()], response_format=json_schema(), stream=True)
    # What a client of this reads as text is JSON, or nothing.
    assert first.text() == ""
    assert first.chunks()[-1]["choices"][0]["finish_reason"] == "tool_calls"
    message = message_of(await post(server, [user()], response_format=json_schema()))
    assert message["content"] is None
    answers = [user(), message, result(message["tool_calls"][0], "12:00")]
    second = await post(server, answers, response_format=json_schema(), tools=[CLOCK])
    assert json.loads(message_of(second)["content"]) == ADA


async def test_thoughts_are_streamed_while_the_answer_is_held_back() -> None:
    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaThinkingPart(content="Who was that?")}
        yield json.dumps(ADA)

    server = serve(Agent(FunctionModel(stream_function=speak), name="clerk"))
    answer = await ask_for(server, json_schema(), stream=True)
    thoughts = [chunk["choices"][0]["delta"].get("reasoning_content") for chunk in answer.chunks()]
    assert "Who was that?" in thoughts
    assert json.loads(answer.text()) == ADA


class City(BaseModel):
    city: str


async def test_an_agent_with_an_output_of_its_own_keeps_it() -> None:
    server = serve(
        Agent("test", name="clerk", output_type=City),
        debug_mock_responses=[{"tool_calls": [{"name": "final_result", "arguments": {"city": "Rome"}}]}],
    )
    fitting = json_schema(
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    )
    for form in (fitting, {"type": "json_object"}, None):
        for stream in (False, True):
            answer = await ask_for(server, form, stream=stream)
            text = answer.text() if stream else message_of(answer)["content"]
            assert json.loads(text) == {"city": "Rome"}
    answer = await ask_for(server, json_schema())
    assert error_of(answer) == (502, "model_behavior", None)
    assert "$: 'name' is missing" in answer.json()["error"]["message"]


async def test_numbers_that_json_has_no_words_for() -> None:
    answer = await ask_for(speaker('{"n": Infinity}', '{"n": Infinity}'), {"type": "json_object"})
    assert error_of(answer) == (502, "model_behavior", None)
    assert "$.n: has to be a number that JSON can write" in answer.json()["error"]["message"]
    infinite = {"tool_calls": [{"name": "final_result", "arguments": '{"n": Infinity}'}]}
    server = serve(
        Agent("test", name="clerk", output_type=StructuredDict({"type": "object"})),
        debug_mock_responses=[infinite],
    )
    assert message_of(await ask_for(server, None))["content"] == '{"n":null}'


async def test_an_agent_with_checks_of_its_own_takes_no_other_form_and_no_tools() -> None:
    agent = Agent("test", name="clerk")

    @agent.output_validator
    def polite(text: str) -> str:
        if "please" not in text:
            raise ModelRetry("Say please.")
        return text

    server = serve(agent, debug_mock_responses=["No.", "Yes, please."])
    for _ in range(2):
        refused = await ask_for(server, json_schema())
        assert (refused.status, refused.json()["error"]["param"]) == (400, "response_format")
        refused = await post(server, [user()])
        assert (refused.status, refused.json()["error"]["param"]) == (400, "tools")
        assert message_of(await ask_for(server, None))["content"] == "Yes, please."
