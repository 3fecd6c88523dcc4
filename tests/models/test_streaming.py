"""What Pydantic AI makes of a stream is the same with the transport and without it, and nothing waits or stays open."""

import asyncio
import gc
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from pais_lite.models.streaming import MergedStream, MergingTransport, streaming_client

pytestmark = pytest.mark.anyio

EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}
URL = "http://upstream.test/v1/chat/completions"


def chunk(
    delta: dict[str, Any] | None, *, choice: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None, **(choice or {})}]
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **fields,
    }


def event(document: dict[str, Any], *, raw: bool = False, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=not raw).encode(errors="replace") + end


def text_event(text: str) -> bytes:
    return event(chunk({"content": text}))


DONE = b"data: [DONE]\n\n"
FINISH = event(chunk({}, choice={"finish_reason": "stop"}))
USAGE = event(chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}))


# ---------------------------------------------------------------------------------------------- scripted upstreams


@dataclass
class Pause:
    """The upstream falls silent for long enough for everyone else to run."""


class ScriptedBody(httpx2.AsyncByteStream):
    """Yields the script's bytes, raises its exceptions, and counts what it was asked for."""

    def __init__(self, script: Sequence[bytes | Exception | Pause]) -> None:
        self.script = script
        self.taken = 0
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self.script:
            if isinstance(step, Pause):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            elif isinstance(step, Exception):
                raise step
            else:
                self.taken += 1
                yield step

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedTransport(httpx2.AsyncBaseTransport):
    def __init__(
        self, body: httpx2.AsyncByteStream, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = EVENT_STREAM if headers is None else headers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers=self.headers, stream=self.body)


async def answer(client: httpx2.AsyncClient, url: str = URL, *, drop_white_space: bool = False) -> Any:
    """Return all that a run sees of the model's answer, or the error that it meets, as comparable values."""
    model = OpenAIChatModel(
        "m",
        provider=OpenAIProvider(
            base_url=url.removesuffix("/chat/completions"), api_key="k", http_client=client
        ),
        profile=OpenAIModelProfile(ignore_streamed_leading_whitespace=drop_white_space),
    )
    response: ModelResponse | None = None
    with anyio.fail_after(10):
        try:
            async with model_request_stream(model, [ModelRequest.user_text_prompt("hi")]) as stream:
                async for _ in stream:
                    response = stream.get()
                response = stream.get()
        except (AgentRunError, ValueError, TypeError, LookupError) as exc:
            return type(exc), str(exc), type(exc.__cause__), _without_time(response)
    return _without_time(response)


def _without_time(response: ModelResponse | None) -> ModelResponse | None:
    return response and replace(response, timestamp=datetime(2026, 1, 1, tzinfo=UTC))


# -------------------------------------------------------------------------------------------------- same messages

TEXTS = st.sampled_from(
    [
        "Hello",
        " world",
        "\n\n",
        " ",
        "",
        "<think>",
        "</think>",
        "<",
        "think",
        ">",
        '"q"',
        "é",
        "😀",
        "\\",
        "\u2028",
        *("\ud83d", "\ude00", "\u00a0", '{"content":"x"}', "[", "]", "x" * 300),
    ]
)
DELTAS = st.one_of(
    TEXTS.map(lambda text: {"content": text}),
    TEXTS.map(lambda text: {"content": text}),
    TEXTS.map(lambda text: {"content": text, "role": "assistant"}),
    TEXTS.map(lambda text: {"reasoning": text}),
    TEXTS.map(lambda text: {"content": None, "reasoning_content": text}),
    TEXTS.map(lambda text: {"content": "", "reasoning": text, "reasoning_content": text}),
    st.builds(lambda a, b: {"content": a, "reasoning": b}, TEXTS, TEXTS),
    st.builds(
        lambda index, name, args: {
            "tool_calls": [{"index": index, "id": f"t{index}", "function": {"name": name, "arguments": args}}]
        },
        st.integers(0, 1),
        st.sampled_from(["f", None]),
        st.sampled_from(["", '{"a"', ":1}"]),
    ),
    st.just({"refusal": "no"}),
)
CHOICES = st.sampled_from(
    [{}, {}, {}, {"logprobs": None}, {"logprobs": {"content": []}}, {"finish_reason": "length"}]
)
FIELDS = st.sampled_from(
    [
        {},
        {},
        {},
        {"usage": None},
        {"created": 2},
        {"system_fingerprint": "f"},
        {"obfuscation": "abc"},
        {"x_vendor": 1},
        {"model": "n"},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    ]
)
ENDS = st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r"])
EVENTS = st.one_of(
    st.builds(
        lambda delta, choice, fields, raw, end: event(
            chunk(delta, choice=choice, **fields), raw=raw, end=end
        ),
        DELTAS,
        CHOICES,
        FIELDS,
        st.booleans(),
        ENDS,
    ),
    TEXTS.map(text_event),
    TEXTS.map(text_event),
    st.sampled_from([b": ping\n\n", b": ping\n", b"\n", b"id: 4\n", USAGE, FINISH]),
)
ERRORS = st.sampled_from(
    [
        event({"error": {"message": "overloaded", "type": "server_error", "code": 503}}),
        b"data: {broken\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":"\xc3"}}]}\n\n',
    ]
)
STREAMS = st.builds(
    lambda role, events, error, end: b"".join([*role, *events, *error, *end]),
    st.sampled_from([[], [event(chunk({"role": "assistant", "content": ""}))]]),
    st.lists(EVENTS, max_size=25),
    st.lists(ERRORS, max_size=1) | st.just([]) | st.just([]),
    st.sampled_from([[], [FINISH], [FINISH, DONE], [FINISH, USAGE, DONE]]),
)


def cut(stream: bytes, places: list[int], pauses: list[bool]) -> list[bytes | Exception | Pause]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    script: list[bytes | Exception | Pause] = []
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        script.append(stream[start:end])
        if pauses[number % len(pauses)]:
            script.append(Pause())
    return script


async def both_answers(script: Sequence[bytes | Exception | Pause], **how: Any) -> tuple[Any, Any]:
    async with httpx2.AsyncClient(transport=ScriptedTransport(ScriptedBody(script))) as client:
        plain = await answer(client, **how)
    async with streaming_client(transport=ScriptedTransport(ScriptedBody(script))) as client:
        return plain, await answer(client, **how)


@settings(deadline=None, max_examples=300)
@given(
    STREAMS, st.lists(st.integers(0, 5000), max_size=12), st.lists(st.booleans(), min_size=1), st.booleans()
)
def test_any_cutting_of_any_stream_yields_the_same_messages(
    stream: bytes, places: list[int], pauses: list[bool], drop_white_space: bool
) -> None:
    async def compare() -> None:
        plain, ours = await both_answers(cut(stream, places, pauses), drop_white_space=drop_white_space)
        assert ours == plain

    anyio.run(compare)


CONVERSATION = b"".join(
    [
        event(chunk({"role": "assistant", "content": ""})),
        *(event(chunk({"reasoning_content": text})) for text in ("Let", " me", " see")),
        *(text_event(text) for text in ("Grüß", " Gott", " 😀", "\n")),
        event(chunk({"content": "raw é"}), raw=True),
        event(
            chunk({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"a"'}}]})
        ),
        event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})),
        event(chunk({}, choice={"finish_reason": "tool_calls"}), end=b"\r\n\r\n"),
        USAGE,
        DONE,
    ]
)


@pytest.mark.parametrize("pause", [True, False])
async def test_stream_that_comes_byte_by_byte_yields_the_same_messages(pause: bool) -> None:
    script = cut(CONVERSATION, list(range(len(CONVERSATION))), [pause])
    plain, ours = await both_answers(script)
    assert isinstance(plain, ModelResponse)
    assert plain.finish_reason == "tool_call"
    assert ours == plain


@pytest.mark.parametrize(
    "error", [httpx2.ReadError("cut"), httpx2.RemoteProtocolError("cut"), httpx2.ReadTimeout("silent")]
)
@pytest.mark.parametrize(
    "before", [b"", text_event("a"), text_event("a") + text_event("b"), text_event("a") + b"data: {"]
)
async def test_upstream_that_breaks_raises_the_same(error: Exception, before: bytes) -> None:
    plain, ours = await both_answers([before, error])
    assert not isinstance(plain, ModelResponse)
    assert ours == plain


async def test_text_that_came_before_the_break_is_read_before_the_error() -> None:
    stream = MergedStream(
        ScriptedBody([text_event("a"), text_event("b"), b"data: ", httpx2.ReadError("cut")])
    )
    assert await anext(stream) == text_event("ab")
    assert await anext(stream) == b"data: "
    with pytest.raises(httpx2.ReadError, match="cut"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await stream.aclose()


# ------------------------------------------------------------------------------------------------ what is touched


async def read(transport: httpx2.AsyncBaseTransport) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=MergingTransport(transport)) as client:
        return await client.get(URL)


async def test_tokens_that_wait_are_read_as_one() -> None:
    body = ScriptedBody([text_event("a"), text_event("b"), text_event("c")])
    response = await read(
        ScriptedTransport(body, headers={**EVENT_STREAM, "content-length": "999", "x-id": "7"})
    )
    assert response.content == text_event("abc")
    assert "content-length" not in response.headers
    assert response.headers["x-id"] == "7"
    assert body.closed == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"content-type": "application/json"}),
        (200, {}),
        (429, EVENT_STREAM),
        (500, EVENT_STREAM),
    ],
)
async def test_other_responses_pass_untouched(status: int, headers: dict[str, str]) -> None:
    body = ScriptedBody([text_event("a"), text_event("b")])
    inner = ScriptedTransport(body, status=status, headers={**headers, "content-length": "999"})
    response = await MergingTransport(inner).handle_async_request(httpx2.Request("POST", URL))
    assert response.stream is body
    assert response.headers["content-length"] == "999"
    assert response.status_code == status


async def test_compressed_stream_passes_untouched() -> None:
    body = text_event("a") + text_event("b")
    inner = ScriptedTransport(
        ScriptedBody([gzip.compress(body)]), headers={**EVENT_STREAM, "content-encoding": "gzip"}
    )
    assert (await read(inner)).content == body


async def test_streaming_client_asks_for_uncompressed_streams() -> None:
    asked: list[str] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx2.Response(200, headers=EVENT_STREAM, content=text_event("a") + text_event("b"))

    async with streaming_client(transport=httpx2.MockTransport(respond)) as client:
        assert (await client.post(URL)).content == text_event("ab")
    assert asked == ["identity"]


async def test_streaming_client_waits_as_long_as_it_is_told() -> None:
    async with streaming_client(timeout=7, connect_timeout=2) as client:
        assert client.timeout == httpx2.Timeout(7, connect=2, pool=2)


# -------------------------------------------------------------------------------------------------- nothing waits


class LiveBody(httpx2.AsyncByteStream):
    """Yields what the test sends, when it sends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.queue.get():
            yield data

    async def aclose(self) -> None:
        self.closed.set()


async def test_under_light_load_each_token_travels_alone_and_at_once() -> None:
    body = LiveBody()
    stream = MergedStream(body)
    with anyio.fail_after(5):
        for number in range(100):
            body.queue.put_nowait(text_event(str(number)))
            assert await anext(stream) == text_event(str(number))
        await stream.aclose()


async def test_tokens_that_arrive_while_the_reader_is_away_travel_together() -> None:
    body = LiveBody()
    stream = MergedStream(body)
    with anyio.fail_after(5):
        body.queue.put_nowait(text_event("a"))
        assert await anext(stream) == text_event("a")
        for text in ("b", "c", "d"):
            body.queue.put_nowait(text_event(text))
            await anyio.wait_all_tasks_blocked()
        assert await anext(stream) == text_event("bcd")
        await stream.aclose()


async def test_reader_that_stops_reading_makes_the_upstream_wait() -> None:
    size = len(text_event("0000"))
    body = ScriptedBody([text_event(f"{number:04}") for number in range(5000)])
    stream = MergedStream(body, max_waiting=20 * size)
    first = await anext(stream)
    await anyio.wait_all_tasks_blocked()
    assert 20 <= body.taken <= 42
    rest = [part async for part in stream]
    assert max(len(part) for part in rest) <= 21 * size
    heard = "".join(json.loads(part[6:])["choices"][0]["delta"]["content"] for part in [first, *rest])
    assert heard == "".join(f"{number:04}" for number in range(5000))
    await stream.aclose()


# ------------------------------------------------------------------------------------------------ nothing is left


async def test_closing_twice_and_reading_on_is_an_error_not_an_end() -> None:
    stream = MergedStream(ScriptedBody([text_event("a"), Pause(), text_event("b")]))
    await anext(stream)
    await stream.aclose()
    await stream.aclose()
    with pytest.raises(httpx2.ReadError):
        await anext(stream)


async def test_error_that_nobody_reads_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    stream = MergedStream(ScriptedBody([text_event("a"), httpx2.ReadError("cut")]))
    await anext(stream)
    await stream.aclose()
    del stream
    gc.collect()
    await anyio.wait_all_tasks_blocked()
    assert caplog.records == []
