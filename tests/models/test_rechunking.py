"""However the bytes of a connection arrive, h11 reads the same messages from what the joiner makes of them."""

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pais_lite.models.rechunking import ChunkJoiner

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
JSON_HEAD = HEAD.replace(b"text/event-stream", b"application/json")
CONTINUE = b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def joined(*reads: bytes) -> bytes:
    joiner = ChunkJoiner()
    joiner.request_sent()
    return b"".join(joiner.feed(read) for read in reads) + joiner.flush()


def test_chunks_of_one_read_become_one() -> None:
    assert joined(HEAD + chunked(b"a", b"bc") + LAST) == HEAD + chunked(b"abc") + LAST


def test_chunk_that_is_cut_goes_on_at_once() -> None:
    joiner = ChunkJoiner()
    assert joiner.feed(HEAD + b"5\r\nab") == HEAD + chunked(b"ab")
    assert joiner.feed(b"c") == chunked(b"c")
    assert joiner.feed(b"de\r") == chunked(b"de")
    assert joiner.feed(b"\n1") == b""
    assert joiner.feed(b"\r\nf\r\n" + LAST) == chunked(b"f") + LAST


@pytest.mark.parametrize(
    "head",
    [
        JSON_HEAD,
        HEAD.replace(b"\r\n", b"\n"),
        HEAD.replace(b"\r\nT", b"\nT"),
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        HEAD.replace(b": chunked", b": gzip, chunked"),
        HEAD.replace(b"Transfer-Encoding: chunked", b"Content-Length: 9"),
        b"nonsense\r\n\r\n",
    ],
)
def test_other_bodies_pass_as_they_are(head: bytes) -> None:
    stream = head + chunked(b"a", b"b") + LAST
    assert joined(stream, stream) == stream + stream


@pytest.mark.parametrize(
    "mistake", [b"1;name=value\r\nx\r\n", b"zz\r\n", b"123456789\r\n", b"\r\n", b" 1\r\nx\r\n", b"1\nx\r\n"]
)
def test_what_is_not_a_plain_chunk_passes_with_all_that_follows(mistake: bytes) -> None:
    rest = mistake + chunked(b"c", b"d") + LAST
    assert joined(HEAD + chunked(b"a", b"b") + rest) == HEAD + chunked(b"ab") + rest


def test_chunk_that_does_not_end_where_it_says_stays_broken() -> None:
    assert joined(HEAD + chunked(b"a") + b"1\r\nbXX" + LAST) == HEAD + b"2\r\nabXX" + LAST


def test_connection_is_followed_through_many_responses() -> None:
    joiner = ChunkJoiner()
    for head, body in ((HEAD, chunked(b"ab")), (JSON_HEAD, chunked(b"a", b"b")), (HEAD, chunked(b"ab"))):
        joiner.request_sent()
        assert joiner.feed(CONTINUE + head + chunked(b"a", b"b") + LAST) == CONTINUE + head + body + LAST


def test_request_that_is_still_being_sent_does_not_hide_the_chunks() -> None:
    joiner = ChunkJoiner()
    assert joiner.feed(HEAD + b"5\r\nab") == HEAD + chunked(b"ab")
    joiner.request_sent()
    assert joiner.feed(b"cde\r\n" + chunked(b"f") + LAST) == chunked(b"cdef") + LAST


def test_connection_that_ends_within_a_frame_keeps_its_tail() -> None:
    assert joined(HEAD + chunked(b"a") + b"1") == HEAD + chunked(b"a") + b"1"


def test_endless_head_is_not_hoarded() -> None:
    joiner = ChunkJoiner()
    for _ in range(200):
        assert joiner.feed(b"x" * 1024) == b"x" * 1024
    assert joiner.feed(b"\r\n\r\n" + HEAD + chunked(b"a", b"b")) == b"\r\n\r\n" + HEAD + chunked(b"a", b"b")


# ------------------------------------------------------------------------------------------------------ properties


def heard(reads: list[bytes]) -> list[object]:
    """Return what h11 makes of a connection: status, headers, the whole body, the end, or the mistake it finds."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    events: list[object] = []
    body = b""
    try:
        for read in [*reads, b""]:
            connection.receive_data(read)
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    events.append(event)
                if isinstance(event, h11.ConnectionClosed):
                    return [*events, body]
    except h11.RemoteProtocolError:
        events.append("mistake")
    return [*events, body]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                chunked(b"data: a\n\n"),
                chunked(b"b"),
                chunked(b"c" * 300),
                chunked(b"\r\n"),
                b"5\r\nab",
                b"1;e\r\nx\r\n",
            ),
            *(LAST, b"0\r\nx-trailer: 1\r\n\r\n", b"\r\n", b"\r", b"1", b"zz\r\n", HEAD),
        ]
    ),
    max_size=12,
)


@given(
    st.sampled_from([HEAD, CONTINUE + HEAD, JSON_HEAD, b""]),
    PIECES,
    st.lists(st.integers(0, 2000), max_size=12),
)
def test_any_bytes_in_any_reads_are_the_same_messages(
    head: bytes, pieces: list[bytes], places: list[int]
) -> None:
    reads = cut(head + b"".join(pieces), places)
    joiner = ChunkJoiner()
    answered = [out for read in reads if (out := joiner.feed(read))]
    assert heard([*answered, *filter(None, [joiner.flush()])]) == heard(reads)
