"""Bytes for the socket of an HTTP server that no client would send: valid requests of every route, broken in many ways.

All of it comes from a `random.Random`, so the same seed makes the same bytes.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import h2.connection
import hpack

__all__ = ["Plan", "make_plan"]

# What a client does when it has sent everything: close its half and read on, be gone, or wait for the server to close.
Ending = Literal["half-close", "abort", "wait"]

_SIZES = [
    *[b"0", b"-1", b"+5", b"0x10", b"1e3", b"5, 5", b"5,6", b"", b" ", b"\xb2", b"9" * 19, b"9" * 4000],
    *[b"18446744073709551616", b"4294967297", b"00000000000000000005", b"5 5", b"abc"],
]
_METHODS = [
    *[
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"PATCH",
        b"DELETE",
        b"OPTIONS",
        b"TRACE",
        b"CONNECT",
        b"BREW",
        b"get",
    ],
    *[b"", b"G\x00T", b"GET\t", b"M-SEARCH", b"PRI", b"A" * 5000, b"\xff"],
]
_TARGETS = [
    *[
        b"*",
        b"",
        b"//",
        b"/../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/%00",
        b"/%ff",
        b"/%c0%af",
        b"/%",
    ],
    *[
        b"/%zz",
        b"/\x00",
        b"/\xff",
        b"/health\x0b",
        b"/health?\xff",
        b"/health#x",
        b"/health;a=b",
        b"/%0d%0aa: b",
    ],
    *[b"http://other.example/health", b"other.example:443", b"/" + b"a" * 60_000, b"/?" + b"a=b&" * 10_000],
    *[
        b"/memory/sessions/%00",
        b"/memory/sessions/%0d%0ax:y",
        b"/memory/sessions/..%2f..",
        b"/v1/models/%F0%9F",
    ],
    *[b"/memory/events?session_id=%ff%00&limit=%31", b"/memory/events?limit=" + b"9" * 5000, b"/health/%2e"],
    *[
        b"/memory/sessions?cursor=%ff",
        b"/memory/sessions?user_id=%0d%0a",
        b"/./health",
        b"/HEALTH",
        b"/health/",
    ],
]
_VERSIONS = [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/9.9",
    b"HTTP/1.",
    b"HTTP/1.10",
    b"http/1.1",
    b"",
    b"X",
]
_HEADERS = [
    *[
        b"transfer-encoding: chunked",
        b"Transfer-Encoding: chunked, chunked",
        b"transfer-encoding: gzip, chunked",
    ],
    *[b"transfer-encoding : chunked", b"transfer-encoding:\x0bchunked", b"transfer-encoding: identity"],
    *[b"expect: 100-continue", b"expect: 200-ok", b"connection: close", b"connection: keep-alive, upgrade"],
    *[b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA"],
    *[b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: !!!!", b"upgrade: h2c"],
    b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%b"
    % b"sec-websocket-version: 13",
    *[
        b"upgrade: websocket\r\nconnection: upgrade",
        b"x-session-id: a\rset-cookie: b",
        b"x-session-id: a\x00b",
    ],
    *[
        b"x-session-id: a\nset-cookie: b=c",
        b"x-session-id: a%0d%0aset-cookie: b=c",
        b"x-session-id: " + b"a" * 129,
    ],
    *[
        b"x-session-id: \xe5\x98\x8a\xe5\x98\x8dset-cookie: b",
        b"origin: https://a.example\r\n x: y",
        b"host: a\rb",
    ],
    *[
        b"host: \xff\xfe",
        b"host: ",
        b"host: a\r\nhost: b",
        b"host: [::1",
        b"host: a@b/c?d#e",
        b"content-type: \xff",
    ],
    *[
        b"content-type: text/plain",
        b"content-encoding: gzip",
        b"authorization: Basic Og==",
        b"authorization: \xff",
    ],
    *[
        b"authorization: Bearer",
        b": empty",
        b"no-colon",
        b" folded",
        b"a b: c",
        b"\xff: c",
        b"a: \x7f",
        b"a:" * 99,
    ],
    *[
        b"x: " + b"a" * 31_000,
        b"x: " + b"a" * 70_000,
        b"\r\n".join(b"x-%d: y" % n for n in range(2000)),
        b"\r",
    ],
    *[
        b"access-control-request-headers: a\x01b",
        b"access-control-request-method: POST",
        b"if-none-match: \xff",
    ],
    *[b"traceparent: 00-\xff", b"tracestate: " + b"a=b," * 600, b"baggage: \xff", b"x-request-timeout: -1"],
    *[b"x-request-timeout: 1e999", b"x-delegation-chain: " + b"a," * 999, b"x-delegation-chain: \xff,,\x01"],
    *[b"content-length: 3\r\ncontent-length: 4", b"te: trailers", b"trailer: x", b"range: bytes=0-"],
]
_CHUNKS = [
    *[
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"5;a=b\r\nhello\r\n",
        b"5\nhello\n",
        b"-5\r\nhello\r\n",
    ],
    *[
        b"ffffffffffffffffff\r\n",
        b"fffffff\r\n",
        b"\r\n",
        b"5\r\nhell\r\n",
        b"5\r\nhello!\r\n",
        b"0x5\r\nhello\r\n",
    ],
    *[
        b" 5\r\nhello\r\n",
        b"5" + b";" * 20_000 + b"\r\nhello\r\n",
        b"0\r\n" + b"x: y\r\n" * 3000 + b"\r\n",
        b"G\r\n",
    ],
]
_STRANGERS = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),  # a TLS greeting
    b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
    b"\r\n\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"SSH-2.0-x\r\n",
    b"\x00" * 100,
]
_H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True)
class Plan:
    """One connection: pieces that are sent one after the other, and what happens then.

    `well_formed` says that the bytes are a request of HTTP/1.1 as it should be, so an answer has to come.
    """

    pieces: Sequence[bytes]
    ending: Ending
    pause: float = 0.0
    read_before_end: int = 0
    well_formed: bool = False


def make_plan(random_source: random.Random, requests: Sequence[bytes]) -> Plan:
    """Return what the next client does, made from whole valid requests with heads that end in an empty line."""
    kinds: list[tuple[int, Callable[[random.Random, Sequence[bytes]], Plan]]] = [
        (4, _valid),
        (4, _cut),
        (8, _mutated),
        (8, _odd_head),
        (4, _odd_chunks),
        (3, _pipelined),
        (2, _dripping),
        (2, _strange),
        (5, _http2),
    ]
    make = random_source.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]
    return make(random_source, requests)


def _valid(source: random.Random, requests: Sequence[bytes]) -> Plan:
    request = _with_header(source.choice(requests), b"connection: close")
    return Plan([request], "wait", well_formed=True)


def _cut(source: random.Random, requests: Sequence[bytes]) -> Plan:
    """Leave in the middle of the request, or of the answer."""
    request = source.choice(requests)
    if source.random() < 0.5:
        return Plan([request[: source.randrange(len(request))]], source.choice(["half-close", "abort"]))
    return Plan([request], source.choice(["half-close", "abort"]), read_before_end=source.randrange(1, 400))


def _mutated(source: random.Random, requests: Sequence[bytes]) -> Plan:
    data = bytearray(source.choice(requests))
    for _ in range(source.randrange(1, 5)):
        place = source.randrange(len(data) + 1)
        match source.randrange(7):
            case 0:
                data[place : place + 1] = bytes([source.randrange(256)])
            case 1:
                del data[place : place + source.randrange(1, 20)]
            case 2:
                data[place:place] = source.randbytes(source.randrange(1, 20))
            case 3:
                data[place:place] = source.choice(
                    [b"\r\n", b"\r", b"\n", b"\x00", b": ", b" ", b"%", b"\r\n\r\n"]
                )
            case 4:
                other = source.choice(requests)
                data[place:] = other[source.randrange(len(other)) :]
            case 5:
                data[place:place] = data[max(0, place - source.randrange(200)) : place] * source.randrange(
                    1, 20
                )
            case _:
                data = bytearray(
                    bytes(data).replace(b"\r\n", source.choice([b"\n", b"\r"]), source.randrange(1, 5))
                )
    return Plan(_pieces(source, bytes(data)), _any_ending(source))


def _odd_head(source: random.Random, requests: Sequence[bytes]) -> Plan:
    head, _, body = source.choice(requests).partition(b"\r\n\r\n")
    request_line, *headers = head.split(b"\r\n")
    method, target, version = request_line.split(b" ")
    for _ in range(source.randrange(1, 4)):
        match source.randrange(5):
            case 0:
                method = source.choice(_METHODS)
            case 1:
                target = source.choice(_TARGETS)
            case 2:
                version = source.choice(_VERSIONS)
            case 3:
                headers = [line for line in headers if not line.lower().startswith(b"content-length")]
                headers.append(b"content-length: " + source.choice(_SIZES))
            case _:
                headers.insert(source.randrange(len(headers) + 1), source.choice(_HEADERS))
    lines = [b" ".join([method, target, version]), *headers]
    return Plan(_pieces(source, b"\r\n".join(lines) + b"\r\n\r\n" + body), _any_ending(source))


def _odd_chunks(source: random.Random, requests: Sequence[bytes]) -> Plan:
    request = source.choice([request for request in requests if request.startswith(b"POST")])
    head = request.partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    coded = b"\r\n".join([*lines, b"transfer-encoding: chunked"]) + b"\r\n\r\n"
    return Plan([coded, *source.choices(_CHUNKS, k=source.randrange(1, 6))], _any_ending(source), pause=0.005)


def _pipelined(source: random.Random, requests: Sequence[bytes]) -> Plan:
    several = source.choices(requests, k=source.randrange(2, 30))
    if source.random() < 0.5:
        several[-1] = _with_header(several[-1], b"connection: close")
        return Plan([b"".join(several)], "wait", well_formed=True)
    return Plan([b"".join(several)], _any_ending(source), read_before_end=source.choice([0, 1000]))


def _dripping(source: random.Random, requests: Sequence[bytes]) -> Plan:
    request = _with_header(source.choice(requests), b"connection: close")
    size = source.randrange(1, 12)
    pieces = [request[start : start + size] for start in range(0, len(request), size)]
    return Plan(pieces, "wait", pause=0.001, well_formed=True)


def _strange(source: random.Random, requests: Sequence[bytes]) -> Plan:
    stranger = source.choice([*_STRANGERS, source.randbytes(source.randrange(1, 5000)), b"A" * 200_000])
    return Plan([stranger, *source.choice([[], [source.choice(requests)]])], _any_ending(source))


def _http2(source: random.Random, requests: Sequence[bytes]) -> Plan:
    """Greet with HTTP/2, then send frames: good ones, good ones out of order, mutated ones, random ones."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    pieces = [client.data_to_send()]
    count = source.randrange(1, 6)
    pieces.extend(_http2_request(source, client, source.choice(requests)) for _ in range(count))
    for _ in range(source.randrange(0, 5)):
        pieces.insert(source.randrange(1, len(pieces) + 1), _frame(source))
    if source.random() < 0.3:
        data = bytearray(b"".join(pieces))
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(_H2_PREFACE), len(data))] = source.randrange(256)
        pieces = [bytes(data)]
    if source.random() < 0.1:
        pieces[0] = pieces[0][: source.randrange(1, len(pieces[0]))]
    return Plan(pieces, _any_ending(source), pause=source.choice([0.0, 0.002]))


def _http2_request(source: random.Random, client: h2.connection.H2Connection, request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].split(b" ")
    fields = [(b":method", method), (b":path", target), (b":scheme", b"http"), (b":authority", b"fuzz")]
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        if name not in (b"host", b"content-length"):
            fields.append((name, value))
    match source.randrange(6):
        case 0:
            fields[1] = (b":path", source.choice(_TARGETS)[:8000])
        case 1:
            fields[0] = (b":method", source.choice(_METHODS)[:1000])
        case 2:
            del fields[source.randrange(len(fields))]
        case 3:
            fields.append(
                source.choice([(b"X-Upper", b"a"), (b"a", b"b\r\nc: d"), (b":path", b"/"), (b"", b"")])
            )
        case _:
            pass
    stream = client.get_next_available_stream_id()
    # Its only purpose here is to count streams; the frame is written below, whatever is in it.
    client.send_headers(
        stream, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "x")]
    )
    client.data_to_send()
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    data = _frame_bytes(1, 4, stream, encoder.encode([(name, value, True) for name, value in fields]))
    return data + _frame_bytes(0, 1, stream, body[:16_000])


def _frame(source: random.Random) -> bytes:
    stream = source.choice([0, 1, 1, 2, 3, 5, 99, 2**31 - 1])
    match source.randrange(9):
        case 0:
            return _frame_bytes(
                2, 0, stream, (stream or 1).to_bytes(4, "big") + b"\x10"
            )  # priority over itself
        case 1:
            return _frame_bytes(2, 0, stream, source.randbytes(5))
        case 2:
            return _frame_bytes(3, 0, stream, source.randbytes(4))  # reset
        case 3:
            return _frame_bytes(4, 0, 0, source.randbytes(6 * source.randrange(3)))  # settings
        case 4:
            return _frame_bytes(6, 0, 0, source.randbytes(8)) * source.randrange(1, 500)  # pings
        case 5:
            return _frame_bytes(8, 0, stream, source.choice([b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1"]))
        case 6:
            return _frame_bytes(9, 4, stream, source.randbytes(30))  # a continuation of nothing
        case 7:
            return _frame_bytes(0, source.randrange(256), stream, source.randbytes(source.randrange(100)))
        case _:
            return _frame_bytes(source.randrange(256), source.randrange(256), stream, source.randbytes(20))


def _frame_bytes(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _with_header(request: bytes, line: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\n" + line + b"\r\n\r\n" + body


def _pieces(source: random.Random, data: bytes) -> list[bytes]:
    """Cut the data where a network might, if at all."""
    if source.random() < 0.7 or len(data) < 2:
        return [data]
    places = sorted(source.randrange(1, len(data)) for _ in range(source.randrange(1, 4)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _any_ending(source: random.Random) -> Ending:
    return "half-close" if source.random() < 0.8 else "abort"
