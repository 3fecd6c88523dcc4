"""Throw broken, mutated and random bytes at a real server over its socket, and see whether it keeps its promises.

    python -m benchmarks.fuzz_http [--seconds 60] [--server "pais run"] [--seed N]

HTTP/1.1 and HTTP/2, whole, cut, mutated, pipelined, dripping, with odd heads, lengths and chunks, half-closed and cut
connections, and other protocols. Promised is: no 500, no hang, no leak of tasks, files or memory, no secret, path or
traceback in an answer, no header that nobody meant; and then a server that answers and ends with 0. Whatever went wrong
is printed with its name, which makes the same bytes again under the same seed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.support.siege import Besieged, besieged

__all__ = ["main"]

_BATCH = 500
# What an allocator keeps; over a long run, what leaks is far beyond it.
_MAX_GROWTH_MEGABYTES = 30


async def _besiege(server: Besieged, seconds: float, seed: int) -> None:
    before = await server.begin(seed)
    ends, first = time.monotonic() + seconds, 1000
    while time.monotonic() < ends:
        await server.endure(seed, _BATCH, first=first)
        first += _BATCH
        await server.settled(before)
        server.note_memory()
        print(
            f"{server.connections} connections, {len(server.wrong)} wrong, {server.megabytes[-1]} MB",
            flush=True,
        )
    await server.still_serves()
    # The first batch may still fill caches.
    grown = server.megabytes[-1] - server.megabytes[1]
    if grown > _MAX_GROWTH_MEGABYTES:
        server.wrong.append(f"memory grew by {grown} MB after the first {_BATCH} connections")
    print(
        f"held at the start and at the end: {before}, {await server.census()}; lost by Pydantic AI: {server.lost}"
    )


def main() -> int:
    """Besiege one server, say what was seen, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--server", choices=["pais run", "uvicorn"], default="pais run")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder, besieged(arguments.server, Path(folder)) as server:
        asyncio.run(_besiege(server, arguments.seconds, arguments.seed))
        server.ends_well()
    print(f"statuses: {dict(sorted(server.statuses.items()))}; slowest connection {server.slowest:.1f} s")
    print(f"memory, in MB: {server.megabytes}")
    for text in server.wrong[:20]:
        print(f"wrong: {text}")
    return 1 if server.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
