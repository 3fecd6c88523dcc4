"""Streams: the first token, the delay between tokens, and tokens per CPU second."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.field import plots
from benchmarks.field.client import connection, saturate, tokens_in
from benchmarks.field.dialects import Dialect
from benchmarks.field.figures import Figure
from benchmarks.field.servers import FASTAPI, FLOOR, FOLDER, Running, Suite, surroundings
from benchmarks.field.worker import worker

__all__ = ["BARE", "measure"]

BARE = "bare agent.iter"
_FEW = 8


@dataclass(frozen=True)
class _Size:
    """How much is asked of each server in a round."""

    first: int = 15
    seconds: float = 1.5
    # Streams at once, and tokens per second of each.
    paced: tuple[tuple[int, int], ...] = ((1, 100), (30, 50))
    levels: tuple[int, ...] = (1, 4, 32)
    tokens: int = 500


_FULL = _Size()
_QUICK = _Size(first=3, seconds=0.3, paced=((1, 100), (5, 50)), levels=(1, 4), tokens=100)


def measure(suite: Suite, output: Path) -> list[Figure]:
    """Measure all servers in turns, and draw what comes of it."""
    size = _QUICK if suite.quick else _FULL
    with suite.running() as running:
        for name, (member, process) in list(running.servers.items()):
            suite.progress.say(f"streaming: first answers of {name}")
            running.attempt(name, saturate(member.server.dialect, process.port, 4, 50))
        figures = _first_token(running, size, output)
        for streams, rate in size.paced:
            figures += _delays(running, size, streams, rate, output)
        return figures + _saturation(running, size, output)


def _first_token(running: Running, size: _Size, output: Path) -> list[Figure]:
    what = "Time to the first token, one stream at a time"
    middle = Figure("streaming.first_token", f"{what}, the median of a round", "ms", references=(BARE, FLOOR))
    # What others do on the machine makes an answer later, never sooner.
    best = Figure(
        "streaming.first_token_best", f"{what}, the best of a round", "ms", references=(BARE, FLOOR)
    )
    suite = running.suite
    with ExitStack() as stack:
        bare = None
        if (ours := suite.field.ours) is not None:
            command = [str(ours.environment.python), str(FOLDER / "in_process.py"), "iter"]
            bare = stack.enter_context(worker(command, surroundings(suite.model_url)))
        began = None
        for name, member, process in running.turns("first token"):
            # The bare run has its turn when the first of the servers has.
            began = began or name
            if bare is not None and name == began:
                _add_first(middle, best, BARE, bare.ask(f"{size.first} 10 100")["first"])
            first = running.attempt(name, _first(member.server.dialect, process.port, size.first))
            if first is not None:
                _add_first(middle, best, name, first)
    plots.bars(output / "first-token", best.title, "ms", {"": best.samples}, logarithmic=True)
    return [middle, best]


def _add_first(middle: Figure, best: Figure, name: str, seconds: Sequence[float]) -> None:
    middle.add(name, median(seconds) * 1000)
    best.add(name, min(seconds) * 1000)


async def _first(dialect: Dialect, port: int, times: int) -> list[float]:
    async with connection(dialect, port) as asking:
        return [(await asking.stream(10, 100)).pieces[0][0] for _ in range(times)]


def _delays(running: Running, size: _Size, streams: int, rate: int, output: Path) -> list[Figure]:
    """Measure how late tokens are that the model makes at a steady pace, and the time between two of them."""
    what = f"{streams} stream{'s' if streams > 1 else ''} of {rate} tokens per second"
    late = Figure(f"streaming.late_median.{streams}", f"Lateness of a token, median, {what}", "ms")
    worst = Figure(f"streaming.late_99.{streams}", f"Lateness of a token, 99 of 100 are within, {what}", "ms")
    gaps: dict[str, list[float]] = {}
    for name, member, process in running.turns(what):
        asking = _paced(member.server.dialect, process.port, streams, int(rate * size.seconds), rate)
        answers = running.attempt(name, asking)
        if answers is None:
            continue
        delays = sorted((here - made) * 1000 for tokens in answers for made, here in tokens)
        late.add(name, median(delays))
        worst.add(name, delays[int(len(delays) * 0.99)])
        between = [(after[1] - before[1]) * 1000 for tokens in answers for before, after in pairwise(tokens)]
        gaps.setdefault(name, []).extend(between)
    title = f"Delay between two tokens, {what}"
    plots.distributions(output / f"token-delay-{streams}", title, "ms", gaps)
    return [late, worst]


async def _paced(
    dialect: Dialect, port: int, streams: int, tokens: int, rate: int
) -> list[list[tuple[float, float]]]:
    async def one() -> list[tuple[float, float]]:
        async with connection(dialect, port) as asking:
            return tokens_in(await asking.stream(tokens, rate))

    return await asyncio.gather(*(one() for _ in range(streams)))


def _saturation(running: Running, size: _Size, output: Path) -> list[Figure]:
    figures = []
    for streams in size.levels:
        what = f"{streams} stream{'s' if streams > 1 else ''} of {size.tokens} tokens as fast as they go"
        key = f"streaming.tokens_per_cpu_second.{streams}"
        figure = Figure(key, f"Tokens per CPU second, {what}", "tokens", references=(FASTAPI, FLOOR))
        for name, member, process in running.turns(what):
            if member.server.is_slow and streams > _FEW:
                continue
            before = process.cpu_seconds()
            running.attempt(name, saturate(member.server.dialect, process.port, streams, size.tokens))
            if name in running.servers:
                figure.add(name, streams * size.tokens / (process.cpu_seconds() - before))
        figures.append(figure)
    title = f"Streams of {size.tokens} tokens as fast as they go"
    levels = {str(streams): figure.samples for streams, figure in zip(size.levels, figures, strict=True)}
    plots.lines(output / "tokens-per-cpu-second", title, "streams at once", "tokens per CPU second", levels)
    return figures
