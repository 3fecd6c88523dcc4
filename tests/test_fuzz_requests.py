"""The promise: whatever is sent, the answer is no 500, comes in time, and leaves no traceback in the log."""

import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent

from pais_lite import AgentServer, serve
from tests.support.asgi import Answer, ask, chat, exchange, make_scope
from tests.support.endpoint import ModelCall, model_endpoint

CHAT = "/v1/chat/completions"
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 2**63, -(2**63), 1e308, float("inf"), float("nan"), 0, 1, True]),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "\ud800",
            "\x00",
            "\r\nset-cookie: a",
            "user",
            "text",
            "data:,",
            "data:a/b;base64,YQ==",
            "é" * 99,
        ]
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "task-delegation", "robot"])
data_urls = st.builds(
    "data:{};base64,{}".format,
    st.sampled_from(
        ["image/png", "text/plain", "video/mp4", "audio/ogg", "a/b", "", "image/png;x=y", "application/pdf"]
    ),
    st.sampled_from(["", "YQ==", "/w==", "!", "YQ"]),
)
parts = st.one_of(
    json_values,
    st.fixed_dictionaries({"type": st.just("text"), "text": json_values}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": data_urls | json_values})}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("input_audio"),
            "input_audio": st.fixed_dictionaries(
                {"data": st.sampled_from(["YQ==", "!"]), "format": st.sampled_from(["wav", "mp3", "x", 1])}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("file"),
            "file": st.fixed_dictionaries(
                {"file_data": data_urls | st.sampled_from(["YQ==", "/w=="])},
                optional={"filename": st.sampled_from(["a.txt", "a.pdf", "a", "a.mp4", "\x00", 5])},
            ),
        }
    ),
)
tool_calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["1", "2", "", 3]),
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {"name": texts, "arguments": st.sampled_from(["{}", "", "[1]", "{", "5", "[" * 5000])}
            ),
        }
    ),
    max_size=3,
)
messages = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": roles, "content": texts | st.lists(parts, max_size=3)}),
        st.fixed_dictionaries({"role": st.just("user"), "content": texts}),
        st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none(), "tool_calls": tool_calls}),
        st.fixed_dictionaries(
            {"role": st.just("tool"), "tool_call_id": st.sampled_from(["1", "2", "", 3]), "content": texts}
        ),
        st.fixed_dictionaries({"role": json_values, "content": json_values}),
        json_values,
    ),
    max_size=5,
)
fields = st.sampled_from(
    [
        *[
            "messages",
            "model",
            "stream",
            "stream_options",
            "n",
            "session_id",
            "temperature",
            "top_p",
            "max_tokens",
        ],
        *[
            "max_completion_tokens",
            "stop",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "user",
        ],
        *["parallel_tool_calls", "reasoning_effort", "service_tier", "tools", "response_format", "metadata"],
        "tool_choice",
    ]
)
header_names = st.sampled_from(
    [
        *[
            "content-type",
            "content-length",
            "content-encoding",
            "authorization",
            "x-session-id",
            "origin",
            "host",
        ],
        *["access-control-request-headers", "transfer-encoding", "x-on-disconnect", "accept", "cookie"],
    ]
)
header_values = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=20),
    st.sampled_from(
        ["application/json", "0", "9" * 5000, "-1", "chunked", "gzip", "Bearer x", "\xff", "a\r\nb: c"]
    ),
)
methods = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "", "get"]
)
paths = st.one_of(
    st.text(max_size=30).map(lambda rest: "/" + rest),
    st.sampled_from(
        [
            *["", "/", "//", CHAT, "/v1/models/a/b", "/v1/models/\x00", "/memory/sessions", "/memory/events"],
            *["/memory/sessions/é", "/tools", "/health", "/ready", "/.well-known/agent.json", "/../x", "*"],
        ]
    ),
)
queries = st.one_of(
    st.text(st.characters(max_codepoint=127), max_size=30),
    st.builds(
        "{}={}".format,
        st.sampled_from(["limit", "cursor", "session_id", "user_id"]),
        st.sampled_from(
            ["", "0", "-1", "1", "9" * 5000, "²", "%00", "%FF", "2024-01-01", "0001-01-01T00:00:00+00:00~x"]
        )
        | st.text(st.characters(max_codepoint=127), max_size=20),
    ),
)


@pytest.fixture
def server() -> AgentServer:
    return serve(
        Agent("test", name="fuzzed"),
        # One for each turn of the model that a conversation may have brought along.
        debug_mock_responses=["hello"] * 8,
        cors_allow_origins="https://a.example",
        max_request_bytes=100_000,
    )


@pytest.fixture
def send(server: AgentServer, caplog: pytest.LogCaptureFixture) -> Callable[..., Answer]:
    """Send one request and check that it was answered as promised."""

    def send(
        method: str, path: str, body: list[bytes], headers: list[tuple[str, str]], query: str = ""
    ) -> Answer:
        caplog.clear()

        async def talk() -> Answer:
            async with exchange(server, make_scope(method, path, headers, query=query)) as exchanged:
                for piece in body:
                    exchanged.send_body(piece, more=True)
                exchanged.send_body(b"")
                with anyio.fail_after(10):
                    await exchanged.ended.wait()
                return exchanged.answer

        answer = anyio.run(talk)
        assert answer.status
        assert answer.status < 500, answer.body
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        if answer.status >= 400 and method != "HEAD":
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        return answer

    return send


@FUZZ
@given(body=json_values)
def test_any_json(send: Callable[..., Answer], body: Any) -> None:
    send("POST", CHAT, [json.dumps(body).encode()], [])


@FUZZ
@given(body=st.lists(st.binary(max_size=50), max_size=5))
def test_any_bytes_in_any_pieces(send: Callable[..., Answer], body: list[bytes]) -> None:
    assert send("POST", CHAT, body, []).status == 400


@FUZZ
@given(changes=st.dictionaries(fields, json_values, max_size=3), stream=st.booleans())
def test_mutated_chat_requests(send: Callable[..., Answer], changes: dict[str, Any], stream: bool) -> None:
    body = {**chat("hi", stream=stream), **changes}
    assert send("POST", CHAT, [json.dumps(body).encode()], []).status in (200, 400)


@FUZZ
@given(messages=messages, trailing=st.booleans(), stream=st.booleans())
def test_mutated_conversations(
    send: Callable[..., Answer], messages: list[Any], trailing: bool, stream: bool
) -> None:
    if trailing:
        messages = [*messages, {"role": "user", "content": "hi"}]
    body = {"messages": messages, "stream": stream}
    assert send("POST", CHAT, [json.dumps(body).encode()], []).status in (200, 400)


keywords = st.sampled_from(
    [
        *["type", "properties", "required", "items", "prefixItems", "anyOf", "allOf", "not", "$ref", "$defs"],
        *["enum", "const", "pattern", "minLength", "maximum", "multipleOf", "additionalProperties", "title"],
    ]
)
schemas = st.recursive(
    json_values | st.sampled_from([{"type": "string"}, {"$ref": "#/$defs/a"}, {"$ref": "#"}, True]),
    lambda inner: st.dictionaries(keywords, inner | st.dictionaries(texts, inner, max_size=2), max_size=3),
    max_leaves=8,
)
objects = st.builds(
    lambda schema: {**(schema if isinstance(schema, dict) else {}), "type": "object"}, schemas
)


@settings(FUZZ, max_examples=80)
@given(
    schema=objects | schemas,
    parameters=objects | schemas,
    name=st.sampled_from(["a", "final_result", "", "a b"]),
    choice=json_values
    | st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "a"}}]),
)
def test_schemas_of_tools_and_answers(
    server: AgentServer,
    caplog: pytest.LogCaptureFixture,
    schema: Any,
    parameters: Any,
    name: str,
    choice: Any,
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    tools = [{"type": "function", "function": {"name": name, "parameters": parameters}}]
    caplog.clear()
    for fields in ({"response_format": form}, {"tools": tools, "tool_choice": choice}):
        body = json.dumps(chat("hi", **fields)).encode()
        answer = anyio.run(ask, server, "POST", CHAT, body, {"content-type": "application/json"})
        # The model's `hello` fits no schema.
        assert answer.status in (200, 400, 502), answer.body
        assert answer.status != 502 or answer.json()["error"]["code"] == "model_behavior"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@FUZZ
@given(
    method=methods,
    path=paths,
    query=queries,
    headers=st.lists(st.tuples(header_names, header_values), max_size=4),
    body=st.sampled_from([[], [b"{}"], [b"{", b"}"], [json.dumps(chat()).encode()], [b" " * 60_000] * 2]),
)
def test_any_request(
    send: Callable[..., Answer],
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: list[bytes],
) -> None:
    send(method, path, body, headers, query)


@settings(FUZZ, max_examples=60)
@given(messages=messages, parameters=objects, stream=st.booleans())
def test_what_was_let_in_can_be_handed_to_a_model_endpoint(
    messages: list[Any], parameters: Any, stream: bool
) -> None:
    """Pydantic AI's adapter raises on what it cannot send, so all of that has to be refused at the door."""
    tools = [{"type": "function", "function": {"name": "a", "parameters": parameters}}]
    body = {"messages": [*messages, {"role": "user", "content": "hi"}], "stream": stream, "tools": tools}

    async def talk() -> Answer:
        async def say_ok(call: ModelCall) -> None:
            await call.complete("ok")

        async with model_endpoint(say_ok) as endpoint:
            server = serve(Agent(name="fuzzed"), model_api_url=endpoint.url, model_name="m")
            answer = await ask(server, "POST", CHAT, body)
            await server.agent.close()
            return answer

    answer = anyio.run(talk)
    assert answer.status in (200, 400), answer.body
    if answer.status == 200:
        assert b"ok" in answer.body
