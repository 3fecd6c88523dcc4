"""`AgentServer`: the ASGI callable. It wires the floors below together and owns their lifetime."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Self

import anyio
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.toolsets import AbstractToolset

from pais_lite.agent import Agent, Neighbours
from pais_lite.api.access_log import log_request
from pais_lite.api.admission import Admission, InFlight
from pais_lite.api.call import Call
from pais_lite.delegation import SubAgent
from pais_lite.errors import ServerDraining
from pais_lite.http import (
    BodyBudget,
    ClientDisconnected,
    Reply,
    Request,
    Response,
    Router,
    error_response,
)
from pais_lite.http.cors import cors_headers, preflight_headers
from pais_lite.http.types import Receive, Scope, Send
from pais_lite.memory import Memory
from pais_lite.memory.base import DEFAULT_OWNER
from pais_lite.server.guards import authenticate, discard_body, refuse
from pais_lite.server.routes import all_routes, open_paths
from pais_lite.server.served_agent import ServedAgent
from pais_lite.server.several import SettingsOfSeveral, each_of
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["AgentServer", "serve"]

_log = logging.getLogger("pais_lite.server")

# What traces call the service when it is several agents.
_SERVICE = "agents"
# How long runs that the drain cancels have to end, which takes milliseconds unless they have said very much or memory is
# away, and then how long a stream has for its last frame.
_LAST_WORDS_TIMEOUT = 10.0
_LAST_FRAME_TIMEOUT = 2.0
# How many bodies of the largest size may be under way together; of those that people send, thousands fit.
_BODIES_AT_ONCE = 16


class AgentServer:
    """One agent behind HTTP, or several, as an ASGI 3 application.

    It runs under any ASGI server whose event loop is asyncio, alone or mounted under a prefix. A host that sends
    lifespan events has its resources closed at shutdown; one that does not may use `lifespan()`. `served` is what belongs
    to each agent; guards, limits, telemetry and lifetime are common to all.
    """

    def __init__(
        self,
        agent: Agent | Sequence[ServedAgent],
        settings: Settings,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.served = [ServedAgent(agent, settings)] if isinstance(agent, Agent) else list(agent)
        self.settings = settings
        self.telemetry = telemetry or Telemetry.from_settings(settings, self.agent.name)
        self._admission = Admission(settings.max_concurrent_runs)
        self._requests = InFlight()
        self._bodies = BodyBudget(_BODIES_AT_ONCE * settings.max_request_bytes)
        self._router = Router(all_routes(self.served, self._admission, self.telemetry, settings))
        self._open_paths = open_paths(self.served, settings)

    @classmethod
    def serving(
        cls,
        agent: PydanticAgent[Any, Any],
        settings: Settings,
        memory: Memory | None = None,
        *,
        sub_agents: Sequence[SubAgent] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
    ) -> Self:
        """Make a server for a Pydantic AI agent; what is not given is what the settings ask for."""
        served = ServedAgent.wrapping(agent, settings, memory, sub_agents=sub_agents, mcp_servers=mcp_servers)
        return cls([served], settings)

    @classmethod
    def serving_several(
        cls,
        agents: Mapping[str, PydanticAgent[Any, Any]],
        settings: SettingsOfSeveral,
        memory: Mapping[str, Memory] | None = None,
        *,
        sub_agents: Mapping[str, Sequence[SubAgent | str]] | None = None,
        mcp_servers: Mapping[str, Sequence[AbstractToolset[Any] | str]] | None = None,
        telemetry: Telemetry | None = None,
    ) -> Self:
        """Make a server for Pydantic AI agents by their names; what is not given is what the settings ask for.

        A sub-agent that is given as a name is another of the agents.
        """
        memories = each_of(agents, "memory", memory)
        theirs = each_of(agents, "sub_agents", sub_agents)
        tools = each_of(agents, "mcp_servers", mcp_servers)
        neighbours = Neighbours(list(agents))
        served = [
            ServedAgent.wrapping(
                agent,
                settings.each[name],
                memories.get(name),
                sub_agents=theirs.get(name),
                mcp_servers=tools.get(name),
                neighbours=neighbours,
            )
            for name, agent in agents.items()
        ]
        service = next(iter(agents)) if len(agents) == 1 else _SERVICE
        neighbours.telemetry = telemetry or Telemetry.from_settings(settings.server, service)
        return cls(served, settings.server, neighbours.telemetry)

    @property
    def agent(self) -> Agent:
        """The agent that is served; of several, the first."""
        return self.served[0].agent

    @property
    def agents(self) -> Mapping[str, Agent]:
        """All agents that are served, by name."""
        return {served.agent.name: served.agent for served in self.served}

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
        self._admission.begin_anew()
        for served in self.served:
            served.open()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.drain()
                for served in self.served:
                    await served.close()
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
            reason = ServerDraining("the server shut down before the run had its answer")
            with anyio.move_on_after(_LAST_WORDS_TIMEOUT, shield=True):
                async with anyio.create_task_group() as ending:
                    for served in self.served:
                        ending.start_soon(served.end_runs, reason)
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
            request.check_size()
            await self._route(request, reply)
        except ClientDisconnected:
            return
        except Exception as exc:  # the outer edge: whatever it was, the client gets an answer
            response = error_response(exc)
            if response.status == 500:
                _log.error("%s %s failed", request.method, request.path, exc_info=exc)
            if reply.started:
                raise
            await refuse(request, reply, response)
        finally:
            if self.settings.agent_access_log and not reply.is_logged:
                log_request(request, reply, perf_counter() - began)

    async def _route(self, request: Request, reply: Reply) -> None:
        if request.method == "OPTIONS" and self.settings.cors_allow_origins:
            allowed = f"{self._router.allowed(request.path)}, OPTIONS"
            reply.headers.update(preflight_headers(allowed, request.header("access-control-request-headers")))
            await refuse(request, reply, Response(204))
            return
        keys = self.settings.agent_api_keys
        is_open = request.path in self._open_paths
        # Elsewhere, who has no key is not told what there is.
        owner = DEFAULT_OWNER if is_open else authenticate(request, keys)
        match = self._router.find(request.method, request.path)
        if is_open and request.method == "POST":
            # What begins something is not open, and A2A is at the path of the index.
            owner = authenticate(request, keys)
        if request.method != "POST" and request.announces_body:
            await discard_body(request)
        await match.route.handler(Call(request, reply, match.params, owner, match.route.path))


def serve(
    agent: PydanticAgent[Any, Any] | Mapping[str, PydanticAgent[Any, Any]],
    *,
    memory: Memory | Mapping[str, Memory] | None = None,
    sub_agents: Sequence[SubAgent] | Mapping[str, Sequence[SubAgent | str]] | None = None,
    mcp_servers: Sequence[AbstractToolset[Any] | str]
    | Mapping[str, Sequence[AbstractToolset[Any] | str]]
    | None = None,
    **overrides: Any,
) -> AgentServer:
    """Wrap a Pydantic AI agent into a server, configured by the environment and, over it, by `overrides`.

    Overrides are the variables in lower case, such as `agent_name="greeter"` or `memory_type="null"`. The agent is
    not changed, so it can be served any number of times. `sub_agents` and `mcp_servers` take the place of those that
    the environment names.

    A mapping of names to agents serves them all. Then `memory`, `sub_agents` and `mcp_servers` are mappings from these
    names, a sub-agent may be given by name alone, and an override of one agent has its name in front:
    `writer__model_name="…"`.

    Raises:
        ConfigurationError: a setting is wrong, or no model can be found.
    """
    # Which of the two kinds the arguments have to be, `each_of` finds out.
    given: dict[str, Any] = {"memory": memory, "sub_agents": sub_agents, "mcp_servers": mcp_servers}
    if isinstance(agent, Mapping):
        return AgentServer.serving_several(agent, SettingsOfSeveral.load(list(agent), **overrides), **given)
    return AgentServer.serving(agent, Settings.load(**overrides), **given)
