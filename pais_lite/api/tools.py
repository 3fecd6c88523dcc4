"""`GET /tools`: the tool definitions that the model sees."""

from pais_lite.agent import Agent
from pais_lite.api.call import Call
from pais_lite.http import json_response

__all__ = ["Tools"]


class Tools:
    """The route, for one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def list(self, call: Call) -> None:
        """Answer with the tools in the shape of the OpenAI API."""
        tools = await self._agent.tool_definitions()
        await call.reply.respond(json_response({"agent": self._agent.name, "tools": tools}))
