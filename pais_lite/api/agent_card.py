"""`GET /.well-known/agent.json` and `agent-card.json`: the agent card.

Those who look for the one do not know newer versions of A2A than 0.3; the shape of the other is a setting, since nobody who
asks for it says which version they speak, and neither version's readers take the other's fields.
"""

from collections import OrderedDict
from dataclasses import replace
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import urlsplit

from pais_lite.agent import Agent
from pais_lite.api.call import Call
from pais_lite.http import Request, Response, json_response
from pais_lite.http.negotiation import entity_tag, is_current
from pais_lite.settings import Settings

__all__ = ["AgentCardRoutes", "CardMaker"]

# Those who look for agents do so now and then; what they have missed for a minute, they have not missed much of.
_MAX_AGE = 60
# Cards differ by the URL under which they were asked for, which is the client's to choose.
_MAX_VERSIONS = 100


class CardMaker:
    """Makes the card of one agent, whose URL is `AGENT_PUBLIC_URL`, or else where the client came, and then `base`."""

    def __init__(self, agent: Agent, settings: Settings, base: str = "") -> None:
        self._agent = agent
        self._settings = settings
        self._base = base

    async def card(self, request: Request, version: Literal["0.3", "1.0"]) -> dict[str, Any]:
        """Return the card for whoever asks."""
        url = (self._settings.agent_public_url or request.base_url) + self._base
        if not self._base and urlsplit(url).path:
            # Whoever serves an application below a prefix redirects what is sent to the prefix itself, without the slash, and
            # clients of A2A do not follow.
            url += "/"
        card = await self._agent.get_agent_card(url)
        card = replace(card, requires_key=bool(self._settings.agent_api_keys))
        return card.to_dict(version)


class AgentCardRoutes:
    """The routes, for one agent."""

    def __init__(self, cards: CardMaker, settings: Settings) -> None:
        self._cards = cards
        self._version = settings.a2a_card_version
        # When each version of the card was first given out, by its tag.
        self._versions: OrderedDict[str, str] = OrderedDict()

    async def retrieve(self, call: Call) -> None:
        """Answer with the card in the shape that the settings ask for."""
        await self._answer(call, self._version)

    async def retrieve_old(self, call: Call) -> None:
        """Answer with the card in the shape of 0.3."""
        await self._answer(call, "0.3")

    async def _answer(self, call: Call, version: Literal["0.3", "1.0"]) -> None:
        """Answer with the card, or that the one which the client has is still true.

        Only its tag says so: when a card was first given out is not the same on all replicas, so `If-Modified-Since` is not
        asked.
        """
        response = json_response(await self._cards.card(call.request, version))
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
