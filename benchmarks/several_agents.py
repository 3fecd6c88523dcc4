"""What three agents that hand a task down cost in one process, and in three.

    python -m benchmarks.several_agents [--rounds 9] [--requests 40] [--stream]

An orchestrator asks a researcher, who asks a writer; the models are mocks. Both sides are `pais run` in processes of their
own and answer the same requests over loopback, one at a time, in turns. CPU is what the serving processes used, user and
system, as the kernel counted it.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2

from tests.support.agents import CHAT, agent_process, delegate, knows
from tests.support.asgi import chat
from tests.support.clients import http_client
from tests.support.processes import Process, pais_run

__all__ = ["Side", "main", "measure"]

_SCRIPTS: dict[str, list[Any]] = {
    "orchestrator": [delegate("researcher", "find a line"), "Here it is."],
    "researcher": [delegate("writer", "write a line"), "The line is written."],
    "writer": ["Rivers flow, as we know."],
}
_WARM_UP = 20


@dataclass
class Side:
    """One of the two, and what was measured of it, per request: CPU and elapsed time, in milliseconds."""

    name: str
    url: str
    processes: Sequence[Process]
    cpu: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    megabytes: float = 0.0

    def cpu_seconds(self) -> float:
        """Return the CPU time that the processes have used so far."""
        return sum(_cpu_seconds(process.popen.pid) for process in self.processes)


def _cpu_seconds(pid: int) -> float:
    # proc(5): the name, which may hold anything, ends at the last bracket; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def _ask(client: httpx2.AsyncClient, side: Side, count: int, *, stream: bool) -> None:
    body = {**chat("A line about rivers!", stream=stream), "model": "orchestrator"}
    for _ in range(count):
        answer = await client.post(side.url + CHAT, json=body)
        if answer.status_code != 200 or "Here it is." not in _text(answer, stream=stream):
            raise RuntimeError(f"{side.name} answered {answer.status_code}: {answer.text[:500]}")


def _text(answer: httpx2.Response, *, stream: bool) -> str:
    if not stream:
        return str(answer.json()["choices"][0]["message"]["content"])
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: {")]
    deltas = [json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines]
    return "".join(deltas)


async def measure(sides: Sequence[Side], *, rounds: int, requests: int, stream: bool) -> None:
    """Ask both in turns, and note what each used."""
    async with http_client() as client:
        for side in sides:
            base = side.url if len(side.processes) > 1 else f"{side.url}/agents/orchestrator"
            await knows(client, base, "researcher")
            await _ask(client, side, _WARM_UP, stream=stream)
        for turn in range(rounds):
            for side in sides if turn % 2 == 0 else reversed(sides):
                cpu, began = side.cpu_seconds(), perf_counter()
                await _ask(client, side, requests, stream=stream)
                side.elapsed.append((perf_counter() - began) / requests * 1000)
                side.cpu.append((side.cpu_seconds() - cpu) / requests * 1000)
            print(f"round {turn + 1} of {rounds}", flush=True)
    for side in sides:
        side.megabytes = sum(_megabytes(process.popen.pid) for process in side.processes)


def _print(sides: Sequence[Side]) -> None:
    print(f"\n{'':<16}{'CPU ms':>10}{'from':>8}{'to':>8}{'elapsed ms':>12}{'memory MB':>11}")
    for side in sides:
        print(
            f"{side.name:<16}{statistics.median(side.cpu):>10.2f}{min(side.cpu):>8.2f}{max(side.cpu):>8.2f}"
            f"{statistics.median(side.elapsed):>12.2f}{side.megabytes:>11.0f}"
        )
    one, three = sides
    ratios = [b / a for a, b in zip(one.cpu, three.cpu, strict=True)]
    slower = [b / a for a, b in zip(one.elapsed, three.elapsed, strict=True)]
    print(
        f"three processes to one: {statistics.median(ratios):.2f} times the CPU ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{statistics.median(slower):.2f} times the time ({min(slower):.2f} to {max(slower):.2f})"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Start both sides, measure, print, and end what was started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--stream", action="store_true")
    arguments = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in _SCRIPTS:
            (folder / f"{name}.py").write_text(
                f"from pydantic_ai import Agent\nagent = Agent(name={name!r})\n"
            )
        own = {f"{name.upper()}__DEBUG_MOCK_RESPONSES": json.dumps(says) for name, says in _SCRIPTS.items()}
        together = {**own, "ORCHESTRATOR__PEER_AGENTS": "researcher", "RESEARCHER__PEER_AGENTS": "writer"}
        one = stack.enter_context(pais_run(*(f"{name}.py" for name in _SCRIPTS), env=together, cwd=folder))
        writer = stack.enter_context(agent_process("writer", *_SCRIPTS["writer"]))
        researcher = stack.enter_context(
            agent_process("researcher", *_SCRIPTS["researcher"], knows={"writer": writer.url})
        )
        first = stack.enter_context(
            agent_process("orchestrator", *_SCRIPTS["orchestrator"], knows={"researcher": researcher.url})
        )
        sides = [
            Side("one process", one.url, [one]),
            Side("three processes", first.url, [first, researcher, writer]),
        ]
        asyncio.run(
            measure(sides, rounds=arguments.rounds, requests=arguments.requests, stream=arguments.stream)
        )
    _print(sides)


if __name__ == "__main__":
    main()
