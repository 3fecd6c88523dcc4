"""Feed random and mutated bytes to the RESP decoder: replies, a wish for more, or `RespError`, and nothing else.

    python -m benchmarks.fuzz_resp [--inputs 10000000] [--seed 1] [--processes 1]

Every input is decoded whole and once more cut at random places; both must say the same. The time of the slowest input
is reported, since quadratic time would show there.
"""

import argparse
import multiprocessing
import random
import time

from pais_lite.resp.errors import RespError
from pais_lite.resp.protocol import NEED_DATA, Decoder, Limits

LIMITS = Limits(bulk_bytes=4096, line_bytes=256, elements=1000, depth=8)
SEEDS = [
    b"+OK\r\n",
    b":-12\r\n",
    b"(34928903284092385\r\n",
    b"$5\r\nhello\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5e3\r\n",
    b",-inf\r\n",
    b"-ERR no\r\n",
    b"!5\r\nERR x\r\n",
    b"=6\r\ntxt:hi\r\n",
    b"*0\r\n",
    b"*6\r\n" + b"$3\r\nabc\r\n" * 6,
    b"*7\r\n" + b"$3\r\nabc\r\n$10\r\n0123456789\r\n" * 3 + b":1\r\n",
    b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*1\r\n_\r\n",
    b"~3\r\n+a\r\n:1\r\n#f\r\n",
    b">2\r\n+message\r\n+hi\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n",
    b"*2\r\n*2\r\n:1\r\n:2\r\n%1\r\n+k\r\n~1\r\n+v\r\n",
    b"$?\r\n;4\r\nHell\r\n;0\r\n",
]
PIECES = [
    b"\r\n",
    b"\r",
    b"\n",
    b"$",
    b"*",
    b"%",
    b"|",
    b">",
    b"-1",
    b"0",
    b"9" * 19,
    b"$3\r\n",
    b"*4\r\n",
    b"\x00",
    b"\xff",
]


def make_input(random_source: random.Random) -> bytes:
    if random_source.random() < 0.1:
        return random_source.randbytes(random_source.randrange(64))
    data = bytearray(b"".join(random_source.choices(SEEDS, k=random_source.randrange(1, 4))))
    for _ in range(random_source.randrange(4)):
        place = random_source.randrange(len(data) + 1)
        kind = random_source.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([random_source.randrange(256)])
        elif kind == 1:
            del data[place : place + random_source.randrange(1, 6)]
        elif kind == 2:
            data[place:place] = random_source.choice(PIECES)
        else:
            data[place : place + 1] = random_source.choice(PIECES)
    return bytes(data)


def show(reply: object) -> str:
    """Like `repr`, but the same for equal sets; NaN and errors are not equal to themselves."""
    match reply:
        case set():
            return f"{{{', '.join(sorted(map(show, reply)))}}}"
        case list() | tuple():
            return f"[{', '.join(map(show, reply))}]"
        case dict():
            return f"{{{', '.join(f'{show(key)}: {show(value)}' for key, value in reply.items())}}}"
        case _:
            return repr(reply)


def decode(chunks: list[bytes]) -> tuple[list[str], bool]:
    """Return the replies and whether an error ended them; anything but `RespError` comes through."""
    decoder = Decoder(LIMITS)
    replies = []
    try:
        for chunk in chunks:
            decoder.feed(chunk)
            while (reply := decoder.next_reply()) is not NEED_DATA:
                replies.append(show(reply))
    except RespError:
        return replies, True
    return replies, False


def cut(data: bytes, random_source: random.Random) -> list[bytes]:
    if random_source.random() < 0.2:
        return [data[index : index + 1] for index in range(len(data))]
    places = sorted(random_source.randrange(len(data) + 1) for _ in range(random_source.randrange(1, 4)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def run(work: tuple[int, int]) -> tuple[int, int, int, float]:
    seed, inputs = work
    random_source = random.Random(seed)
    replies = errors = 0
    slowest = 0.0
    for number in range(inputs):
        data = make_input(random_source)
        started = time.process_time()
        try:
            whole = decode([data])
            apart = decode(cut(data, random_source))
        except BaseException:
            print(f"seed {seed}, input {number}: {data!r}", flush=True)
            raise
        slowest = max(slowest, time.process_time() - started)
        if whole != apart:
            raise SystemExit(
                f"seed {seed}, input {number}: {data!r} reads differently when cut: {whole} {apart}"
            )
        replies += len(whole[0])
        errors += whole[1]
    return inputs, replies, errors, slowest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    portion = 50_000
    work = [(arguments.seed * 1_000_000 + n, portion) for n in range(-(-arguments.inputs // portion))]
    started = time.monotonic()
    inputs = replies = errors = 0
    slowest = 0.0
    with multiprocessing.Pool(arguments.processes) as pool:
        for some, values, refusals, longest in pool.imap_unordered(run, work):
            inputs += some
            replies += values
            errors += refusals
            slowest = max(slowest, longest)
            print(
                f"\r{inputs} inputs, {replies} replies, {errors} protocol errors, slowest {slowest * 1e3:.1f} ms, "
                f"{time.monotonic() - started:.0f} s",
                end="",
                flush=True,
            )
    print()


if __name__ == "__main__":
    main()
