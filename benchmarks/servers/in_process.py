"""Pydantic AI by itself, and this package without a socket: what a run costs before anybody serves it.

    python in_process.py run|mock-run|iter|request|mock-request

`run` is a bare `agent.run`, `iter` a bare `agent.iter` whose text is streamed, and `request` a chat request through this
package's ASGI application; `mock-` has a model that answers in the process. Each line of standard input, `times tokens rate`,
is answered with JSON: the milliseconds of CPU of each time, and how many seconds each first token took.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai import Agent, PartDeltaEvent, PartStartEvent
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

_INSTRUCTIONS = "You are a helpful assistant."
_MOCK = ["Hello there, this is an answer."]
Work = Callable[[str], Awaitable[object]]


async def post_chat(application: Any, body: bytes) -> None:
    """Have an ASGI application answer one chat request.

    Raises:
        RuntimeError: its status is not 200.
    """
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"the server answered {message['status']}")

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
    }
    await application(scope, receive, send)


def _bare(agent: Agent, model: Callable[[], Model]) -> Work:
    async def work(prompt: str) -> None:
        await agent.run(prompt, model=model())

    return work


def _streamed(agent: Agent, model: Callable[[], Model]) -> Work:
    async def work(prompt: str) -> float:
        began = time.monotonic()
        first = 0.0
        async with agent.iter(prompt, model=model()) as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as stream:
                        async for event in stream:
                            if not first and isinstance(event, (PartStartEvent, PartDeltaEvent)):
                                first = time.monotonic() - began
        return first

    return work


def _request(agent: Agent, **settings: Any) -> Work:
    from pais_lite import serve

    server = serve(agent, **settings)

    async def work(prompt: str) -> None:
        message = {"role": "user", "content": prompt}
        await post_chat(server, json.dumps({"model": "benchmark", "messages": [message]}).encode())

    return work


def _work(kind: str) -> Work:
    agent: Agent = Agent(name="benchmark", instructions=_INSTRUCTIONS)
    if kind == "request":
        return _request(agent)
    if kind == "mock-request":
        return _request(agent, debug_mock_responses=_MOCK, model_api_url=None, model_name=None)
    if kind == "mock-run":
        from pais_lite.models.mock import MockScript

        return _bare(agent, MockScript(_MOCK).new_model)
    provider = OpenAIProvider(base_url=os.environ["MODEL_API_URL"], api_key="none")
    model = OpenAIChatModel("scripted", provider=provider)
    return _bare(agent, lambda: model) if kind == "run" else _streamed(agent, lambda: model)


async def _serve(work: Work) -> None:
    for _ in range(20):
        await work("tokens=5 rate=0")
    # As `pais run` does: what was imported is never garbage.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        times, tokens, rate = map(int, line.split())
        began = time.process_time()
        told = [await work(f"tokens={tokens} rate={rate}") for _ in range(times)]
        milliseconds = (time.process_time() - began) / times * 1000
        print(json.dumps({"cpu": milliseconds, "first": told}), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(_work(sys.argv[1])))
