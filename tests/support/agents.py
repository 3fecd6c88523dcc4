"""Agents as processes of their own, and what a client sees of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.support.asgi import Answer, chat
from tests.support.processes import Process, pais_run
from tests.support.sockets import until

CHAT = "/v1/chat/completions"


def call(*tools: tuple[str, dict[str, Any]], content: str = "") -> dict[str, Any]:
    """Return what a mock model says to call tools, after some text."""
    calls = [
        {"id": f"call_{place}", "name": name, "arguments": args} for place, (name, args) in enumerate(tools)
    ]
    return {"content": content, "tool_calls": calls}


def delegate(agent: str, task: str = "do it", **fields: Any) -> dict[str, Any]:
    """Return what a mock model says to delegate."""
    return call((f"delegate_to_{agent}", {"task": task}), **fields)


@contextmanager
def agent_process(
    name: str,
    *says: Any,
    knows: Mapping[str, str] | None = None,
    model: str | None = None,
    port: int = 0,
    **env: str,
) -> Iterator[Process]:
    """Run an agent that says what it is told to, or what the endpoint `model` does, and `knows` others by their URLs."""
    settings = {"AGENT_NAME": name, **env}
    if model is None:
        settings["DEBUG_MOCK_RESPONSES"] = json.dumps(says)
    else:
        settings |= {"MODEL_API_URL": model, "MODEL_NAME": name}
    if knows:
        settings["AGENT_SUB_AGENTS"] = ",".join(f"{other}:{url}" for other, url in knows.items())
    with pais_run("--port", str(port), env=settings) as process:
        yield process


async def stream_chat(client: httpx2.AsyncClient, url: str, text: str = "hi", **headers: str) -> Answer:
    """Ask for a streamed answer and read all of it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    options = {"stream": True, "stream_options": {"include_usage": True}}
    answer = await client.post(url + CHAT, json=chat(text, **options), headers=names)
    return Answer(answer.status_code, dict(answer.headers), answer.content)


def progress(answer: Answer) -> list[dict[str, Any]]:
    """Return the progress reports of a stream."""
    return [chunk["progress"] for chunk in answer.chunks() if "progress" in chunk]


async def events(client: httpx2.AsyncClient, url: str, session: str | None = None) -> list[tuple[str, Any]]:
    """Return types and contents of what an agent remembers."""
    params = {"session_id": session} if session else {}
    found = (await client.get(f"{url}/memory/events", params=params)).json()["events"]
    return [(event["event_type"], event["content"]) for event in found]


async def tool_names(client: httpx2.AsyncClient, url: str) -> list[str]:
    """Return the names of the tools that an agent's model sees."""
    tools = (await client.get(f"{url}/tools")).json()["tools"]
    return [tool["function"]["name"] for tool in tools]


async def knows(client: httpx2.AsyncClient, url: str, *agents: str) -> None:
    """Wait until an agent can delegate to exactly those others."""

    async def does() -> bool:
        return await tool_names(client, url) == [f"delegate_to_{agent}" for agent in agents]

    await until(does, timeout=60)
