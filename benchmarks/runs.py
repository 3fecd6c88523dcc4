"""What a store of runs adds to a run: CPU, the first token, and the trips to Redis.

    python -m benchmarks.runs [--rounds 15] [--runs 100]

In turns: the agent alone; the same in `LocalRuns`; with memory in Redis, the agent alone, as it was before runs were kept
there, and the same in `RedisRuns`. All use the same agent and the same scripted model, in this process.
"""

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

from pydantic_ai import Agent as PydanticAgent

from pais_lite import RedisMemory
from pais_lite.agent import Agent, RunRequest
from pais_lite.events import Finished, RunEvent, TextDelta
from pais_lite.memory import LocalMemory, Memory
from pais_lite.resp import Client
from pais_lite.runs import LocalRuns, NewRun, RedisRuns, Runs
from pais_lite.settings import Settings
from tests.support.valkey import ValkeyServer

__all__ = ["main"]

_ANSWER = ["Hello there, this is an answer of some words, as they come from a model."]


class Subject:
    """One way to run an agent, measured in turns with the others."""

    def __init__(self, name: str, memory: Memory, make_runs: Callable[[Agent], Runs] | None = None) -> None:
        self.name = name
        self.agent = Agent.serving(
            PydanticAgent(name="x"),
            name="x",
            memory=memory,
            settings=Settings.load(agent_name="x", debug_mock_responses=_ANSWER),
        )
        self.runs = None if make_runs is None else make_runs(self.agent)
        self.cpu: list[float] = []
        self.first: list[float] = []
        self._count = 0

    async def once(self) -> None:
        """Run to the end, as a streaming request does, and note when the first token came."""
        self._count += 1
        request = RunRequest(prompt="hi", session_id=f"s{self._count % 20}", stream=True)
        began = time.perf_counter()
        take: Callable[[], Awaitable[Sequence[RunEvent]]]
        leave: Callable[[], None]
        if self.runs is None:
            reader = self.agent.start(request).log.reader()
            take, leave = reader.take, reader.leave
        else:
            run = await self.runs.start(
                NewRun(request=request, protocol="chat"), on_start=_nothing, on_end=_nothing
            )
            take, leave = run.next_events, run.leave
        is_first = True
        while True:
            events = await take()
            if is_first and any(isinstance(event, TextDelta) for event in events):
                self.first.append((time.perf_counter() - began) * 1000)
                is_first = False
            if isinstance(events[-1], Finished):
                leave()
                return

    async def round(self, times: int) -> None:
        """Run some times, and note the CPU of one."""
        began = time.process_time()
        for _ in range(times):
            await self.once()
        self.cpu.append((time.process_time() - began) / times * 1000)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self.agent.close()
        if self.runs is not None:
            await self.runs.aclose()


def _nothing() -> None:
    pass


async def _trips(client: Client, subject: Subject, times: int) -> float:
    """Return how many times the server read from its clients for one run."""

    async def reads() -> int:
        found = str(await client.execute("INFO", "stats"), "ascii")
        return int(found.partition("total_reads_processed:")[2].split()[0])

    before = await reads()
    for _ in range(times):
        await subject.once()
    return (await reads() - before - 1) / times


def _ratio(ours: Subject, theirs: Subject) -> str:
    ratios = [one / other for one, other in zip(ours.cpu, theirs.cpu, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.3f} (half of the rounds between {low:.3f} and {high:.3f})"


async def _measure(url: str, rounds: int, times: int) -> None:
    local = Subject("agent alone", LocalMemory())
    in_local = Subject("LocalRuns", LocalMemory(), LocalRuns)
    alone = Subject("agent alone, memory in Redis", RedisMemory(url, app_name="x"))
    in_redis = Subject("RedisRuns", RedisMemory(url, app_name="x"), RedisRuns)
    subjects = [local, in_local, alone, in_redis]
    client = Client(url)
    try:
        for subject in subjects:
            await subject.round(30)
            subject.cpu.clear()
            subject.first.clear()
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            for subject in subjects if number % 2 else reversed(subjects):
                await subject.round(times)
        for subject in subjects:
            first = median(subject.first)
            print(f"{subject.name:30} {median(subject.cpu):.3f} ms of CPU, first token after {first:.2f} ms")
        print(f"LocalRuns to the agent alone               {_ratio(in_local, local)}")
        print(f"RedisRuns to the agent alone with Redis    {_ratio(in_redis, alone)}")
        for subject in (alone, in_redis):
            print(f"{subject.name:30} {await _trips(client, subject, 20):.2f} round trips a run")
    finally:
        await client.aclose()
        for subject in subjects:
            await subject.aclose()


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), "--save", "")
        server.start()
        try:
            asyncio.run(_measure(server.url, arguments.rounds, arguments.runs))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
