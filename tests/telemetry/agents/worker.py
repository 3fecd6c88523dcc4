"""An agent with a tool that writes to a log of its own, from its own thread."""

import logging

from pydantic_ai import Agent

agent = Agent(name="worker")
log = logging.getLogger("users.own.tools")


@agent.tool_plain
def look_up(word: str) -> str:
    """Say what a word means."""
    log.info("looking up %s", word)
    return f"{word} is a word"
