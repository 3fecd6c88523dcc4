"""`DEBUG_MOCK_RESPONSES`."""

from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ToolCallPart

from pais_lite.errors import ConfigurationError
from pais_lite.models.mock import MockScript

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "entry",
    [
        {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]},
        {"tool_calls": [{"name": "add", "arguments": '{"a": 1}'}]},
        {
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
            ]
        },
        '{"tool_calls": [{"id": "x", "name": "add", "arguments": {"a": 1}}]}',
        ' {"content": "Let me add.", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]}',
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_every_shape_of_a_tool_call_calls_the_tool(entry: Any, stream: bool) -> None:
    agent = Agent()

    @agent.tool_plain
    def add(a: int) -> int:
        return a + 1

    model = MockScript([entry, "Done."]).new_model()
    if stream:
        async with agent.run_stream_events("hi", model=model) as events:
            async for _ in events:
                pass
        messages = events.all_messages()
    else:
        messages = (await agent.run("hi", model=model)).all_messages()
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert [(part.tool_name, part.args_as_dict()) for part in calls] == [("add", {"a": 1})]
    assert messages[-1].parts[0].content == "Done."  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["{not json", '{"other": 1}', '["tool_calls"]', "", "plain"])
async def test_a_text_that_is_no_tool_call_is_text(text: str) -> None:
    script = MockScript([text or " "])
    assert (await Agent().run("hi", model=script.new_model())).output == (text or " ")


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"tool_calls": 1},
        {"tool_calls": [1]},
        {"tool_calls": [{}]},
        {"tool_calls": [{"name": ""}]},
        {"tool_calls": [{"name": "x", "arguments": 1}]},
        {"tool_calls": [{"name": "x", "id": 1}]},
        {"content": 1, "tool_calls": []},
    ],
)
def test_an_entry_that_cannot_be_used_is_an_error_at_start_that_says_which(entry: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"DEBUG_MOCK_RESPONSES: entry 1 "):
        MockScript(["fine", entry])
