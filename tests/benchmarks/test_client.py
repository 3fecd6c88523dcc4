import asyncio
import json
from collections.abc import Sequence

import pytest

from benchmarks.field.client import Answer, WrongAnswer, connection, tokens_in
from benchmarks.field.dialects import ADK, AGNO, CHAT, VERCEL, Dialect

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(document: object) -> bytes:
    return chunk(b"data: " + json.dumps(document).encode() + b"\n\n")


def delta(text: str) -> dict[str, object]:
    return {"choices": [{"delta": {"content": text}}]}


async def ask(answer: Sequence[bytes], tokens: int, rate: int = 0, dialect: Dialect = CHAT) -> Answer:
    """Return what the client makes of an answer that is sent in these pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in answer:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    async with asyncio.timeout(10), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        try:
            async with connection(dialect, server.sockets[0].getsockname()[1]) as asking:
                return await asking.stream(tokens, rate)
        finally:
            await ended.wait()


async def test_a_stream_is_read_however_it_is_cut() -> None:
    whole = HEAD + event(delta("0 ")) + event(delta("1 ")) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    assert [text for _, text in (await ask([whole], 2)).pieces] == ["0 ", "1 "]
    byte_by_byte = [whole[place : place + 1] for place in range(len(whole))]
    assert [text for _, text in (await ask(byte_by_byte, 2)).pieces] == ["0 ", "1 "]


async def test_an_event_in_two_http_chunks_is_one() -> None:
    data = b"data: " + json.dumps(delta("0 ")).encode() + b"\r\n\r\n"
    cut = HEAD + chunk(data[:9]) + chunk(data[9:]) + b"0\r\n\r\n"
    assert (await ask([cut], 1)).text == "0 "


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + event(delta("0 ")) + b"0\r\n\r\n",
        HEAD + event(delta("0 1 2 ")) + b"0\r\n\r\n",
        HEAD + event({"error": {"message": "no"}}) + b"0\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" + b" " * 2000,
    ],
    ids=["too little", "too much", "an error", "a status"],
)
async def test_a_wrong_answer_is_never_measured(answer: bytes) -> None:
    with pytest.raises(WrongAnswer):
        await ask([answer], 2)


async def test_each_token_has_the_time_at_which_it_was_made_and_was_here() -> None:
    answer = await ask([HEAD + event(delta("1.5 2.5 ")) + b"0\r\n\r\n"], 2, 100)
    made, here = zip(*tokens_in(answer), strict=True)
    assert made == (1.5, 2.5)
    assert here[0] == here[1] >= answer.asked_at


@pytest.mark.parametrize(
    ("dialect", "documents"),
    [
        (VERCEL, [{"type": "start"}, {"type": "text-delta", "delta": "0 "}, {"type": "finish"}]),
        (
            ADK,
            [
                {"content": {"parts": [{"text": "0 "}]}, "partial": True},
                {"content": {"parts": [{"text": "0 "}]}, "partial": False},
            ],
        ),
        (AGNO, [{"event": "RunContent", "content": "0 "}, {"event": "RunCompleted", "content": "0 "}]),
    ],
    ids=["Vercel", "ADK", "AgentOS"],
)
async def test_the_text_is_read_once_in_every_dialect(dialect: Dialect, documents: list[object]) -> None:
    answer = await ask([HEAD, *map(event, documents), b"0\r\n\r\n"], 1, dialect=dialect)
    assert answer.text == "0 "
