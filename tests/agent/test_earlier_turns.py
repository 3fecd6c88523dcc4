"""What of a conversation that came along a session keeps."""

from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from pais_lite.agent.earlier_turns import earlier_turns

SAID: list[ModelMessage] = [
    ModelRequest(parts=[UserPromptPart(["Who is this?", ImageUrl("https://example.org/ada.png")])]),
    ModelResponse(parts=[TextPart("One moment."), ToolCallPart("look_up", {}, tool_call_id="c")]),
    ModelRequest(parts=[ToolReturnPart("look_up", "Ada", tool_call_id="c")]),
    ModelResponse(parts=[ToolCallPart("look_up", {}, tool_call_id="d")]),
    ModelRequest(parts=[ToolReturnPart("look_up", "Lovelace", tool_call_id="d")]),
    ModelResponse(parts=[TextPart("Ada "), TextPart("Lovelace.")]),
]


def test_what_people_and_agents_said_is_kept_as_text() -> None:
    assert [(event.event_type, event.content) for event in earlier_turns(SAID, 10)] == [
        ("user_message", "Who is this?\n[image-url]"),
        ("agent_response", "One moment."),
        ("agent_response", "Ada Lovelace."),
    ]


def test_no_more_is_kept_than_is_ever_read() -> None:
    assert [event.content for event in earlier_turns(SAID, 1)] == ["Ada Lovelace."]
    assert earlier_turns(SAID, 0) == []
