"""A thousand streams at once in one process on one core: errors, memory, CPU."""

import asyncio
import time

import httpx2

from benchmarks.field.client import WrongAnswer, connection
from benchmarks.field.dialects import Dialect
from benchmarks.field.figures import Figure
from benchmarks.field.processes import NotStarted, Started
from benchmarks.field.servers import FASTAPI, FLOOR, OURS, Member, Suite

__all__ = ["measure"]

# The others are known from fewer streams; a thousand would keep most of them busy for minutes.
_WHO = (OURS[0], FLOOR, FASTAPI)
_LOOK_SECONDS = 0.1
_RAMP_SECONDS = 3.0


def measure(suite: Suite) -> list[Figure]:
    """Have each server of its turn begin anew, stream to a thousand, and be looked at while it does."""
    streams, tokens, rate = (20, 5, 10) if suite.quick else (1000, 30, 1)
    what = f"{streams} streams at once, {rate} tokens per second each, one process on one core"
    errors = Figure(f"streaming.crowd_errors.{streams}", f"Streams that failed, {what}", "of the streams")
    at_once = Figure(
        f"streaming.crowd_at_once.{streams}",
        f"Answers under way at the model at the same time, {what}",
        "most",
    )
    memory = Figure(
        f"streaming.crowd_memory.{streams}", f"Resident memory at most, {what}", "MB", references=(FLOOR,)
    )
    cpu = Figure(f"streaming.crowd_cpu.{streams}", f"CPU, {what}", "s", references=(FLOOR, FASTAPI))
    rounds = max(1, suite.rounds // 4)
    # Each takes most of a minute.
    for round_number in range(rounds):
        for member in [member for member in suite.field.members if member.name in _WHO]:
            suite.progress.say(f"{what}, round {round_number + 1} of {rounds}: {member.name}")
            try:
                with member.running(suite.model_url) as process:
                    process.keep_to_one_core()
                    _most_at_once(suite)
                    before = process.cpu_seconds()
                    failed, most = asyncio.run(_crowd(member, process, streams, tokens, rate))
                    errors.add(member.name, failed)
                    at_once.add(member.name, _most_at_once(suite))
                    memory.add(member.name, most / 1e6)
                    cpu.add(member.name, process.cpu_seconds() - before)
            except NotStarted as exc:
                suite.field.leave_out(member.name, str(exc))
    return [errors, at_once, memory, cpu]


def _most_at_once(suite: Suite) -> float:
    """Return how many answers the endpoint gave at the same time since it was last asked."""
    address = suite.model_url.removesuffix("/v1") + "/most-at-once"
    return float(httpx2.get(address, trust_env=False).json()["most"])


async def _crowd(member: Member, process: Started, streams: int, tokens: int, rate: int) -> tuple[int, int]:
    """Return how many streams failed, and the most memory that was seen."""
    most = process.resident_bytes()

    async def look() -> None:
        nonlocal most
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            most = max(most, process.resident_bytes())

    looking = asyncio.create_task(look())
    # They come within seconds, not at the same instant, which would measure the length of a listener's queue.
    began = time.monotonic()
    asking = [
        _one(member.server.dialect, process.port, tokens, rate, began + _RAMP_SECONDS * number / streams)
        for number in range(streams)
    ]
    failed = sum(await asyncio.gather(*asking))
    looking.cancel()
    return failed, most


async def _one(dialect: Dialect, port: int, tokens: int, rate: int, begin: float) -> bool:
    """Return whether a stream failed."""
    await asyncio.sleep(max(0.0, begin - time.monotonic()))
    try:
        async with connection(dialect, port) as asking:
            await asking.stream(tokens, rate)
    except (WrongAnswer, OSError, EOFError):
        return True
    return False
