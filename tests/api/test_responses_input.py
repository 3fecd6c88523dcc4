"""The body of `POST /v1/responses`: what it may say, and how it is told what it may not."""

from typing import Any

import pytest
from pydantic_ai.messages import BinaryContent, ImageUrl, ModelRequest, ModelResponse

from pais_lite.agent import Approval, ClientTool, OutputFormat, ToolResult
from pais_lite.api.delegated import Origin
from pais_lite.api.responses_request import ResponsesRequest, read_responses_request
from pais_lite.errors import InvalidRequest


def read(given: Any = "hi", *, session: str | None = None, **fields: Any) -> ResponsesRequest:
    return read_responses_request(
        {"input": given, **fields},
        previous=None,
        session_header=session,
        owner="ada",
        default_model="clerk",
        origin=Origin(),
    )


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content) or "hi"}


CALL = {"type": "function_call", "call_id": "c", "name": "map", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "shown"}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "c", "approve": True}


def test_string_is_a_turn_of_the_user() -> None:
    asked = read("hello")

    assert (asked.run.prompt, asked.run.history, asked.run.preceding) == ("hello", (), ())
    assert (asked.run.owner, asked.model, asked.run.stream, asked.store) == ("ada", "clerk", False, True)


def test_parts_reach_the_model_as_content() -> None:
    asked = read(
        [
            user(
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            )
        ]
    )

    text, url, *binary = asked.run.prompt
    assert (text, url) == ("look", ImageUrl("https://example.org/a.png"))
    kinds = [part.media_type for part in binary if isinstance(part, BinaryContent)]
    assert kinds == ["image/png", "text/plain", "audio/wav"]


def test_items_are_a_conversation_that_the_session_gets_to_know() -> None:
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
    asked = read(
        [
            user(),
            {"type": "reasoning", "summary": []},
            {"type": "mcp_call", "id": "m"},
            answer,
            {"role": "developer", "content": "Be kind."},
            user({"type": "input_text", "text": "and now?"}),
        ],
        instructions="Be brief.",
    )

    assert asked.run.prompt == ["and now?"]
    assert [type(message) for message in asked.run.preceding] == [ModelRequest, ModelResponse]
    assert (asked.run.history, asked.run.instructions) == ((), "Be brief.\n\nBe kind.")


def test_where_a_conversation_is_looked_up() -> None:
    items = [user(), {"role": "assistant", "content": "Hello."}, user()]

    in_session = read(items, conversation="c").run
    assert (in_session.session_id, in_session.history, len(in_session.preceding)) == ("c", None, 2)
    forgotten = read(items, store=False).run
    assert (len(forgotten.history or ()), forgotten.preceding) == (2, ())
    assert read(items, session="c", conversation={"id": "c"}).run.session_id == "c"


def test_text_and_calls_of_one_turn_come_in_any_order() -> None:
    message = {"type": "message", "role": "assistant", "content": "One moment."}
    for said in ([message, CALL], [CALL, message]):
        run = read([user(), *said, OUTPUT]).run
        _, turn = run.history or ()
        assert isinstance(turn, ModelResponse)
        assert (turn.text, [call.tool_name for call in turn.tool_calls]) == ("One moment.", ["map"])
        assert run.tool_results == (ToolResult(call_id="c", content="shown"),)
        assert run.preceding == ()


def test_output_of_a_call_alone_goes_on_in_its_session() -> None:
    run = read([{**OUTPUT, "output": [{"type": "input_text", "text": "shown"}]}], conversation="s").run

    assert (run.session_id, run.history, run.prompt) == ("s", None, "")
    assert run.tool_results == (ToolResult(call_id="c", content="shown"),)


def test_approvals() -> None:
    alone = read([{"role": "system", "content": "Be kind."}, {**APPROVAL, "reason": "why not"}], session="s")
    assert alone.run.approvals == (Approval(call_id="c", approved=True, reason="why not"),)
    assert (alone.run.history, alone.run.instructions, alone.details["approved"]) == (None, "Be kind.", ["c"])

    whole = read([user(), {"type": "mcp_approval_request", "id": "c"}, APPROVAL]).run
    assert (len(whole.history or ()), whole.prompt, whole.preceding) == (1, "", ())


def test_tools_of_the_client() -> None:
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    tool = {"type": "function", "name": "map", "description": "Show.", "parameters": schema, "strict": True}
    asked = read(tools=[tool], tool_choice={"type": "function", "name": "map"})

    assert asked.run.client_tools == (
        ClientTool(name="map", description="Show.", parameters=schema, strict=True),
    )
    assert (asked.run.tool_choice.mode, asked.run.tool_choice.names) == ("required", ("map",))
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "map"}]}
    assert read(tools=[tool], tool_choice=allowed).run.tool_choice.names == ("map",)
    assert asked.details["asked"]["tools"] == [tool]


def test_parameters_for_the_model() -> None:
    asked = read(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=7,
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        service_tier="flex",
        user="ada",
        metadata={"a": "b"},
        truncation="auto",
        text={"format": {"type": "text"}, "verbosity": "low"},
        include=["reasoning.encrypted_content"],
        unknown={"to": "us"},
    )

    assert asked.run.model_settings == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "parallel_tool_calls": False,
        "openai_reasoning_effort": "low",
        "openai_service_tier": "flex",
        "openai_user": "ada",
    }
    assert asked.details["asked"].keys().isdisjoint({"unknown", "include", "input"})


def test_form_of_the_answer() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "name": "number", "schema": schema, "strict": True}
    asked = read(text={"format": wanted})

    assert asked.run.output == OutputFormat(schema=schema, name="number", strict=True)
    assert asked.details["asked"]["text"] == {"format": wanted}
    assert read(text={"format": {"type": "json_object"}}).run.output == OutputFormat()
    assert read(text={"format": {"type": "text"}}).run.output is None


def test_large_data_is_not_kept_with_the_run() -> None:
    large = "A" * 8000
    asked = read(
        [
            user(
                {"type": "input_image", "image_url": f"data:image/png;base64,{large}", "detail": "low"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_file", "file_data": large, "filename": "a.pdf"},
                {"type": "input_audio", "input_audio": {"data": large, "format": "wav"}},
            )
        ]
    )

    image, small, file, audio = asked.details["input"][0]["content"]
    assert image == {"type": "input_image", "image_url": "data:image/png;base64,", "detail": "low"}
    assert small["image_url"] == "data:image/png;base64,AAAA"
    assert (file["file_data"], file["filename"]) == ("", "a.pdf")
    assert audio["input_audio"] == {"data": "", "format": "wav"}
    (sent, *_) = asked.run.prompt
    assert isinstance(sent, BinaryContent)
    assert len(sent.data) == 6000


def test_background_is_streamed_for_those_who_look_at_it() -> None:
    assert read(background=True).run.stream
    assert not read(background=True).stream


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "yes"}, "stream"),
        ({"background": 1}, "background"),
        ({"background": True, "store": False}, "store"),
        ({"store": "no"}, "store"),
        ({"instructions": ["Be kind."]}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"reasoning": "hard"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"truncation": "some"}, "truncation"),
        ({"text": "plain"}, "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"conversation": "no spaces"}, "conversation"),
        ({"conversation": {}}, "conversation"),
        ({"conversation": 7}, "conversation"),
        ({"conversation": "one", "session": "another"}, "X-Session-ID"),
        ({"session": "no spaces"}, "X-Session-ID"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tool_choice": {"type": "function", "name": "map"}}, "tool_choice"),
        ({"user": 7}, "user"),
        ({"model": 7}, "model"),
    ],
)
def test_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (None, "input is missing"),
        (7, "input: has to be"),
        ([], "input: has to be"),
        (["hi"], "input[0]: has to be an object"),
        ([{}], "input[0]: the type"),
        ([{"type": ["message"]}], "input[0]: the type"),
        ([{"type": "web_search_call"}], "input[0]: the type"),
        ([{"type": "item_reference", "id": "msg_1"}], "input[0]: items cannot be referred to"),
        ([user(), {"role": "robot", "content": "hi"}], "input[1]: role"),
        ([{"role": ["user"], "content": "hi"}], "input[0]: role"),
        ([{"role": "user"}], "input[0]: content"),
        ([user({"type": "text_of_another_kind"})], "input[0].content[0]: the type"),
        ([user("hi")], "input[0].content[0]: the type"),
        ([user({"type": "input_text"})], "input[0].content[0]: the part"),
        ([user({"type": "input_image", "file_id": "f"})], "input[0].content[0]: no files"),
        ([user({"type": "input_file", "file_url": "https://a"})], "input[0].content[0]: files are not"),
        ([user({"type": "input_image", "image_url": "http://a"})], "input[0]: the url"),
        (
            [{"role": "system", "content": "x"}, user({"type": "input_file", "file_data": "%"})],
            "input[1]: the",
        ),
        ([user(), {"role": "assistant", "content": "Hello."}], "input: the last one"),
        ([{"role": "system", "content": "Be kind."}], "input: has to hold a turn"),
        ([{"type": "reasoning", "summary": []}], "input: has to hold a turn"),
        ([user({"type": "refusal", "refusal": "no"})], "input[0]: a refusal"),
        ([user({"type": "input_file", "file_data": "AAAA", "filename": 1})], "input[0].content[0]: the part"),
        ([user(), CALL], "input: the result of the tool call 'c' is missing"),
        ([user(), CALL, user()], "input[2]: the results"),
        ([user(), OUTPUT], "input[1]: no tool call before it has the id 'c'"),
        ([{**CALL, "arguments": {}}], "input[0]: a function_call needs"),
        ([user(), {**CALL, "arguments": "{"}, OUTPUT], "input[1]: the arguments"),
        ([{**OUTPUT, "output": 7}], "input[0]: a function_call_output needs"),
        ([{**APPROVAL, "approve": "yes"}], "input[0]: an mcp_approval_response needs"),
        ([{**APPROVAL, "reason": 7}], "input[0]: reason"),
        ([APPROVAL, user()], "input[1]: a turn cannot come"),
        (
            [{"role": "system", "content": [{"type": "input_image", "image_url": "https://a"}]}, user()],
            "input[0]:",
        ),
    ],
)
def test_bad_input_is_told_with_its_place(items: Any, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(items)
    assert caught.value.message.startswith(told)
    assert caught.value.param == "input"
