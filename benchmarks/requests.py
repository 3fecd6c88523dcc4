"""CPU of one mock chat request through the ASGI application, beside a bare in-process `agent.run`.

    python -m benchmarks.requests [--rounds 15] [--requests 150]

Both use the same agent and the same model. The socket server is left out: it costs the same whoever answers.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from statistics import median

from pydantic_ai import Agent

from benchmarks.telemetry import post_chat
from pais_lite import serve
from pais_lite.models.mock import MockScript

__all__ = ["main"]

_ANSWER = ["Hello there, this is an answer."]
_BODY = json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}).encode()


def _cpu_milliseconds(work: Callable[[], Awaitable[object]], times: int) -> float:
    async def repeat() -> None:
        for _ in range(times):
            await work()

    began = time.process_time()
    asyncio.run(repeat())
    return (time.process_time() - began) / times * 1000


def main() -> None:
    """Measure in turns and print medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=150)
    arguments = parser.parse_args()
    agent, script = Agent(name="x"), MockScript(_ANSWER)
    server = serve(agent, debug_mock_responses=_ANSWER)

    async def bare() -> None:
        await agent.run("hi", model=script.new_model())

    async def request() -> None:
        await post_chat(server, _BODY)

    for work in (bare, request):
        _cpu_milliseconds(work, 50)
    # As `pais run` does: what was imported is never garbage.
    gc.collect()
    gc.freeze()
    runs: list[float] = []
    requests: list[float] = []
    for _ in range(arguments.rounds):
        runs.append(_cpu_milliseconds(bare, arguments.requests))
        requests.append(_cpu_milliseconds(request, arguments.requests))
    ratios = sorted(ours / theirs for ours, theirs in zip(requests, runs, strict=True))
    print(f"agent.run      median {median(runs):.3f} ms of CPU")
    print(f"chat request   median {median(requests):.3f} ms of CPU")
    print(f"ratio          median {median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
