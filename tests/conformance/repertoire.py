"""What the model endpoint plays for the clients: each prompt has its own script, and any other is echoed."""

import asyncio
from typing import Any

from tests.support.endpoint import ModelCall, Script, chunk, completion

TELL = "Tell me a story."
THINK = "Think first."
FIND = "Where is order 7?"
BURN = "Burn order 7."
BREAK_OFF = "Break off."
REFUSE = "Refuse."
REFUSE_LATE = "Refuse, but take your time."
CUT_SHORT = "Cut it short."
MAP = "Show order 7 on the map."
CANCEL = "Cancel order 7."
ASK_BAKER = "Ask the baker."
ASK_BAKER_IN_VAIN = "Ask the baker, and break off."
TAKE_TIME = "Take your time."

STORY = "Once upon a time there was a süßer Brei 🥣 that would not stop."
FOUND = "Your order 7 is in the oven, it says."
SHOWN = "Then: order 7 is in the oven / shown at the oven"
THOUGHT = "Hmm, let me see."
CONCLUSION = "Forty-two."
HALF = "Half an "
SLOWLY = "Slowly, slowly."

# Of the tool by which a client shows a place.
SHOW_PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
    "additionalProperties": False,
}

# How long a model that takes its time is silent: several keepalives of a server that sends them often.
SILENCE = 0.3


def said_by(body: dict[str, Any], role: str) -> list[str]:
    """Return the texts of one role in a request to the model, in order."""
    return [
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        for message in body["messages"]
        if message["role"] == role and (content := message.get("content"))
    ]


async def perform(call: ModelCall) -> None:
    """Play what the last user's turn asks for."""
    await _SCRIPTS.get(said_by(call.body, "user")[-1], _echo)(call)


async def _echo(call: ModelCall) -> None:
    await call.complete("I heard: " + " / ".join(said_by(call.body, "user")))


async def _tell(call: ModelCall) -> None:
    await call.complete(STORY)


async def _cut_short(call: ModelCall) -> None:
    await call.complete("Once upon", finish_reason="length")


async def _think(call: ModelCall) -> None:
    if call.body.get("stream"):
        await call.start_stream()
        await call.event(chunk({"reasoning_content": "Hmm, "}))
        await call.event(chunk({"reasoning_content": "let me see."}))
        await call.text(CONCLUSION)
        await call.end_stream()
    else:
        message = {"role": "assistant", "content": CONCLUSION, "reasoning_content": THOUGHT}
        await call.respond(200, completion(message))


async def _find(call: ModelCall) -> None:
    if call.body["messages"][-1]["role"] == "tool":
        await call.complete(f"Your {said_by(call.body, 'tool')[-1]}, it says.")
    else:
        await call.call_tool("find_order", {"number": 7})


async def _map(call: ModelCall) -> None:
    """Look the order up and have the client show it, in one breath; then say what came of both."""
    results = said_by(call.body, "tool")
    if results:
        await call.complete("Then: " + " / ".join(sorted(results)))
    else:
        find = ("call_find", "find_order", {"number": 7})
        show = ("call_show", "show_on_map", {"place": "the oven"})
        await call.call_tools(find, show, content="One moment.")


async def _cancel(call: ModelCall) -> None:
    if call.body["messages"][-1]["role"] == "tool":
        await call.complete(f"So: {said_by(call.body, 'tool')[-1]}")
    else:
        await call.call_tool("cancel_order", {"number": 7})


async def bake(call: ModelCall) -> None:
    """Play another agent, of which no more is known than its models."""
    if call.path == "/v1/models":
        await call.respond(200, {"object": "list", "data": [{"id": "baker"}]})
    elif call.path == "/v1/chat/completions":
        await call.complete("It is baked.")
    else:
        await call.respond(404, {"detail": "Not Found"})


async def _ask_baker(call: ModelCall) -> None:
    if call.body["messages"][-1]["role"] == "tool":
        await call.complete(f"The baker says: {said_by(call.body, 'tool')[-1]}")
    else:
        await call.call_tool("delegate_to_baker", {"task": "Bake it."})


async def _ask_baker_in_vain(call: ModelCall) -> None:
    if call.body["messages"][-1]["role"] == "tool" and call.body.get("stream"):
        await _break_off(call)
    elif call.body["messages"][-1]["role"] == "tool":
        await _refuse(call)
    else:
        await _ask_baker(call)


async def _burn(call: ModelCall) -> None:
    await call.call_tool("burn_order", {"number": 7})


async def _break_off(call: ModelCall) -> None:
    await call.start_stream()
    await call.text("Half ")
    await call.text("an ")
    await call.hang_up()


async def _refuse(call: ModelCall) -> None:
    # A status that our own client of the endpoint does not try again: every call that arrives is a run of the agent.
    await call.respond(
        403, {"error": {"message": "key sk-of-the-house is over its budget", "code": "budget"}}
    )


async def _refuse_late(call: ModelCall) -> None:
    await asyncio.sleep(SILENCE)
    await _refuse(call)


async def _take_time(call: ModelCall) -> None:
    await asyncio.sleep(SILENCE)
    await call.start_stream()
    await call.event(chunk({"reasoning_content": THOUGHT}))
    await asyncio.sleep(SILENCE)
    await call.text("Slowly, ")
    await asyncio.sleep(SILENCE)
    await call.text("slowly.")
    await call.end_stream()


_SCRIPTS: dict[str, Script] = {
    TELL: _tell,
    THINK: _think,
    FIND: _find,
    BURN: _burn,
    BREAK_OFF: _break_off,
    REFUSE: _refuse,
    REFUSE_LATE: _refuse_late,
    CUT_SHORT: _cut_short,
    MAP: _map,
    CANCEL: _cancel,
    ASK_BAKER: _ask_baker,
    ASK_BAKER_IN_VAIN: _ask_baker_in_vain,
    TAKE_TIME: _take_time,
}
