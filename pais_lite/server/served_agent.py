"""`ServedAgent`: what belongs to one agent behind HTTP. The guards, and when it all ends, are the server's."""

import re
from collections.abc import Sequence
from typing import Any, Self

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.toolsets import AbstractToolset

from pais_lite.agent import Agent, Neighbours
from pais_lite.api.a2a.routes import A2A
from pais_lite.api.admission import Admission
from pais_lite.api.agent_card import AgentCardRoutes, CardMaker
from pais_lite.api.call import Handler
from pais_lite.api.chat_completions import ChatCompletions
from pais_lite.api.memory import MemoryRoutes
from pais_lite.api.models import Models
from pais_lite.api.responses import Responses
from pais_lite.api.tools import Tools
from pais_lite.delegation import SubAgent
from pais_lite.errors import PaisError
from pais_lite.http import Route
from pais_lite.memory import LocalMemory, Memory, NullMemory, RedisMemory
from pais_lite.runs import LocalRuns, RedisRuns, Runs
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["ServedAgent", "usable_name"]


class ServedAgent:
    """One agent with its settings and memory, and the handlers of the routes that speak of it alone."""

    def __init__(self, agent: Agent, settings: Settings) -> None:
        self.agent = agent
        self.settings = settings
        self.runs = _make_runs(agent, settings)

    @classmethod
    def wrapping(
        cls,
        agent: PydanticAgent[Any, Any],
        settings: Settings,
        memory: Memory | None = None,
        *,
        sub_agents: Sequence[SubAgent | str] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
        neighbours: Neighbours | None = None,
    ) -> Self:
        """Wrap a Pydantic AI agent; what is not given is what the settings ask for."""
        name = settings.agent_name or usable_name(agent.name)
        wrapped = Agent.serving(
            agent,
            name=name,
            memory=memory or _make_memory(name, settings),
            settings=settings,
            sub_agents=sub_agents,
            mcp_servers=mcp_servers,
            neighbours=neighbours,
        )
        return cls(wrapped, settings)

    def routes(self, admission: Admission, telemetry: Telemetry, base: str = "") -> list[Route[Handler]]:
        """Return the routes of this agent, for a server that lets runs begin and tells of them in its own way.

        `base` is the path of the server below which the agent says that it is.
        """
        agent, settings = self.agent, self.settings
        chat = ChatCompletions(agent, self.runs, settings, admission, telemetry)
        responses = Responses(agent, self.runs, settings, admission, telemetry)
        models, memory = Models([agent.name]), MemoryRoutes(agent.memory)
        cards = CardMaker(agent, settings, base)
        card = AgentCardRoutes(cards, settings)
        a2a = A2A(agent, self.runs, settings, admission, telemetry, cards)
        return [
            Route("POST", "/v1/chat/completions", chat.create),
            Route("POST", "/v1/responses", responses.create),
            Route("GET", "/v1/responses/{id}", responses.retrieve),
            Route("DELETE", "/v1/responses/{id}", responses.delete),
            Route("POST", "/v1/responses/{id}/cancel", responses.cancel),
            Route("GET", "/v1/responses/{id}/input_items", responses.list_input_items),
            Route("GET", "/v1/models", models.list),
            Route("GET", "/v1/models/{id:path}", models.retrieve),
            Route("POST", "/", a2a.handle),
            Route("GET", "/.well-known/agent.json", card.retrieve_old),
            Route("GET", "/.well-known/agent-card.json", card.retrieve),
            Route("GET", "/tools", Tools(agent).list),
            Route("GET", "/memory/sessions", memory.list_sessions),
            Route("GET", "/memory/events", memory.list_events),
            Route("DELETE", "/memory/sessions/{id}", memory.delete_session),
        ]

    def open(self) -> None:
        """Begin to look for what the agent's tools are at."""
        self.agent.open()
        self.runs.open()

    async def end_runs(self, reason: PaisError) -> None:
        """Cancel every run that is under way, and wait for their ends; `reason` is what their last event will say."""
        await self.agent.end_runs(reason)

    async def close(self) -> None:
        """Close what the agent holds open; what it needs later is opened anew."""
        await self.agent.close()
        await self.runs.aclose()


def usable_name(name: str | None) -> str:
    """Return the name of a Pydantic AI agent, which can be any text, as one that fits headers, keys and URLs."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-._")[:64] or "agent"


def _make_runs(agent: Agent, settings: Settings) -> Runs:
    if isinstance(agent.memory, RedisMemory):
        return RedisRuns(
            agent,
            session_policy=settings.session_policy,
            ttl_minutes=settings.run_ttl_minutes,
            run_timeout=settings.run_timeout,
        )
    return LocalRuns(agent, session_policy=settings.session_policy, ttl_minutes=settings.run_ttl_minutes)


def _make_memory(name: str, settings: Settings) -> Memory:
    if not settings.memory_enabled or settings.memory_type == "null":
        return NullMemory(app_name=name)
    if settings.memory_redis_url is not None and settings.memory_type == "redis":
        return RedisMemory(
            settings.memory_redis_url,
            app_name=name,
            max_sessions=settings.memory_max_sessions,
            max_session_events=settings.memory_max_session_events,
            ttl_hours=settings.memory_ttl_hours,
            retry_seconds=settings.shutdown_grace_seconds,
        )
    return LocalMemory(
        app_name=name,
        max_sessions=settings.memory_max_sessions,
        max_session_events=settings.memory_max_session_events,
        ttl_hours=settings.memory_ttl_hours,
    )
