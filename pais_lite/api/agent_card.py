"""`GET /.well-known/agent.json` and `agent-card.json`: the agent card."""

from collections import OrderedDict
from email.utils import formatdate

from pais_lite.agent import Agent
from pais_lite.api.call import Call
from pais_lite.http import Response, json_response
from pais_lite.http.negotiation import entity_tag, is_current

__all__ = ["AgentCardRoute"]

# Those who look for agents do so now and then; what they have missed for a minute, they have not missed much of.
_MAX_AGE = 60
# Cards differ by the URL under which they were asked for, which is the client's to choose.
_MAX_VERSIONS = 100


class AgentCardRoute:
    """The route, for one agent. Its URL is `public_url`, or else the one under which the client came, and then `base`."""

    def __init__(self, agent: Agent, public_url: str | None, base: str = "") -> None:
        self._agent = agent
        self._public_url = public_url
        self._base = base
        # When each version of the card was first given out, by its tag.
        self._versions: OrderedDict[str, str] = OrderedDict()

    async def retrieve(self, call: Call) -> None:
        """Answer with the card, or that the one which the client has is still true."""
        server = self._public_url or call.request.base_url
        card = await self._agent.get_agent_card(f"{server}{self._base}")
        response = json_response(card.to_dict())
        tag = entity_tag(response.body)
        if is_current(call.request.header("if-none-match"), tag):
            response = Response(304)
        call.reply.headers.update(
            {"cache-control": f"public, max-age={_MAX_AGE}", "etag": tag, "last-modified": self._since(tag)}
        )
        await call.reply.respond(response)

    def _since(self, tag: str) -> str:
        since = self._versions.setdefault(tag, formatdate(usegmt=True))
        self._versions.move_to_end(tag)
        while len(self._versions) > _MAX_VERSIONS:
            self._versions.popitem(last=False)
        return since
