"""Calls of A2A over JSON-RPC to a server in this process, and agents that answer them."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import AgentServer, serve
from tests.conformance.a2a.agent import agent as kit_agent
from tests.support.agents import call as call_tools
from tests.support.asgi import Answer, Exchange, ask, make_scope

_numbers = itertools.count(1)


def make_server(**settings: Any) -> AgentServer:
    """Return a server with the agent of the compatibility kits, which does what the id of a message says."""
    return serve(kit_agent, **settings)


def message(message_id: str = "tck-complete-task", text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    """Return a message in the shape of 1.0."""
    return {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def old_message(message_id: str = "tck-complete-task", text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    """Return a message in the shape of 0.3."""
    parts = [{"kind": "text", "text": text}]
    return {"kind": "message", "messageId": message_id, "role": "user", "parts": parts, **fields}


async def call(
    server: Any,
    method: str,
    *,
    key: str | None = None,
    version: str | None = None,
    path: str = "/",
    **params: Any,
) -> Answer:
    """Make a call and return its answer as HTTP has it."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if version is not None:
        headers["a2a-version"] = version
    body = {"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": params}
    return await ask(server, "POST", path, body, headers)


async def result(server: Any, method: str, **params: Any) -> Any:
    """Make a call that works, and return its result."""
    answer = (await call(server, method, **params)).json()
    assert answer.keys() == {"jsonrpc", "id", "result"}, answer
    return answer["result"]


async def error(server: Any, method: str, **params: Any) -> Any:
    """Make a call that does not work, and return its error."""
    answer = await call(server, method, **params)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json().keys() == {"jsonrpc", "id", "error"}, answer.json()
    return answer.json()["error"]


async def send(server: Any, *args: str, key: str | None = None, **fields: Any) -> Any:
    """Send a message and return the task."""
    return (await result(server, "SendMessage", message=message(*args, **fields), key=key))["task"]


def events(answer: Answer) -> list[Any]:
    """Return the results that a stream told, all with the id of its call."""
    told = [json.loads(frame) for frame in answer.frames()]
    assert len({entry["id"] for entry in told}) == 1
    return [entry["result"] for entry in told]


def begin(talk: Exchange, method: str, **params: Any) -> None:
    """Send a call on an exchange that is open."""
    talk.send_body(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


def scope(**headers: str) -> Any:
    """Return the scope of a call."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_scope("POST", "/", {"content-type": "application/json", **named})


def failing_server() -> AgentServer:
    """Return a server with an agent whose tasks fail."""
    agent = Agent("test", name="clerk")

    @agent.tool_plain
    def look() -> str:
        return "Nothing."

    return serve(agent, debug_mock_responses=[call_tools(("look", {}))])


class Slow:
    """An agent that says something, waits to be let on, and says the rest."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.may_end = anyio.Event()
        self.stopped = anyio.Event()

    async def tell(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        """Answer in two pieces."""
        self.began.set()
        yield "first "
        try:
            await self.may_end.wait()
        finally:
            self.stopped.set()
        yield "second"

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Answer whole."""
        return ModelResponse(parts=[TextPart("".join([piece async for piece in self.tell(messages, info)]))])

    def server(self, **settings: Any) -> AgentServer:
        """Return a server with this agent."""
        return serve(Agent(FunctionModel(self.answer, stream_function=self.tell), name="slow"), **settings)
