"""A server under load while what is around it misbehaves, each for a while.

    python -m benchmarks.chaos [--seconds 15] [--clients 8] [--idle 10000] [SCENARIO ...]

Each scenario starts a server of its own, in front of a scripted model that says again what it is told. The clients know
what is right: an answer is right, or an honest error, or wrong.
"""

import argparse
import asyncio
import contextlib
import random
import resource
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import Load, Watch, watching
from tests.support.endpoint import ModelCall, chunk, model_endpoint
from tests.support.processes import Process, running
from tests.support.sockets import request_bytes
from tests.support.valkey import ValkeyServer

__all__ = ["SCENARIOS", "Outcome", "main"]

_CHAT = "/v1/chat/completions"
_AFTERMATH_SECONDS = 5
_random = random.Random(7)


@dataclass
class Outcome:
    """What was seen."""

    load: Load
    watch: Watch
    notes: str = ""


@dataclass(frozen=True)
class Options:
    """How long, and how much."""

    seconds: float
    clients: int
    idle: int


@asynccontextmanager
async def _server(model_url: str, **environment: str) -> AsyncIterator[Process]:
    settings = {"MODEL_API_URL": model_url, "MODEL_NAME": "scripted", "LOG_LEVEL": "ERROR", **environment}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", "0"]
        started = running(command, ready=r"is ready at (http://\S+)\. ", env=settings, cwd=Path(folder))
        process = await asyncio.to_thread(started.__enter__)
        try:
            yield process
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)


Disturb = Callable[[Process], Awaitable[str]]


async def _under_load(
    options: Options,
    disturb: Disturb,
    script: Callable[[ModelCall], Awaitable[None]],
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Serve, ask, disturb, and look."""
    async with (
        model_endpoint(script) as model,
        _server(model.url, **(environment or {})) as process,
        _server(model.url) as idle,
    ):
        load = Load(process.url)
        # The first run of a process has Pydantic AI read the prices of all models: half a second, once.
        await load.ask_once()
        async with watching(process.url, process.popen.pid, idle.url) as watch:
            asking = [asyncio.create_task(load.ask_until_stopped(pause=0.05)) for _ in range(options.clients)]
            await asyncio.sleep(1)
            notes = await disturb(process)
            load.stopping = True
            await asyncio.wait_for(asyncio.gather(*asking), 90)
        code = await asyncio.to_thread(process.stop)
        if code != 0:
            load.wrong.append(f"the server ended with {code}")
        return Outcome(load, watch, notes)


async def echo(call: ModelCall) -> None:
    """Say again what was said, or a flood where that is asked for."""
    said = call.body["messages"][-1]["content"]
    if said == "flood":
        await call.start_stream()
        while not call.reader.at_eof():
            # Faster than anybody reads, but not faster than the server could pass on to those who do.
            await call.event(chunk({"content": "x" * 1000}))
            await asyncio.sleep(0.05)
    else:
        await call.complete(f"You said {said}")


async def misbehave(call: ModelCall) -> None:
    """Echo most of the time; else hang, cut, fail, or answer with garbage, before and after the first words."""
    match _random.randrange(10):
        case 0:
            await call.closed()
        case 1:
            await call.hang_up()
        case 2:
            await call.start_stream()
            await call.text("You said")
            await call.hang_up()
        case 3:
            await call.start_stream()
            await call.raw(_random.randbytes(500))
            await call.hang_up()
        case 4:
            call.writer.write(_random.randbytes(2000))
            await call.hang_up()
        case 5:
            await call.respond(_random.choice([429, 500, 503]), {"error": {"message": "no"}})
        case 6:
            await call.respond(200, {"choices": "none"})
        case _:
            await echo(call)


async def calm(options: Options) -> Outcome:
    """Nothing happens: what the others are to be compared with."""

    async def disturb(process: Process) -> str:
        await asyncio.sleep(options.seconds)
        return ""

    return await _under_load(options, disturb, echo)


async def memory_dies(options: Options) -> Outcome:
    """Kill the memory server under load, leave it dead for a while, and bring it back."""
    with tempfile.TemporaryDirectory() as folder:
        redis = ValkeyServer(Path(folder))
        redis.start()

        async def disturb(process: Process) -> str:
            await asyncio.sleep(options.seconds / 4)
            redis.kill()
            await asyncio.sleep(options.seconds / 4)
            await asyncio.to_thread(redis.start)
            await asyncio.sleep(options.seconds / 2)
            return ""

        try:
            environment = {"MEMORY_TYPE": "redis", "MEMORY_REDIS_URL": redis.url}
            return await _under_load(options, disturb, echo, environment)
        finally:
            redis.kill()


async def model_misbehaves(options: Options) -> Outcome:
    """Have the model endpoint hang, cut connections, fail, and answer with garbage."""

    async def disturb(process: Process) -> str:
        await asyncio.sleep(options.seconds)
        return ""

    return await _under_load(options, disturb, misbehave, {"MODEL_TIMEOUT": "2"})


async def clients_vanish(options: Options) -> Outcome:
    """Others ask for a flood, read a little, and are gone."""

    async def disturb(process: Process) -> str:
        ends = time.monotonic() + options.seconds
        vanished = 0
        while time.monotonic() < ends:
            reader, writer = await _connect(process)
            writer.write(_flood())
            if _random.random() < 0.7:
                await asyncio.wait_for(reader.read(4096), 30)
            writer.transport.abort()
            vanished += 1
            await asyncio.sleep(0.01)
        return f"{vanished} clients vanished"

    return await _under_load(options, disturb, echo)


async def clients_read_a_byte_a_second(options: Options) -> Outcome:
    """Have a hundred others ask for a flood, and read one byte of it a second."""

    async def disturb(process: Process) -> str:
        connections = [await _connect(process, receive_buffer=4096) for _ in range(100)]
        for _, writer in connections:
            writer.write(_flood())
        for _ in range(int(options.seconds)):
            await asyncio.sleep(1)
            for reader, _ in connections:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.01)
        for _, writer in connections:
            writer.transport.abort()
        return "100 slow readers"

    return await _under_load(options, disturb, echo, {"RUN_TIMEOUT": "10"})


async def many_idle_connections(options: Options) -> Outcome:
    """Thousands of connections are opened slowly, and closed at once; every other begins a request that it never ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def disturb(process: Process) -> str:
        writers: list[asyncio.StreamWriter] = []
        for number in range(options.idle):
            writers.append((await _connect(process))[1])
            if number % 2:
                writers[-1].write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-drip: ")
            if number % 100 == 99:
                await asyncio.sleep(options.seconds / options.idle * 100)
        kept = sum(not writer.is_closing() for writer in writers)
        # All at once, as a proxy does that ends.
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(_AFTERMATH_SECONDS)
        return f"{len(writers)} connections were opened, {kept} were open in the end"

    return await _under_load(options, disturb, echo)


def _flood() -> bytes:
    return request_bytes(
        "POST", _CHAT, b'{"stream": true, "messages": [{"role": "user", "content": "flood"}]}'
    )


async def _connect(
    process: Process, *, receive_buffer: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(process.url)
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (parts.hostname or "", parts.port or 0))
    return await asyncio.open_connection(sock=sock, limit=receive_buffer or 65536)


SCENARIOS: dict[str, Callable[[Options], Coroutine[Any, Any, Outcome]]] = {
    scenario.__name__: scenario
    for scenario in (
        calm,
        memory_dies,
        model_misbehaves,
        clients_vanish,
        clients_read_a_byte_a_second,
        many_idle_connections,
    )
}


def main() -> int:
    """Run the scenarios one after the other, say what was seen, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], metavar="SCENARIO")
    arguments = parser.parse_args()
    options = Options(arguments.seconds, arguments.clients, arguments.idle)
    wrong = 0
    for name in arguments.scenarios or SCENARIOS:
        outcome = asyncio.run(SCENARIOS[name](options))
        load = outcome.load
        print(f"{name}: {outcome.notes}".rstrip(": "))
        print(
            f"  answers: {load.right} right, {len(load.wrong)} wrong, {sum(load.honest.values())} honest errors"
        )
        print(f"  errors: {dict(load.honest)}; slowest request {load.slowest:.1f} s")
        print(f"  {outcome.watch.line()}", flush=True)
        for text in load.wrong[:5]:
            print(f"  wrong: {text}")
        wrong += len(load.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
