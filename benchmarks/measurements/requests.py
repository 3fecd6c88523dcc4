"""CPU of a request that is answered whole: the servers over a socket, and this package beside a bare run."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from benchmarks.field import plots
from benchmarks.field.client import connection
from benchmarks.field.dialects import Dialect
from benchmarks.field.figures import Figure
from benchmarks.field.servers import FASTAPI, FLOOR, FOLDER, Suite, surroundings
from benchmarks.field.worker import worker

__all__ = ["measure"]

_AT_ONCE = 4
_TOKENS = 25


def measure(suite: Suite, output: Path) -> list[Figure]:
    """Measure all servers in turns, then the package in its process, and draw what comes of it."""
    served = _served(suite)
    plots.bars(output / "requests", served.title, served.unit, {"": served.samples})
    return [served, *_in_process(suite)]


def _served(suite: Suite) -> Figure:
    times = 5 if suite.quick else 40
    title = f"CPU of a request over HTTP, answered whole with {_TOKENS} tokens, {_AT_ONCE} at once"
    figure = Figure("requests.cpu", title, "ms", references=(FASTAPI, FLOOR))
    with suite.running() as running:
        for name, (member, process) in list(running.servers.items()):
            running.attempt(name, _ask(member.server.dialect, process.port, times))
        for name, member, process in running.turns("requests"):
            before = process.cpu_seconds()
            running.attempt(name, _ask(member.server.dialect, process.port, times))
            if name in running.servers:
                figure.add(name, (process.cpu_seconds() - before) / times / _AT_ONCE * 1000)
    return figure


async def _ask(dialect: Dialect, port: int, times: int) -> None:
    async def one() -> None:
        async with connection(dialect, port) as asking:
            for _ in range(times):
                await asking.whole(_TOKENS)

    await asyncio.gather(*(one() for _ in range(_AT_ONCE)))


def _in_process(suite: Suite) -> list[Figure]:
    """Measure what a run costs by itself, and what this package adds without a socket."""
    ours = suite.field.ours
    if ours is None:
        return []
    times = 20 if suite.quick else 150
    figures = []
    for key, title, bare, request in (
        (
            "requests.in_process",
            "CPU of a run, without a server, the model endpoint answering",
            "run",
            "request",
        ),
        ("requests.mock", "CPU of a run, without a server, a mock answering", "mock-run", "mock-request"),
    ):
        figure = Figure(key, title, "ms", references=("agent.run",))
        with ExitStack() as stack:
            workers = {
                name: stack.enter_context(
                    worker(
                        [str(ours.environment.python), str(FOLDER / "in_process.py"), kind],
                        surroundings(suite.model_url),
                    )
                )
                for name, kind in (("agent.run", bare), ("chat request", request))
            }
            # Short and many: the shorter a turn, the more alike the machine is in both.
            for number in range(suite.rounds * 3):
                for name, process in workers.items():
                    suite.progress.say(f"{title}, round {number + 1} of {suite.rounds * 3}: {name}")
                    figure.add(name, process.ask(f"{times} {_TOKENS} 0")["cpu"])
        figures.append(figure)
    return figures
