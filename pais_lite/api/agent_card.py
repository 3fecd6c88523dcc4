"""`GET /.well-known/agent.json` and `agent-card.json`: the agent card."""

from pais_lite.agent import Agent
from pais_lite.api.call import Call
from pais_lite.http import json_response

__all__ = ["AgentCardRoute"]


class AgentCardRoute:
    """The route, for one agent. Its URL is `public_url`, or else the one under which the client came."""

    def __init__(self, agent: Agent, public_url: str | None) -> None:
        self._agent = agent
        self._public_url = public_url

    async def retrieve(self, call: Call) -> None:
        """Answer with the card."""
        card = await self._agent.get_agent_card(self._public_url or call.request.base_url)
        await call.reply.respond(json_response(card.to_dict()))
