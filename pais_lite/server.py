"""`AgentServer`: the ASGI callable. It wires the floors below together and owns their lifetime."""

import hmac
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Self

import anyio
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.toolsets import AbstractToolset

from pais_lite.agent import Agent
from pais_lite.api.access_log import log_request
from pais_lite.api.admission import Admission, InFlight
from pais_lite.api.agent_card import AgentCardRoute
from pais_lite.api.call import Call, Handler
from pais_lite.api.chat_completions import ChatCompletions
from pais_lite.api.console import Console
from pais_lite.api.memory import MemoryRoutes
from pais_lite.api.models import Models
from pais_lite.api.probes import Probes
from pais_lite.api.tools import Tools
from pais_lite.delegation import RemoteAgent
from pais_lite.errors import InvalidCredentials, ServerDraining
from pais_lite.http import (
    BodyBudget,
    ClientDisconnected,
    Reply,
    Request,
    Response,
    Route,
    Router,
    error_response,
)
from pais_lite.http.cors import cors_headers, preflight_headers
from pais_lite.http.types import Receive, Scope, Send
from pais_lite.memory import LocalMemory, Memory, NullMemory, RedisMemory
from pais_lite.memory.base import DEFAULT_OWNER
from pais_lite.settings import ApiKey, Settings
from pais_lite.telemetry import Telemetry

__all__ = ["AgentServer", "serve"]

_log = logging.getLogger("pais_lite.server")

# What anybody may ask without a key: probes, and what an agent says of itself to those who look for one.
_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/.well-known/agent.json", "/.well-known/agent-card.json"})
# How long a stream that the drain ended has for its last frame.
_LAST_FRAME_TIMEOUT = 2.0
# How long a client may go on sending a body that nobody wants, so that it reads the answer rather than a reset.
_UNWANTED_BODY_TIMEOUT = 5.0
# How many bodies of the largest size may be under way together; of those that people send, thousands fit.
_BODIES_AT_ONCE = 16


class AgentServer:
    """One agent behind HTTP, as an ASGI 3 application.

    It runs under any ASGI server whose event loop is asyncio, alone or mounted under a prefix. A host that sends
    lifespan events has its resources closed at shutdown; one that does not may use `lifespan()`.
    """

    def __init__(self, agent: Agent, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.agent = agent
        self.settings = settings
        self.telemetry = telemetry or Telemetry.from_settings(settings, agent.name)
        self._admission = Admission(settings.max_concurrent_runs)
        self._requests = InFlight()
        self._bodies = BodyBudget(_BODIES_AT_ONCE * settings.max_request_bytes)
        self._open_paths = _OPEN_PATHS
        self._router = Router(self._routes())

    @classmethod
    def serving(
        cls,
        agent: PydanticAgent[Any, Any],
        settings: Settings,
        memory: Memory | None = None,
        *,
        sub_agents: Sequence[RemoteAgent] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
    ) -> Self:
        """Make a server for a Pydantic AI agent; what is not given is what the settings ask for."""
        name = settings.agent_name or _usable_name(agent.name)
        memory = memory or _make_memory(name, settings)
        wrapped = Agent.serving(
            agent,
            name=name,
            memory=memory,
            settings=settings,
            sub_agents=sub_agents,
            mcp_servers=mcp_servers,
        )
        return cls(wrapped, settings)

    def _routes(self) -> list[Route[Handler]]:
        agent, settings = self.agent, self.settings
        chat = ChatCompletions(agent, settings, self._admission, self.telemetry)
        models, memory = Models(agent.name), MemoryRoutes(agent.memory)
        card = AgentCardRoute(agent, settings.agent_public_url)
        routes: list[Route[Handler]] = [
            Route("POST", "/v1/chat/completions", chat.create),
            Route("GET", "/v1/models", models.list),
            Route("GET", "/v1/models/{id:path}", models.retrieve),
            Route("GET", "/.well-known/agent.json", card.retrieve),
            Route("GET", "/.well-known/agent-card.json", card.retrieve),
            Route("GET", "/tools", Tools(agent).list),
            Route("GET", "/memory/sessions", memory.list_sessions),
            Route("GET", "/memory/events", memory.list_events),
            Route("DELETE", "/memory/sessions/{id}", memory.delete_session),
        ]
        known = [f"{route.method} {route.path}" for route in routes]
        probes = Probes(agent.name, agent.memory, self._admission, [*known, "GET /health", "GET /ready"])
        front = [Route("GET", "/", probes.index)]
        if settings.console:
            console = Console(probes.index)
            self._open_paths |= console.paths
            front = console.routes()
        return [
            Route("GET", "/health", probes.health),
            Route("GET", "/ready", probes.ready),
            *front,
            *routes,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection: a request, or the host's lifespan."""
        match scope["type"]:
            case "http":
                self._requests.enter()
                self.telemetry.request_begins(scope["method"], scope.get("scheme", "http"))
                try:
                    await self._handle(scope, receive, send)
                finally:
                    self.telemetry.request_ends(scope["method"], scope.get("scheme", "http"))
                    self._requests.leave()
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case kind:
                raise ValueError(f"this application does not speak {kind}")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Close what the server holds open when the block is left, after its runs had `SHUTDOWN_GRACE_SECONDS`.

        A server may live again after that: what it needs is opened anew on first use.
        """
        self._admission.draining = False
        self.agent.open()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.drain()
                await self.agent.close()
                await self.telemetry.aclose()

    async def drain(self, *, linger: float = 0.0) -> None:
        """Refuse new runs, wait up to `SHUTDOWN_GRACE_SECONDS` for those under way, then end them with an error.

        Where `/ready` is asked regularly, whoever asks has up to `linger` seconds to hear that the server leaves:
        until then requests still come, and are better told than met with a closed port. Cancelling it cuts the waiting
        short, not the end: every stream still gets its last frame.
        """
        self._admission.draining = True
        self.telemetry.grace_begins()
        try:
            with anyio.move_on_after(self.settings.shutdown_grace_seconds):
                await self._admission.runs.empty()
                with anyio.move_on_after(linger):
                    await self._admission.readiness.everybody_told()
        finally:
            self.agent.cancel_runs(ServerDraining("the server shut down before the run had its answer"))
            with anyio.move_on_after(_LAST_FRAME_TIMEOUT, shield=True):
                await self._requests.empty()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, self._bodies)
        reply = Reply(send, head_only=request.method == "HEAD")
        began = perf_counter()
        reply.headers.update(cors_headers(request.header("origin"), self.settings.cors_allow_origins))
        try:
            await self._route(request, reply)
        except ClientDisconnected:
            return
        except Exception as exc:  # the outer edge: whatever it was, the client gets an answer
            response = error_response(exc)
            if response.status == 500:
                _log.error("%s %s failed", request.method, request.path, exc_info=exc)
            if reply.started:
                raise
            await _refuse(request, reply, response)
        finally:
            if self.settings.agent_access_log and not reply.is_logged:
                log_request(request, reply, perf_counter() - began)

    async def _route(self, request: Request, reply: Reply) -> None:
        if request.method == "OPTIONS" and self.settings.cors_allow_origins:
            allowed = f"{self._router.allowed(request.path)}, OPTIONS"
            reply.headers.update(preflight_headers(allowed, request.header("access-control-request-headers")))
            await _refuse(request, reply, Response(204))
            return
        owner = DEFAULT_OWNER if request.path in self._open_paths else self._authenticate(request)
        match = self._router.find(request.method, request.path)
        if request.method != "POST" and request.announces_body:
            await _discard_body(request)
        await match.route.handler(Call(request, reply, match.params, owner))

    def _authenticate(self, request: Request) -> str:
        """Return the owner of the request's key. Every key is compared, so that time tells nothing about any."""
        keys: Sequence[ApiKey] = self.settings.agent_api_keys
        if not keys:
            return DEFAULT_OWNER
        scheme, _, given = (request.header("authorization") or "").partition(" ")
        found: str | None = None
        for entry in keys:
            if hmac.compare_digest(entry.key.encode(), given.strip().encode()):
                found = entry.owner
        if found is None or scheme.lower() != "bearer":
            raise InvalidCredentials("a valid key has to come along as `Authorization: Bearer …`")
        return found


async def _refuse(request: Request, reply: Reply, response: Response) -> None:
    """Answer once the body, which nobody wants, has been thrown away.

    Not before, and not beside: with a body still coming, hypercorn takes the end of the answer for the end of the
    exchange, resets an HTTP/1.1 connection under the client that reads the answer, and drops an HTTP/2 connection with
    all its streams; granian stops reading when an answer begins.
    """
    await _discard_body(request)
    await reply.respond(response)


async def _discard_body(request: Request) -> None:
    with anyio.move_on_after(_UNWANTED_BODY_TIMEOUT):
        await request.discard_body()


def serve(
    agent: PydanticAgent[Any, Any],
    *,
    memory: Memory | None = None,
    sub_agents: Sequence[RemoteAgent] | None = None,
    mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
    **overrides: Any,
) -> AgentServer:
    """Wrap a Pydantic AI agent into a server, configured by the environment and, over it, by `overrides`.

    Overrides are the variables in lower case, such as `agent_name="greeter"` or `memory_type="null"`. The agent is
    not changed, so it can be served any number of times. `sub_agents` and `mcp_servers` take the place of those that
    the environment names.

    Raises:
        ConfigurationError: a setting is wrong, or no model can be found.
    """
    settings = Settings.load(**overrides)
    return AgentServer.serving(agent, settings, memory, sub_agents=sub_agents, mcp_servers=mcp_servers)


def _usable_name(name: str | None) -> str:
    """Return the name of a Pydantic AI agent, which can be any text, as one that fits headers, keys and URLs."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-._")[:64] or "agent"


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
