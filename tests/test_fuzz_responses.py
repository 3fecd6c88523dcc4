"""The promise of the Responses API: whatever is sent, no 500, and what was told once is told again."""

import json
from collections.abc import Callable
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.asgi import Answer, ask
from tests.test_fuzz_requests import (
    FUZZ,
    data_urls,
    json_values,
    numbers,
    roles,
    send,
    server,
    texts,
)

__all__ = ["send", "server"]

RESPONSES = "/v1/responses"

ids = st.sampled_from(["1", "2", "", 3, None])
parts = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["input_text", "output_text", "text", "summary_text"]), "text": json_values}
    ),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": json_values}),
    st.fixed_dictionaries(
        {"type": st.just("input_image")}, optional={"image_url": data_urls | json_values, "file_id": texts}
    ),
    st.fixed_dictionaries(
        {"type": st.just("input_file")},
        optional={
            "file_data": data_urls | json_values,
            "filename": json_values,
            "file_url": texts,
            "file_id": texts,
        },
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("input_audio"),
            "input_audio": st.fixed_dictionaries(
                {"data": st.sampled_from(["YQ==", "!", 1]), "format": st.sampled_from(["wav", "x", 1])}
            )
            | json_values,
        }
    ),
)
content = texts | st.lists(parts, max_size=3) | json_values
items = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": roles, "content": content}),
        st.fixed_dictionaries({"type": st.just("message"), "role": roles | json_values, "content": content}),
        st.fixed_dictionaries({"role": st.just("user"), "content": texts}),
        st.fixed_dictionaries(
            {
                "type": st.just("function_call"),
                "call_id": ids,
                "name": texts,
                "arguments": st.sampled_from(["{}", "", "[1]", "{", "[" * 5000, 5]),
            }
        ),
        st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": ids, "output": content}),
        st.fixed_dictionaries(
            {"type": st.just("mcp_approval_response"), "approval_request_id": ids, "approve": st.booleans()},
            optional={"reason": json_values},
        ),
        st.fixed_dictionaries({"type": st.sampled_from(["reasoning", "mcp_call", "mcp_approval_request"])}),
        st.fixed_dictionaries({"type": json_values}),
        json_values,
    ),
    max_size=5,
)
fields = st.sampled_from(
    [
        *[
            "input",
            "model",
            "stream",
            "background",
            "store",
            "instructions",
            "previous_response_id",
            "prompt",
        ],
        *[
            "conversation",
            "metadata",
            "max_output_tokens",
            "temperature",
            "top_p",
            "reasoning",
            "text",
            "tools",
        ],
        *["tool_choice", "parallel_tool_calls", "service_tier", "user", "truncation", "include"],
    ]
)
tools = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function") | texts, "name": st.just("map") | texts},
        optional={"parameters": json_values, "description": json_values, "strict": json_values},
    )
    | json_values,
    max_size=2,
)
formats = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "json_object", "json_schema", "xml"])},
    optional={"name": texts, "schema": json_values, "strict": json_values},
)
odd = st.one_of(
    json_values,
    tools,
    st.fixed_dictionaries({"format": formats | json_values}),
    st.fixed_dictionaries({"effort": json_values}),
    st.fixed_dictionaries({"id": json_values}),
    st.fixed_dictionaries({"type": st.sampled_from(["function", "allowed_tools"])}, optional={"name": texts}),
)


@FUZZ
@given(body=json_values)
def test_any_json(send: Callable[..., Answer], body: Any) -> None:
    send("POST", RESPONSES, [json.dumps(body).encode()], [])


@FUZZ
@given(changes=st.dictionaries(fields, odd, max_size=3), stream=st.booleans())
def test_mutated_requests(send: Callable[..., Answer], changes: dict[str, Any], stream: bool) -> None:
    body = {"input": "hi", "stream": stream, **changes}
    assert send("POST", RESPONSES, [json.dumps(body).encode()], []).status in (200, 400)


@settings(FUZZ, max_examples=100)
@given(items=items, trailing=st.booleans(), stream=st.booleans(), session=st.booleans())
def test_what_was_told_is_told_again(
    send: Callable[..., Answer],
    server: Any,
    items: list[Any],
    trailing: bool,
    stream: bool,
    session: bool,
) -> None:
    if trailing:
        items = [*items, {"role": "user", "content": "hi"}]
    body = {"input": items, "stream": stream, **({"conversation": "s"} if session else {})}
    answer = send("POST", RESPONSES, [json.dumps(body).encode()], [])
    assert answer.status in (200, 400)
    if answer.status == 200:
        run_id = answer.headers["x-run-id"]
        query = "stream=true" if stream else ""
        again = anyio.run(lambda: ask(server, "GET", f"{RESPONSES}/{run_id}", query=query))
        assert again.body == answer.body
        listed = anyio.run(lambda: ask(server, "GET", f"{RESPONSES}/{run_id}/input_items"))
        assert len(listed.json()["data"]) == len(items)


@settings(FUZZ, max_examples=60)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]),
    path=st.sampled_from(
        ["", "/", "/resp_1", "/\x00", "/é", "/resp_1/cancel", "/resp_1/input_items", "/a/b/c"]
    ),
    query=st.builds(
        "{}={}".format,
        st.sampled_from(
            ["stream", "starting_after", "stream=true&starting_after", "limit", "order", "after"]
        ),
        st.sampled_from(["", "0", "true", "-1", "9" * 5000, "²", "%00", "desc"]) | numbers,
    ),
)
def test_any_question_about_a_run(send: Callable[..., Answer], method: str, path: str, query: str) -> None:
    assert send(method, RESPONSES + path, [b"{}"], [], query).status in (400, 404, 405)
