"""One task handed to another agent: the request, what comes back while it works, and what the model is told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from pydantic_ai import CustomEvent, RunContext, ToolReturn

from pais_lite.delegation import chain
from pais_lite.delegation.profile import AgentProfile
from pais_lite.delegation.remote_agent import RemoteAgent
from pais_lite.delegation.stream import (
    MAX_ANSWER_CHARACTERS,
    AnswerFailed,
    AnswerReader,
    AnswerText,
    error_code,
    read_completion,
)
from pais_lite.deps import DelegationScope
from pais_lite.errors import DelegationFailed, DelegationRefused, PeerUnavailable
from pais_lite.events import Progress, Usage
from pais_lite.memory import MemoryEvent
from pais_lite.telemetry import delegation_span, outgoing_headers

__all__ = ["Delegation", "DelegationOutcome", "DelegationUpdate"]

# An answer that comes whole: its text, each character escaped, and what is around it.
_MAX_BODY_BYTES = 8 * MAX_ANSWER_CHARACTERS
_MAX_ERROR_BYTES = 64 * 1024
# Left of the caller's time for its own model to make something of the answer, or of its absence.
_RESERVED_SECONDS = 0.25


@dataclass(kw_only=True)
class DelegationUpdate(CustomEvent, name="pais_lite_delegation_update"):
    """What another agent does while it works: a piece of its text, or a step of its own."""

    delta: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class DelegationOutcome:
    """How a delegation ended, in the `metadata` of the tool's result, which no model sees."""

    failed: bool
    usage: Usage


class Delegation:
    """One delegation of a run. Used once.

    `code` is the other agent's word for its failure, where it gave one.
    """

    def __init__(self, agent: RemoteAgent, profile: AgentProfile, scope: DelegationScope) -> None:
        self.code: str | None = None
        self._agent = agent
        self._profile = profile
        self._scope = scope
        self._reader = AnswerReader()
        self._usage = Usage()

    async def perform(self, task: str, ctx: RunContext[Any]) -> ToolReturn[str]:
        """Hand the task over and return the answer; one that does not come is told to the model as a failure.

        Cancelling it closes the connection, by which the other side knows to stop as well.
        """
        with delegation_span(self._agent.name) as span:
            try:
                text, failed = await self._in_time(task, ctx), False
            except (DelegationFailed, DelegationRefused) as exc:
                text, failed = _failure(self._agent, exc.message), True
                span.fail(exc)
                if isinstance(exc, PeerUnavailable):
                    self._agent.lost()
            usage = self._usage + self._reader.usage
            span.answered(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        return ToolReturn(text, metadata=DelegationOutcome(failed, usage))

    @staticmethod
    def not_tried(agent: RemoteAgent, why: str) -> ToolReturn[str]:
        """Return the failure of a delegation that there is no point in."""
        return ToolReturn(_failure(agent, why), metadata=DelegationOutcome(True, Usage()))

    async def _in_time(self, task: str, ctx: RunContext[Any]) -> str:
        seconds = self._agent.timeout
        if self._scope.deadline is not None:
            remaining = self._scope.deadline - asyncio.get_running_loop().time() - _RESERVED_SECONDS
            seconds = max(0.0, min(seconds, remaining))
        own_chain = (*self._scope.chain, *([self._scope.agent] if self._scope.agent else []))
        chain.check_chain(own_chain, self._profile.calls_itself or "", self._scope.max_depth)
        headers = {
            **outgoing_headers(),
            "x-request-timeout": f"{seconds:.3f}",
            # Whatever its own setting is: nobody is left to read the answer.
            "x-on-disconnect": "cancel",
        }
        if own_chain:
            headers[chain.CHAIN_HEADER] = chain.write_chain(own_chain)
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(task, headers, ctx)
        except TimeoutError as exc:
            raise DelegationFailed(f"it had no answer within {seconds:.3g} seconds") from exc

    async def _ask(self, task: str, headers: dict[str, str], ctx: RunContext[Any]) -> str:
        body: dict[str, Any] = {
            "model": self._profile.model,
            "messages": self._messages(task),
            "stream": self._scope.stream,
        }
        if self._scope.stream:
            body["stream_options"] = {"include_usage": True}
        async with self._agent.post(body, headers) as response:
            if response.status_code != 200:
                self._refused(response.status_code, await _read(response, _MAX_ERROR_BYTES))
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return await self._follow(response, ctx.emit)
            text, self._usage = read_completion(await _read(response, _MAX_BODY_BYTES))
            return text

    async def _follow(
        self, response: httpx2.Response, emit: Callable[[DelegationUpdate], Awaitable[object]]
    ) -> str:
        """Read a stream to its end, and pass on what comes."""
        async for data in response.aiter_bytes():
            for event in self._reader.feed(data):
                match event:
                    case AnswerText(text=text):
                        await emit(DelegationUpdate(delta=text))
                    case Progress():
                        await emit(DelegationUpdate(progress=event))
                    case AnswerFailed(code=code):
                        raise self._failed("it failed while it worked on the task", code)
        if not self._reader.ended:
            raise PeerUnavailable("it broke off in the middle of its answer")
        return self._reader.text

    def _refused(self, status: int, body: bytes) -> None:
        """Raise what a status other than 200 means. The answer's own words may hold anything and stay here."""
        code = error_code(body)
        if status in (401, 403):
            raise DelegationFailed("it refused our key")
        if status == 429 or code == "server_shutdown":
            raise DelegationFailed("it is too busy at the moment")
        raise self._failed(f"it answered with status {status}", code)

    def _failed(self, what: str, code: str | None) -> DelegationFailed:
        self.code = code
        return DelegationFailed(f"{what} ({code})" if code else what)

    def _messages(self, task: str) -> list[dict[str, str]]:
        messages = [self._message(event) for event in self._scope.context]
        return [*messages, {"role": self._delegated_role, "content": task}]

    def _message(self, event: MemoryEvent) -> dict[str, str]:
        roles = {"agent_response": "assistant", "task_delegation_received": self._delegated_role}
        return {"role": roles.get(event.event_type, "user"), "content": str(event.content)}

    @property
    def _delegated_role(self) -> str:
        return "task-delegation" if self._profile.takes_delegations else "user"


async def _read(response: httpx2.Response, limit: int) -> bytes:
    """Return the whole body; raises `DelegationFailed` for one that is longer than any should be."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise DelegationFailed("its answer is too long")
        pieces.append(piece)
    return b"".join(pieces)


def _failure(agent: RemoteAgent, why: str) -> str:
    return f"[Delegation failed: agent {agent.name}: {why}]"
