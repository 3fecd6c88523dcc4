"""The calls that a run hands to its client: told while the model writes them, and complete when the run pauses."""

from collections.abc import Awaitable, Callable, Collection

from pydantic_ai import DeferredToolRequests
from pydantic_ai.messages import (
    AgentStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    ToolCallPart,
    ToolCallPartDelta,
)

from pais_lite.agent.pause import new_call_id
from pais_lite.encoding import dump_json
from pais_lite.errors import ModelMisbehaved
from pais_lite.events import CallKind, RunEvent, ToolCall, ToolCallDelta, ToolCallStarted

__all__ = ["Handover"]


class Handover:
    """The handed-out calls of one run, in the order in which they are told.

    With `live`, calls of the client's tools are told piece by piece. Without, all are told at the pause: where an answer
    may be a tool's too, the model can call one of the client's and give its answer in the same breath, and then the
    call is void. Without `emit`, nobody is told before the end of the run, which names them all.
    """

    def __init__(
        self,
        client_tools: Collection[str],
        *,
        session_id: str,
        live: bool,
        emit: Callable[[RunEvent], Awaitable[None]] | None,
    ) -> None:
        self._client_tools = client_tools
        self._session_id = session_id
        # Whether there may be something to tell before the pause, for which `on_model_event` is called then.
        self.listens = live and bool(client_tools)
        self._emit = emit
        # By the model's ids of the calls: ours, and how much of the arguments has been told.
        self.call_ids: dict[str, str] = {}
        self._told: dict[str, str] = {}
        # By the place of the part in the model's answer: the model's id of the call.
        self._parts: dict[int, str] = {}

    def is_for_client(self, tool: str) -> bool:
        """Return whether a tool is the client's to run."""
        return tool in self._client_tools

    async def on_model_event(self, event: AgentStreamEvent) -> None:
        """Tell what a piece of the model's answer adds to a call of the client's tools, if anything."""
        match event:
            case PartStartEvent(index=part, part=ToolCallPart() as call) if self.is_for_client(
                call.tool_name
            ):
                self._parts[part] = call.tool_call_id
                await self._begin(call, "client")
                if isinstance(call.args, str):
                    await self._tell(call.tool_call_id, call.args)
            case PartStartEvent(index=part):
                self._parts.pop(part, None)
            case PartDeltaEvent(index=part, delta=ToolCallPartDelta(args_delta=str() as arguments)) if (
                part in self._parts
            ):
                await self._tell(self._parts[part], arguments)
            case _:
                pass

    async def finish(self, requests: DeferredToolRequests) -> tuple[ToolCall, ...]:
        """Tell what is left to tell of the calls that wait, and return them.

        Raises:
            ModelMisbehaved: arguments are not a JSON object.
        """
        kinds: list[tuple[ToolCallPart, CallKind]] = [
            *((call, "client") for call in requests.calls),
            *((call, "approval") for call in requests.approvals),
        ]
        waiting: dict[str, ToolCall] = {}
        for call, kind in kinds:
            arguments = _arguments(call)
            if call.tool_call_id not in self.call_ids:
                await self._begin(call, kind)
            await self._tell(call.tool_call_id, arguments[len(self._told[call.tool_call_id]) :])
            waiting[call.tool_call_id] = ToolCall(
                call_id=self.call_ids[call.tool_call_id],
                tool=call.tool_name,
                arguments=arguments,
                kind=kind,
            )
        return tuple(waiting[call_id] for call_id in self.call_ids if call_id in waiting)

    async def _begin(self, call: ToolCallPart, kind: CallKind) -> None:
        own_id = new_call_id(self._session_id)
        index = len(self.call_ids)
        self.call_ids[call.tool_call_id] = own_id
        self._told[call.tool_call_id] = ""
        if self._emit is not None:
            await self._emit(ToolCallStarted(index=index, call_id=own_id, tool=call.tool_name, kind=kind))

    async def _tell(self, call_id: str, arguments: str) -> None:
        if arguments and self._emit is not None:
            index = list(self.call_ids).index(call_id)
            self._told[call_id] += arguments
            await self._emit(ToolCallDelta(index, arguments))


def _arguments(call: ToolCallPart) -> str:
    """Return the arguments in the model's own words, as which they may have been told already."""
    try:
        arguments = call.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError) as exc:
        raise ModelMisbehaved(
            f"the model's arguments for the tool {call.tool_name!r} are not a JSON object"
        ) from exc
    return call.args if isinstance(call.args, str) and call.args else dump_json(arguments).decode()
