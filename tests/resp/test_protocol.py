"""The codec, byte by byte."""

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pais_lite.resp.commands import encode_command, encode_pipeline
from pais_lite.resp.errors import ProtocolError, RespError, ServerError
from pais_lite.resp.protocol import NEED_DATA, Decoder, Limits
from pais_lite.resp.values import Attributed, Push, Reply, VerbatimString, to_dict


def decode(*chunks: bytes, limits: Limits | None = None, keep_attributes: bool = False) -> list[Reply]:
    decoder = Decoder(limits, keep_attributes=keep_attributes)
    replies = []
    for chunk in chunks:
        decoder.feed(chunk)
        while (reply := decoder.next_reply()) is not NEED_DATA:
            replies.append(reply)
    return replies


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


CASES: list[tuple[bytes, Reply]] = [
    (b"+OK\r\n", "OK"),
    (b"+\r\n", ""),
    (b"+h\xc3\xa9\r\n", "hé"),
    (b"+\xff\r\n", "\udcff"),
    (b":0\r\n", 0),
    (b":-12\r\n", -12),
    (b":+12\r\n", 12),
    (b":9223372036854775807\r\n", 2**63 - 1),
    (b":-9223372036854775808\r\n", -(2**63)),
    (b"(3492890328409238509324850943850943825024385\r\n", 3492890328409238509324850943850943825024385),
    (b"(-1\r\n", -1),
    (b"$5\r\nhello\r\n", b"hello"),
    (b"$0\r\n\r\n", b""),
    (b"$4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b",10\r\n", 10.0),
    (b",-1.2e-3\r\n", -0.0012),
    (b",inf\r\n", math.inf),
    (b",-inf\r\n", -math.inf),
    (b"=15\r\ntxt:Some string\r\n", b"Some string"),
    (b"*0\r\n", []),
    (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", [1, [b"a"]]),
    (b"*3\r\n$1\r\na\r\n$-1\r\n$1\r\nb\r\n", [b"a", None, b"b"]),
    (b"*2\r\n*0\r\n%0\r\n", [[], {}]),
    (b"%2\r\n+first\r\n:1\r\n$6\r\nsecond\r\n:2\r\n", {"first": 1, b"second": 2}),
    (b"%1\r\n*1\r\n:1\r\n:2\r\n", [([1], 2)]),
    (b"%2\r\n:1\r\n+a\r\n#t\r\n+b\r\n", [(1, "a"), (True, "b")]),
    (b"~3\r\n+a\r\n:1\r\n#f\r\n", {"a", 1, False}),
    (b"~2\r\n*0\r\n%0\r\n", [[], {}]),
    (b"~2\r\n:1\r\n#t\r\n", [1, True]),
    (b">2\r\n+message\r\n+hi\r\n", Push(["message", "hi"])),
    (b"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n", [1, 2]),
    (b"|0\r\n:1\r\n", 1),
    (b"*6\r\n" + b"$3\r\nabc\r\n" * 6, [b"abc"] * 6),
    (b"*6\r\n" + b"$3\r\nabc\r\n$12\r\na\r\n$1\r\nb\r\n\r\n\r\n" * 3, [b"abc", b"a\r\n$1\r\nb\r\n\r\n"] * 3),
    (
        b"%3\r\n" + b"".join(b"$1\r\n%d\r\n$10\r\n0123456789\r\n" % n for n in range(3)),
        {b"0": b"0123456789", b"1": b"0123456789", b"2": b"0123456789"},
    ),
]


@pytest.mark.parametrize(("data", "value"), CASES)
def test_every_type_whole_bytewise_and_with_bytes_left_over(data: bytes, value: Reply) -> None:
    assert decode(data) == [value]
    assert decode(*bytewise(data)) == [value]
    assert decode(data * 3 + data[:-1], data[-1:] + b"+next") == [value] * 4
    [typed] = decode(data)
    assert type(typed) is type(value) or isinstance(typed, VerbatimString)
    for cut in range(1, len(data)):
        assert decode(data[:cut], data[cut:] + b"+OK\r\n") == [value, "OK"]


def test_not_a_number() -> None:
    [value] = decode(b",nan\r\n")
    assert math.isnan(value)


def test_verbatim_string_is_bytes_with_a_format() -> None:
    [value] = decode(b"=8\r\nmkd:# Hi\r\n")
    assert isinstance(value, VerbatimString)
    assert (value, value.format) == (b"# Hi", "mkd")


def test_attributes_are_kept_when_asked_for() -> None:
    data = b"|1\r\n+a\r\n:1\r\n*2\r\n:5\r\n|1\r\n+b\r\n:2\r\n:6\r\n"
    assert decode(data, keep_attributes=True) == [Attributed([5, Attributed(6, {"b": 2})], {"a": 1})]


@pytest.mark.parametrize(
    "data", [b"-WRONGTYPE not a list\r\n", b"!21\r\nWRONGTYPE not a list\r\n".replace(b"21", b"20")]
)
def test_server_errors_are_values(data: bytes) -> None:
    for replies in (decode(data), decode(*bytewise(data))):
        [error] = replies
        assert isinstance(error, ServerError)
        assert (error.word, error.message) == ("WRONGTYPE", "WRONGTYPE not a list")


def test_an_error_without_a_word_is_err() -> None:
    [error] = decode(b"-no such thing\r\n")
    assert error.word == "ERR"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400\r\n",
        b"\r\n",
        b"+a\nb\r\n",
        b"+a\rb\r\n",
        b":\r\n",
        b": 1\r\n",
        b":1_0\r\n",
        b":9223372036854775808\r\n",
        b"(" + b"9" * 5000 + b"\r\n",
        b",1_0\r\n",
        b",infinity\r\n",
        b",.5\r\n",
        b"#x\r\n",
        b"_x\r\n",
        b"$\r\n",
        b"$-2\r\n",
        b"$1x\r\na\r\n",
        b"$1\r\nab\r\n",
        b"$1\r\na\n\r",
        b"%-1\r\n",
        b"!-1\r\n",
        b"=3\r\nabc\r\n",
        b"*1\r\n>1\r\n+a\r\n",
        b"*4\r\n$1\r\na\r\n$1\r\nab\r\n$1\r\na\r\n$1\r\na\r\n",
    ],
)
def test_what_is_not_resp_is_refused_and_stays_refused(data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(ProtocolError):
        decoder.next_reply()
    decoder.feed(b"+OK\r\n")
    with pytest.raises(ProtocolError):
        decoder.next_reply()
    with pytest.raises(ProtocolError):
        decode(*bytewise(data))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"$?\r\n", "streamed string"),
        (b"*?\r\n", "streamed array"),
        (b"%?\r\n", "streamed map"),
        (b"~?\r\n", "streamed set"),
        (b">?\r\n", "streamed push"),
        (b"|?\r\n", "streamed attribute"),
        (b";4\r\n", "part of a streamed reply"),
        (b".\r\n", "part of a streamed reply"),
    ],
)
def test_streamed_replies_are_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(ProtocolError, match=name):
        decode(data)


SMALL = Limits(bulk_bytes=10, line_bytes=20, elements=3, depth=2)


@pytest.mark.parametrize(
    "data",
    [
        b"$11\r\n",
        b"=11\r\n",
        b"*4\r\n",
        b"%4\r\n",
        b"*1\r\n*1\r\n*1\r\n",
        b"+" + b"x" * 22,
        b"+" + b"x" * 21 + b"\r\n",
        b"$9999999999999999999999\r\n",
    ],
)
def test_limits(data: bytes) -> None:
    for chunks in ([data], bytewise(data)):
        with pytest.raises(ProtocolError):
            decode(*chunks, limits=SMALL)


def test_limits_admit_what_is_at_them() -> None:
    data = b"*3\r\n$10\r\n0123456789\r\n*3\r\n:1\r\n:2\r\n:3\r\n+" + b"x" * 20 + b"\r\n"
    expected = [[b"0123456789", [1, 2, 3], "x" * 20]]
    assert decode(data, limits=SMALL) == decode(*bytewise(data), limits=SMALL) == expected


def seconds(data: bytes, step: int) -> float:
    """Return the CPU time of reading `data` in pieces, the best of three: others may be on the machine."""
    chunks = [data[index : index + step] for index in range(0, len(data), step)]
    taken: list[float] = []
    for _ in range(3):
        started = time.process_time()
        decode(*chunks)
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"$%d\r\n" % n + b"x" * n + b"\r\n",
        lambda n: b"*%d\r\n" % n + b":1\r\n" * n,
        lambda n: b"*%d\r\n" % n + b"$1\r\na\r\n" * n,
        lambda n: b"*%d\r\n" % n + b"$1\r\na\r\n$10\r\n0123456789\r\n" * (n // 2),
        lambda n: b"+" + b"x" * min(n, 60_000) + b"\r\n",
        lambda n: b"*1\r\n" * 60 + b"*%d\r\n" % n + b"*0\r\n" * n,
    ],
)
@pytest.mark.parametrize("step", [1, 1000, 10**9])
def test_time_is_linear_however_the_bytes_are_cut(make: Callable[[int], bytes], step: int) -> None:
    small, large = make(6_000), make(60_000)
    # Quadratic time would be a hundred times as long; ten times is what it should be.
    assert seconds(large, step) < 40 * max(seconds(small, step), 0.002)


REPLIES = st.recursive(
    st.sampled_from([data for data, _ in CASES if data[:1] not in b">|"]),
    lambda inner: st.builds(
        lambda kind, parts: b"%b%d\r\n%b" % (kind, len(parts) // (2 if kind == b"%" else 1), b"".join(parts)),
        st.sampled_from([b"*", b"~"]),
        st.lists(inner, max_size=6),
    ),
    max_leaves=20,
)


def outcome(chunks: list[bytes]) -> tuple[str, str]:
    """Return the replies, by their representation since NaN is not equal to itself, and the error."""
    decoder = Decoder(Limits(bulk_bytes=1000, line_bytes=100, elements=100, depth=5))
    replies = []
    try:
        for chunk in chunks:
            decoder.feed(chunk)
            while (reply := decoder.next_reply()) is not NEED_DATA:
                replies.append(reply)
    except RespError as exc:
        return repr(replies), exc.message
    return repr(replies), ""


@settings(max_examples=300, deadline=None)
@given(st.lists(REPLIES, max_size=4).map(b"".join) | st.binary(max_size=200), st.data())
@example(b"*5\r\n$1\r\na\r\n$1\r\na\n\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n", None)
def test_any_bytes_give_replies_a_wish_for_more_or_resp_error(
    data: bytes, draw: st.DataObject | None
) -> None:
    """Promise: any bytes give replies, a wish for more, or `RespError`, and the same ones however they are cut."""
    if draw is not None and data:
        position = draw.draw(st.integers(0, len(data) - 1))
        data = (
            data[:position]
            + draw.draw(st.binary(max_size=3))
            + data[position + draw.draw(st.integers(0, 2)) :]
        )
    whole = outcome([data])
    apart = outcome(bytewise(data))
    assert whole[0] == apart[0]
    # Which of two faults is met first may depend on the cut, but not whether one is.
    assert bool(whole[1]) == bool(apart[1])


def test_commands_are_arrays_of_bulk_strings() -> None:
    assert encode_command(["SET", b"k\r\n", "é", 12, 0.1]) == (
        b"*5\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\xc3\xa9\r\n$2\r\n12\r\n$3\r\n0.1\r\n"
    )
    assert encode_pipeline([["A"], ["B", ""]]) == b"*1\r\n$1\r\nA\r\n*2\r\n$1\r\nB\r\n$0\r\n\r\n"


@pytest.mark.parametrize("argument", [None, True, [], object()])
def test_arguments_without_one_spelling_are_refused(argument: object) -> None:
    with pytest.raises(TypeError):
        encode_command(["SET", argument])  # type: ignore[list-item]


def test_a_command_has_a_name() -> None:
    with pytest.raises(ValueError, match="name"):
        encode_command([])


def test_a_map_reads_the_same_in_both_protocols() -> None:
    assert to_dict([b"a", b"1", b"b", b"2"]) == to_dict({b"a": b"1", b"b": b"2"}) == {b"a": b"1", b"b": b"2"}
    for reply in (None, [b"a"], [[], 1]):
        with pytest.raises(ProtocolError):
            to_dict(reply)
