"""One of three Redis clients at memory's own work, which answers each line with CPU microseconds per operation.

    python redis_clients.py pais-lite|redis-py|coredis PORT

A line is `work tasks seconds`. All answers are read and counted.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

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
TURN = "t" * len(EVENT)
_CONNECTIONS = 136


class Ours:
    """The client of this package."""

    def __init__(self, port: int) -> None:
        from pais_lite.resp import Client

        self.client = Client(f"redis://127.0.0.1:{port}")

    async def open(self) -> None:
        pass

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
    """redis-py, over asyncio and hiredis."""

    def __init__(self, port: int) -> None:
        import redis.asyncio

        self.client = redis.asyncio.Redis(host="127.0.0.1", port=port, max_connections=_CONNECTIONS)

    async def open(self) -> None:
        pass

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
    """Coredis."""

    def __init__(self, port: int) -> None:
        import coredis

        self.client = coredis.Redis(host="127.0.0.1", port=port, max_connections=_CONNECTIONS)

    async def open(self) -> None:
        await self.client.__aenter__()

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


CLIENTS: dict[str, type[Ours] | type[RedisPy] | type[Coredis]] = {
    "pais-lite": Ours,
    "redis-py": RedisPy,
    "coredis": Coredis,
}


async def measure(operation: Operation, tasks: int, seconds: float) -> float:
    """Return CPU microseconds per operation while `tasks` tasks do it over and over."""
    done = ready = 0
    all_ready = asyncio.Event()
    stop = False

    async def worker() -> None:
        nonlocal done, ready
        # Connections are opened before anything is measured.
        await operation()
        ready += 1
        if ready == tasks:
            all_ready.set()
        while not stop:
            await operation()
            done += 1

    async def clock() -> float:
        nonlocal stop, done
        await all_ready.wait()
        done = 0
        started = time.process_time()
        await asyncio.sleep(seconds)
        result = (time.process_time() - started) / max(done, 1) * 1e6
        stop = True
        return result

    result, *_ = await asyncio.gather(clock(), *(worker() for _ in range(tasks)))
    assert isinstance(result, float)
    return result


async def main(name: str, port: int) -> None:
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        work, tasks, seconds = line.split()
        # A client for each line: what one kind of work leaves behind is not the next one's.
        client = CLIENTS[name](port)
        await client.open()
        operation: Operation = getattr(client, work)
        print(await measure(operation, int(tasks), float(seconds)), flush=True)
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
