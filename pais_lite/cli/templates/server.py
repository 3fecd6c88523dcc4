"""The agent: plain Pydantic AI. `pais run` serves it; scripts and tests use it as it is."""

from datetime import date

from pydantic_ai import Agent

agent = Agent(
    name="PROJECT_NAME",
    instructions="You are a helpful assistant. Count days with your tool, never in your head.",
)


@agent.tool_plain
def days_between(first: date, last: date) -> int:
    """Return how many days `last` comes after `first`."""
    return (last - first).days
