"""Two replicas behind a small proxy, restarted one after the other while clients stream.

    python -m benchmarks.rolling_restart [--clients 16] [--rounds 2]

The proxy does what every load balancer does: it sends requests to replicas whose `/ready` answers 200, and tries
another one when a replica refuses. Nothing may break, and nothing may be refused in the end.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.load import Load, looking_after
from tests.support.clients import http_client
from tests.support.endpoint import ModelCall, model_endpoint
from tests.support.ports import free_port
from tests.support.processes import Process, running
from tests.support.sockets import until

__all__ = ["Report", "main", "roll"]

_POLL_SECONDS = 0.05
_ATTEMPTS = 40


@dataclass
class Replica:
    """One process, which comes back at the same port."""

    port: int
    ready: bool = False
    open: int = 0


@dataclass
class Report:
    """What the clients saw, and what the proxy did about it."""

    load: Load
    retried: Counter[str] = field(default_factory=Counter)
    under_way_at_restart: list[int] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    drain_seconds: list[float] = field(default_factory=list)


class Proxy:
    """Hands each request to a replica that is ready, one connection per request."""

    def __init__(self, replicas: list[Replica], report: Report) -> None:
        self._replicas = replicas
        self._report = report

    async def watch(self, replica: Replica) -> None:
        """Ask a replica again and again whether it is ready."""
        while True:
            try:
                async with http_client(timeout=2) as client:
                    answer = await client.get(f"http://127.0.0.1:{replica.port}/ready")
                replica.ready = answer.status_code == 200
            except httpx2.TransportError:
                replica.ready = False
            await asyncio.sleep(_POLL_SECONDS)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await self._forward(head + await reader.readexactly(length), writer)
        writer.close()

    async def _forward(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        for _ in range(_ATTEMPTS):
            ready = [replica for replica in self._replicas if replica.ready] or self._replicas
            replica = min(ready, key=lambda replica: replica.open)
            replica.open += 1
            try:
                if await self._try(replica, request, writer):
                    return
                reason = "503"
            except ConnectionError as exc:
                # Nothing was said to the client yet.
                replica.ready = False
                reason = type(exc).__name__
            finally:
                replica.open -= 1
            self._report.retried[reason] += 1
            await asyncio.sleep(_POLL_SECONDS)
        writer.close()

    async def _try(self, replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass the answer on, unless it is that the replica takes no more requests."""
        upstream, sender = await asyncio.open_connection("127.0.0.1", replica.port)
        try:
            sender.write(request)
            await sender.drain()
            try:
                head = await upstream.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as exc:
                raise ConnectionResetError from exc
            if head.startswith(b"HTTP/1.1 503"):
                return False
            writer.write(head)
            if b"transfer-encoding: chunked" in head.lower():
                while True:
                    size = await upstream.readuntil(b"\r\n")
                    writer.write(size + await upstream.readexactly(int(size, 16) + 2))
                    await writer.drain()
                    if int(size, 16) == 0:
                        return True
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            writer.write(await upstream.readexactly(length))
            return True
        except asyncio.IncompleteReadError:
            # In the middle of an answer, which nobody can repeat: the client sees it end.
            writer.close()
            return True
        finally:
            sender.close()


async def _speak(call: ModelCall) -> None:
    """Say again what was said, a word at a time, over about a second."""
    said = f"You said {call.body['messages'][-1]['content']}"
    if not call.body.get("stream"):
        await asyncio.sleep(0.8)
        await call.complete(said)
        return
    await call.start_stream()
    for place, word in enumerate(said.split(" ")):
        await call.text(f" {word}" if place else word)
        await asyncio.sleep(0.2)
    await call.end_stream()


@asynccontextmanager
async def _replica(replica: Replica, model_url: str, folder: Path) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", str(replica.port)]
    environment = {"MODEL_API_URL": model_url, "MODEL_NAME": "scripted", "LOG_LEVEL": "WARNING"}
    started = running(command, ready=r"is ready at (http://\S+)\. ", env=environment, cwd=folder)
    process = await asyncio.to_thread(started.__enter__)
    try:
        yield process
    finally:
        await asyncio.to_thread(started.__exit__, None, None, None)


async def roll(*, clients: int, rounds: int) -> Report:
    """Restart each of the replicas `rounds` times, and report."""
    replicas = [Replica(free_port()), Replica(free_port())]
    with tempfile.TemporaryDirectory() as name:
        async with model_endpoint(_speak) as model, AsyncExitStack() as stack:
            contexts = [_replica(replica, model.url, Path(name)) for replica in replicas]
            processes = [await stack.enter_async_context(context) for context in contexts]
            report = Report(Load(""))
            proxy = Proxy(replicas, report)
            front = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, backlog=1024)
            report.load.url = f"http://127.0.0.1:{front.sockets[0].getsockname()[1]}"
            async with front, looking_after(*(proxy.watch(replica) for replica in replicas)):
                await until(lambda: all(replica.ready for replica in replicas), timeout=60)
                asking = [asyncio.create_task(report.load.ask_until_stopped()) for _ in range(clients)]
                await asyncio.sleep(1)
                for place in list(range(len(replicas))) * rounds:
                    report.under_way_at_restart.append(replicas[place].open)
                    began = time.monotonic()
                    processes[place].popen.terminate()
                    report.exit_codes.append(await asyncio.to_thread(processes[place].popen.wait, 60))
                    report.drain_seconds.append(time.monotonic() - began)
                    processes[place] = await stack.enter_async_context(
                        _replica(replicas[place], model.url, Path(name))
                    )
                    await until(lambda: all(replica.ready for replica in replicas), timeout=60)
                    await asyncio.sleep(1)
                report.load.stopping = True
                await asyncio.wait_for(asyncio.gather(*asking), 60)
    return report


def main() -> None:
    """Roll, and print what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    report = asyncio.run(roll(clients=arguments.clients, rounds=arguments.rounds))
    load = report.load
    print(f"restarts         {len(report.exit_codes)}, exit codes {report.exit_codes}")
    print(f"under way then   {report.under_way_at_restart} requests")
    print(f"drains           {', '.join(f'{seconds:.1f} s' for seconds in report.drain_seconds)}")
    print(
        f"answers          {load.right} right, {len(load.wrong)} broken or wrong, {dict(load.honest)} refused"
    )
    print(f"proxy            tried again: {dict(report.retried)}")
    for wrong in load.wrong[:5]:
        print(f"  {wrong}")


if __name__ == "__main__":
    main()
