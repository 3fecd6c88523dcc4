"""`Agent`: a Pydantic AI agent with a memory, a model from the settings, and runs that speak in events."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models import KnownModelName, Model
from pydantic_ai.toolsets import AbstractToolset

from pais_lite.agent.card import PROGRESS, AgentCard, AgentSkill
from pais_lite.agent.driver import RunDriver
from pais_lite.agent.messages import INPUT_MODES, read_conversation
from pais_lite.agent.neighbours import Neighbours
from pais_lite.agent.outputs import OutputTypes
from pais_lite.agent.pause import new_session_id
from pais_lite.agent.remote import RemoteTools
from pais_lite.agent.request import RunRequest
from pais_lite.agent.run import Run
from pais_lite.agent.tools import ToolInspector
from pais_lite.agent.turn import MemoryTurn, Turn
from pais_lite.delegation import TASK_DELEGATION, SubAgent, check_chain
from pais_lite.deps import AgentDeps, DelegationScope
from pais_lite.errors import ConfigurationError, PaisError, ServerDraining
from pais_lite.events import Failed, Finished, RunEvent, TextDelta
from pais_lite.memory import LocalMemory, Memory, NullMemory
from pais_lite.models import resolve_model
from pais_lite.pacing import Spread, Turnstile
from pais_lite.settings import Settings
from pais_lite.version import __version__

__all__ = ["Agent"]

_log = logging.getLogger("pais_lite.agent")

# How long a card waits for a list of tools that nobody has seen yet.
_CARD_PATIENCE = 1.0
# Until a run has asked its model it works for some milliseconds, over so many turns that what one start costs is known
# only when a hundred others have begun.
_STARTS_PER_TURN = 1


class Agent:
    """An agent that remembers. It knows nothing of HTTP; `AgentServer` is one way to reach it.

    The model is `model`, else the mock of `DEBUG_MOCK_RESPONSES`, else `model_name` at `model_api_url`, which may
    come from the environment too. So may its sub-agents and MCP servers, of which each is a toolset or a URL.

    Raises:
        ConfigurationError: a setting is wrong, no model can be found, or two tools have the same name.
    """

    def __init__(
        self,
        name: str,
        model: Model | KnownModelName | str | None = None,
        instructions: str = "You are a helpful agent",
        description: str = "Agent",
        memory: Memory | None = None,
        sub_agents: Sequence[SubAgent] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
        max_steps: int = 5,
        memory_context_limit: int = 6,
        memory_enabled: bool = True,
        model_api_url: str | None = None,
        model_name: str | None = None,
    ) -> None:
        settings = Settings.load(
            agent_name=name,
            agent_description=description,
            agentic_loop_max_steps=max_steps,
            memory_context_limit=memory_context_limit,
            memory_enabled=memory_enabled,
            model_api_url=model_api_url,
            model_name=model_name,
        )
        own = PydanticAgent(name=name, instructions=instructions, deps_type=AgentDeps)
        if memory is None:
            memory = LocalMemory(app_name=name)
        remote = RemoteTools(own, settings, sub_agents, mcp_servers)
        self._set_up(own, name=name, model=model, memory=memory, settings=settings, remote=remote)

    @classmethod
    def serving(
        cls,
        agent: PydanticAgent[Any, Any],
        *,
        name: str,
        memory: Memory,
        settings: Settings,
        sub_agents: Sequence[SubAgent | str] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
        neighbours: Neighbours | None = None,
    ) -> Self:
        """Wrap a user's agent, which is never changed: all that a run needs is given to that run.

        With `neighbours`, it is one of them, and a sub-agent may be another of them, given by name.

        Raises:
            ConfigurationError: no model can be found, the agent's `deps_type` cannot be made, two tools have the
                same name, or a neighbour is not there.
        """
        self = cls.__new__(cls)
        remote = RemoteTools(agent, settings, sub_agents, mcp_servers, neighbours)
        self._set_up(agent, name=name, model=None, memory=memory, settings=settings, remote=remote)
        if neighbours is not None:
            neighbours.move_in(self)
        return self

    def _set_up(
        self,
        agent: PydanticAgent[Any, Any],
        *,
        name: str,
        model: Model | KnownModelName | str | None,
        memory: Memory,
        settings: Settings,
        remote: RemoteTools,
    ) -> None:
        self.name = name
        self.description = _description_of(agent, settings)
        self.memory = memory if settings.memory_enabled else NullMemory(app_name=name)
        self._agent = agent
        self._settings = settings
        self._starts = Turnstile(_STARTS_PER_TURN, most=_STARTS_PER_TURN)
        self._cancels = Spread()
        self._models = resolve_model(model, settings, own_model=agent.model)
        self._deps_type = _deps_type_of(agent)
        self._remote = remote
        self._outputs = OutputTypes(agent)
        inspection = self._deps(
            "inspection", NullMemory(app_name=name), DelegationScope(agent=name, inspecting=True)
        )
        self._inspector = ToolInspector(agent, inspection, remote.toolsets, remote.version)
        self._runs: set[Run] = set()

    @property
    def sub_agents(self) -> Sequence[SubAgent]:
        """The agents that this one may delegate to, reachable or not."""
        return self._remote.sub_agents

    def start(self, request: RunRequest, turn: Turn | None = None) -> Run:
        """Start a run. It goes on until its end or its `cancel`, whoever listens.

        `turn` is its place in the session; without one, it waits for nobody.
        """
        memory = self.memory.for_owner(request.owner)
        place = turn or MemoryTurn(memory, request.session_id)
        latest = None if request.timeout is None else asyncio.get_running_loop().time() + request.timeout
        scope = DelegationScope(
            agent=self.name,
            chain=request.chain,
            max_depth=self._settings.delegation_max_depth,
            stream=request.stream,
        )

        async def work(run: Run) -> Finished | Failed:
            driver = RunDriver(
                agent=self._agent,
                model=self._models.for_run(),
                deps=self._deps(request.session_id, memory, scope),
                toolsets=self._remote.toolsets,
                turn=place,
                request=request,
                max_steps=self._settings.agentic_loop_max_steps,
                context_limit=self._settings.memory_context_limit,
                starts=self._starts,
                run=run,
                outputs=self._outputs,
                own_tools=self._own_tools,
            )
            return await driver.drive()

        run = Run(work, timeout=self._settings.run_timeout, deadline=latest, cancels=self._cancels)
        self._runs.add(run)
        run.add_done_callback(lambda: self._runs.discard(run))
        return run

    def open(self) -> None:
        """Begin to look for sub-agents and to connect to MCP servers, which otherwise the first run does."""
        self._remote.watch()

    def check_chain(self, chain: Sequence[str]) -> None:
        """Return when this agent may work on a task that other agents handed down.

        Raises:
            DelegationRefused: it is one of them, or they are more than `DELEGATION_MAX_DEPTH`.
        """
        check_chain(chain, self.name, self._settings.delegation_max_depth)

    async def run_events(self, request: RunRequest) -> AsyncIterator[RunEvent]:
        """Run, and yield each event as it happens; the last is a `Finished` or a `Failed`.

        The run is cancelled when the iteration is given up.
        """
        run = self.start(request)
        reader = run.log.reader()
        try:
            while True:
                for event in await reader.take():
                    yield event
                    if isinstance(event, Finished | Failed):
                        return
        finally:
            run.cancel()

    async def process_message(
        self,
        message: str | Sequence[Mapping[str, Any]],
        session_id: str | None = None,
        stream: bool = False,
    ) -> AsyncIterator[str]:
        """Answer a message, or the last of an OpenAI-style list of them; yield the answer, in pieces with `stream`.

        With a `session_id`, the session's memory is the history; without one, the list is. The run is cancelled when
        the iteration is given up.

        Raises:
            PaisError: the run failed; the message is fit for whoever asked.
        """
        request = self._read_message(message, session_id, stream)
        async for event in self.run_events(request):
            match event:
                case TextDelta(text=text):
                    yield text
                case Finished(output=output) if not stream:
                    yield output
                case Failed(error=error):
                    raise error
                case _:
                    pass

    async def tool_definitions(self) -> list[dict[str, Any]]:
        """Return the tools that the model sees, each in the shape of the OpenAI API."""
        await self._remote.first_look()
        return [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description or "",
                    "parameters": tool.parameters_json_schema,
                },
            }
            for tool in await self._inspector.tools()
        ]

    async def get_agent_card(self, base_url: str) -> AgentCard:
        """Return the card of this agent, reached at `base_url`; its skills are its tools, as far as they are known."""
        tools = await self._inspector.tools(patience=_CARD_PATIENCE)
        skills = [
            AgentSkill(id=tool.name, name=tool.name, description=tool.description or tool.name)
            for tool in tools
        ]
        return AgentCard(
            name=self.name,
            description=self.description,
            url=base_url,
            version=__version__,
            skills=skills,
            extensions=[TASK_DELEGATION, PROGRESS],
            input_modes=INPUT_MODES,
            output_modes=["text/plain"] if self._outputs.is_text else ["application/json", "text/plain"],
        )

    async def end_runs(self, reason: PaisError) -> None:
        """Cancel every run that is under way, and wait for their ends; `reason` is what their last event will say."""
        running = list(self._runs)
        for run in running:
            run.cancel(reason, at_once=True)
        for run in running:
            await run.ending()

    async def close(self) -> None:
        """End the runs that are under way, and close all connections."""
        await self.end_runs(ServerDraining("the server stopped before the run had its answer"))
        await self._inspector.aclose()
        await self._remote.aclose()
        await self._models.aclose()
        await self.memory.aclose()

    def _read_message(
        self, message: str | Sequence[Mapping[str, Any]], session_id: str | None, stream: bool
    ) -> RunRequest:
        own_session = session_id or new_session_id()
        if isinstance(message, str):
            history = None if session_id else ()
            return RunRequest(prompt=message, session_id=own_session, history=history, stream=stream)
        conversation = read_conversation(message, in_session=session_id is not None)
        return RunRequest(
            prompt=conversation.prompt or "",
            tool_results=conversation.results,
            session_id=own_session,
            history=None if session_id else conversation.history,
            instructions=conversation.instructions,
            delegated=conversation.delegated,
            stream=stream,
        )

    async def _own_tools(self) -> set[str]:
        return {tool.name for tool in await self._inspector.tools()}

    def _deps(self, session_id: str, memory: Memory, scope: DelegationScope) -> AgentDeps:
        deps = self._deps_type(session_id=session_id, memory=memory)
        deps.delegation = scope
        return deps


def _description_of(agent: PydanticAgent[Any, Any], settings: Settings) -> str:
    """Return what the settings say of the agent, or else what it says of itself."""
    own = agent.description
    unset = settings.agent_description == Settings().agent_description
    return own if unset and isinstance(own, str) and own else settings.agent_description


def _deps_type_of(agent: PydanticAgent[Any, Any]) -> type[AgentDeps]:
    """Return the agent's own kind of `AgentDeps`; an agent that declares something else ignores what it is given."""
    declared: Any = agent.deps_type
    if not (isinstance(declared, type) and issubclass(declared, AgentDeps)):
        if declared not in (type(None), object):
            _log.warning(
                "deps_type %r is not an AgentDeps: tools will see an AgentDeps all the same", declared
            )
        return AgentDeps
    try:
        declared(session_id="check", memory=NullMemory())
    except TypeError as exc:
        raise ConfigurationError(
            f"deps_type {declared.__name__}: the fields that it adds to AgentDeps need default values"
        ) from exc
    return declared
