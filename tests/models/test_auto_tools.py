"""Native first, string mode once the endpoint has said that it knows no tools."""

import logging
from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from pais_lite.models.auto_tools import AutoToolModel, says_no_tools

pytestmark = pytest.mark.anyio


REFUSALS = [
    (400, {"message": "registry.ollama.ai/library/smollm2:135m does not support tools", "type": "api_error"}),
    (
        400,
        {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'},
    ),
    (400, {"message": 'tool_choice="required" requires --tool-call-parser to be set'}),
    (500, {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}),
    (500, {"code": 500, "message": "Unsupported param: tools", "type": "server_error"}),
    (
        400,
        "litellm.UnsupportedParamsError: together_ai does not support parameters: {'tools': [{'type': 'function'}]}",
    ),
    (400, "litellm.UnsupportedParamsError: ollama does not support parameters: ['tools'], for model=x"),
    (
        404,
        {
            "message": "No endpoints found that support tool use. To learn more about provider routing, visit: ..."
        },
    ),
    (400, {"message": "`tools` is not supported with this model"}),
    (400, {"message": "tool calling is not supported with this model"}),
    (400, {"message": "Unsupported parameter: 'tools' is not supported with this model."}),
    (400, {"message": "deepseek-reasoner does not support Function Calling"}),
    (400, {"message": "Function call is not supported for this model."}),
    (400, {"message": "Function calling is not enabled for this model"}),
    (422, {"message": "This model doesn't support tool use."}),
    (400, {"message": "tools is not supported in this model. For a list of supported models, refer to ..."}),
    (400, {"message": "Unrecognized request argument supplied: tools"}),
]
OTHERS = [
    (400, {"message": "request (5000 tokens) exceeds the available context size"}),
    (400, {"message": "messages with role 'tool' must follow a message with 'tool_calls'"}),
    (400, {"message": "Invalid schema for function 'get_weather': 'pattern' is not supported"}),
    (400, {"message": "tool_call_id is not supported"}),
    (400, {"message": "`parallel_tool_calls` is not supported with this model"}),
    (400, {"message": "response_format is not supported"}),
    (401, {"message": "this key does not support tools"}),
    (429, {"message": "slow down"}),
    (500, None),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_refusal_is_understood(status: int, body: object) -> None:
    assert says_no_tools(ModelHTTPError(status, "m", body))


@pytest.mark.parametrize(("status", "body"), OTHERS)
def test_other_errors_are_no_refusal(status: int, body: object) -> None:
    assert not says_no_tools(ModelHTTPError(status, "m", body))


class Endpoint:
    """Refuses requests with tools, and otherwise calls `double` in text and then tells the result."""

    def __init__(self, error: ModelHTTPError | None) -> None:
        self.error = error
        self.refused = 0
        self.asked = 0

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> str:
        if info.function_tools and self.error:
            self.refused += 1
            raise self.error
        self.asked += 1
        if "Result of double" in str(messages[-1]):
            return "It is 42."
        return '{"tool_calls": [{"name": "double", "arguments": {"number": 21}}]}'

    async def whole(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(self.answer(messages, info))])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for char in self.answer(messages, info):
            yield char


def agent_of(endpoint: Endpoint) -> tuple[Agent, AutoToolModel]:
    model = AutoToolModel(FunctionModel(endpoint.whole, stream_function=endpoint.stream))
    agent = Agent(model)

    @agent.tool_plain
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    return agent, model


async def answer_of(agent: Agent, *, stream: bool) -> str:
    with anyio.fail_after(10):
        if not stream:
            return (await agent.run("Double 21")).output
        async with agent.run_stream("Double 21") as result:
            return await result.get_output()


@pytest.mark.parametrize("stream", [False, True])
async def test_switches_once_and_says_so_once(caplog: pytest.LogCaptureFixture, stream: bool) -> None:
    endpoint = Endpoint(ModelHTTPError(400, "m", {"message": "m does not support tools"}))
    agent, model = agent_of(endpoint)
    with caplog.at_level(logging.INFO, "pais_lite"):
        assert await answer_of(agent, stream=stream) == "It is 42."
        assert await answer_of(agent, stream=stream) == "It is 42."
    assert endpoint.refused == 1
    assert endpoint.asked == 4
    assert model.in_string_mode
    assert [record.getMessage().count("string mode") for record in caplog.records] == [1]


@pytest.mark.parametrize("stream", [False, True])
async def test_other_errors_pass(stream: bool) -> None:
    endpoint = Endpoint(ModelHTTPError(400, "m", {"message": "context too long"}))
    agent, model = agent_of(endpoint)
    with pytest.raises(ModelHTTPError):
        await answer_of(agent, stream=stream)
    assert not model.in_string_mode


@pytest.mark.parametrize("stream", [False, True])
async def test_native_calls_are_left_alone(caplog: pytest.LogCaptureFixture, stream: bool) -> None:
    seen: list[AgentInfo] = []

    def returned(messages: list[ModelMessage]) -> bool:
        return any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)

    async def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(info)
        if returned(messages):
            return ModelResponse(parts=[TextPart("It is 42.")])
        return ModelResponse(parts=[ToolCallPart("double", {"number": 21}, tool_call_id="native-1")])

    async def streamed(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        seen.append(info)
        if returned(messages):
            yield "It is 42."
        else:
            yield {0: DeltaToolCall("double", '{"number": 21}', tool_call_id="native-1")}

    agent = Agent(AutoToolModel(FunctionModel(whole, stream_function=streamed)))

    @agent.tool_plain
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    with caplog.at_level(logging.DEBUG, "pais_lite"):
        assert await answer_of(agent, stream=stream) == "It is 42."
    assert [[tool.name for tool in info.function_tools] for info in seen] == [["double"], ["double"]]
    assert not caplog.records
