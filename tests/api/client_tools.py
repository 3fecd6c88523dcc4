"""Chats with tools of the client: what it sends, what it reads in the answers, and an agent with a tool of its own."""

from collections.abc import Mapping
from typing import Any

from pydantic_ai import Agent

from pais_lite import AgentServer, serve
from tests.support.asgi import Answer, ask

CHAT = "/v1/chat/completions"
ALICE, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}


def function(name: str, **properties: Any) -> dict[str, Any]:
    """Return a tool of the client, as the OpenAI API describes it."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


CLOCK, MAP = function("clock"), function("map", place={"type": "string"})


def make_server(*responses: Any, ran: list[str] | None = None, **settings: Any) -> AgentServer:
    """Return a server whose agent looks up places itself, and notes them in `ran`."""
    agent = Agent(
        "test", name="guide", instructions="Keep this to yourself.", system_prompt="A system prompt."
    )

    @agent.tool_plain
    async def look_up(place: str) -> str:
        if ran is not None:
            ran.append(place)
        return f"{place} is far"

    return serve(agent, debug_mock_responses=list(responses) or None, **settings)


async def post(
    server: AgentServer,
    messages: list[dict[str, Any]],
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """Chat with two tools of the client."""
    body = {"messages": messages, "tools": [CLOCK, MAP], **fields}
    return await ask(server, "POST", CHAT, body, headers=headers)


def user(text: str = "hi") -> dict[str, Any]:
    """Return a message of the user."""
    return {"role": "user", "content": text}


def result(call: Mapping[str, Any], content: str) -> dict[str, Any]:
    """Return the result of a call."""
    return {"role": "tool", "tool_call_id": call["id"], "content": content}


def message_of(answer: Answer) -> Any:
    """Return the message of an answer that came whole."""
    assert answer.status == 200, answer.body
    return answer.json()["choices"][0]["message"]


def streamed_message(answer: Answer) -> Any:
    """Return the assistant's turn, as a client puts it together from the chunks."""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in answer.chunks():
        for piece in chunk["choices"][0]["delta"].get("tool_calls", []):
            if "id" in piece:
                calls[piece["index"]] = {
                    "id": piece["id"],
                    "type": "function",
                    "function": {**piece["function"]},
                }
            else:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return {"role": "assistant", "content": answer.text() or None, "tool_calls": [*calls.values()]}


def error_of(answer: Answer) -> tuple[int, str, str | None]:
    """Return status, code and parameter of an error."""
    error = answer.json()["error"]
    return answer.status, error["code"], error["param"]


async def events_of(server: AgentServer, session_id: str, headers: Mapping[str, str] | None = None) -> Any:
    """Return what the memory has of a session."""
    answer = await ask(server, "GET", "/memory/events", query=f"session_id={session_id}", headers=headers)
    return answer.json()["events"]


def called(*calls: tuple[str, str, str]) -> dict[str, Any]:
    """Return an assistant's turn that called tools: id, name and arguments of each."""
    listed = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
    return {"role": "assistant", "content": None, "tool_calls": listed}
