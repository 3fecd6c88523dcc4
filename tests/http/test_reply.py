"""What goes back: heads, bodies, and nothing that could pose as a header."""

import anyio
import pytest

from pais_lite.http import ClientDisconnected, Reply, Response, json_response, sse
from pais_lite.http import reply as reply_module
from pais_lite.http.types import Message

pytestmark = pytest.mark.anyio


class Client:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        self.messages.append(message)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])


async def test_whole_answer_has_its_length() -> None:
    client = Client()
    await Reply(client.send).respond(json_response({"a": "ä"}, status=418))
    start, body = client.messages
    assert (start["type"], start["status"]) == ("http.response.start", 418)
    assert client.headers[b"content-type"] == b"application/json"
    assert client.headers[b"content-length"] == b"10"
    assert (body["body"], body.get("more_body", False)) == ('{"a":"ä"}'.encode(), False)


async def test_answer_to_head_has_the_length_and_not_the_body() -> None:
    client = Client()
    await Reply(client.send, head_only=True).respond(Response(200, b"12345"))
    assert client.headers[b"content-length"] == b"5"
    assert client.messages[1]["body"] == b""


async def test_no_content_has_no_length() -> None:
    client = Client()
    await Reply(client.send).respond(Response(204))
    assert b"content-length" not in client.headers


async def test_headers_of_the_response_win_over_those_of_the_reply() -> None:
    client = Client()
    reply = Reply(client.send)
    reply.headers["content-type"] = "text/plain"
    reply.headers["x-session-id"] = "s"
    await reply.respond(Response(200, b"", {"content-type": "text/html"}))
    assert client.headers[b"content-type"] == b"text/html"
    assert client.headers[b"x-session-id"] == b"s"


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\x00b", "a\x85b", "a\u2028b"])
async def test_value_that_could_pose_as_further_headers_is_never_sent(value: str) -> None:
    client = Client()
    reply = Reply(client.send)
    reply.headers["x-session-id"] = value
    with pytest.raises(ValueError, match="x-session-id"):
        await reply.respond(Response(200))
    assert client.messages == []


async def test_value_outside_of_latin_1_is_sent_as_well_as_can_be() -> None:
    client = Client()
    await Reply(client.send).respond(Response(200, b"", {"x-name": "Zoë 日本"}))
    assert client.headers[b"x-name"] == "Zoë ??".encode("latin-1")


async def test_stream_goes_out_piece_by_piece() -> None:
    client = Client()
    reply = Reply(client.send)
    await reply.start(200)
    await reply.write(b"a")
    await reply.end(b"b")
    assert [(m["body"], m.get("more_body", False)) for m in client.messages[1:]] == [
        (b"a", True),
        (b"b", False),
    ]


async def test_every_answer_keeps_browsers_and_caches_from_guessing() -> None:
    client = Client()
    await Reply(client.send).respond(Response(200))
    assert client.headers[b"x-content-type-options"] == b"nosniff"
    assert client.headers[b"cache-control"] == b"no-store"


async def test_stream_says_itself_how_it_may_be_cached() -> None:
    client = Client()
    reply = Reply(client.send)
    reply.headers.update(sse.HEADERS)
    await reply.start(200)
    assert client.headers[b"cache-control"] == b"no-cache"
    assert client.headers[b"x-content-type-options"] == b"nosniff"


async def test_client_that_takes_nothing_is_as_good_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "WRITE_TIMEOUT", 0.02)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    reply = Reply(send)
    await reply.start(200)
    with anyio.fail_after(10), pytest.raises(ClientDisconnected):
        await reply.write(b"a")


async def test_server_that_raises_for_a_client_who_left_is_understood() -> None:
    async def send(message: Message) -> None:
        raise BrokenPipeError

    with pytest.raises(ClientDisconnected):
        await Reply(send).respond(Response(200))
