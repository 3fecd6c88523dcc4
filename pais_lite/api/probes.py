"""`/health`, `/ready`, and the index at `/`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.errors import MemoryUnavailable
from pais_lite.http import json_response
from pais_lite.memory import Memory
from pais_lite.version import __version__

__all__ = ["Probes"]

# Kubernetes waits one second for a probe unless told otherwise; an answer after that is no answer.
_CHECK_TIMEOUT = 0.8


class Probes:
    """The routes, for the agents whose memories these are, by name."""

    def __init__(self, memories: Mapping[str, Memory], admission: Admission, routes: Sequence[str]) -> None:
        self._memories = memories
        self._admission = admission
        self._routes = routes
        names = list(memories)
        self._who: dict[str, Any] = {"name": names[0]} if len(names) == 1 else {"agents": names}

    async def health(self, call: Call) -> None:
        """Answer that the process answers. Touches nothing else, so it says nothing about anything else."""
        await call.reply.respond(json_response({"status": "healthy", **self._who}))

    async def ready(self, call: Call) -> None:
        """Answer whether a request would find what it needs, with the reason per check."""
        checks = {
            **await self._memory_states(),
            "server": "draining" if self._admission.draining else "ok",
        }
        if call.request.header("x-observer") is None:
            # Who only looks on, as the console does, sends no requests here that would have to be led elsewhere first.
            self._admission.readiness.asked(draining=self._admission.draining)
        ready = all(state == "ok" for state in checks.values())
        answer = {"status": "ready" if ready else "not_ready", **self._who, "checks": checks}
        await call.reply.respond(json_response(answer, status=200 if ready else 503))

    async def index(self, call: Call) -> None:
        """Answer with what this is and where its routes are."""
        index = {**self._who, "version": __version__, "routes": list(self._routes)}
        await call.reply.respond(json_response(index))

    async def _memory_states(self) -> dict[str, str]:
        """Return the state of each agent's memory, asked at once, under the name of the check."""
        if len(self._memories) == 1:
            return {"memory": await _memory_state(next(iter(self._memories.values())))}
        states = await asyncio.gather(*(_memory_state(memory) for memory in self._memories.values()))
        return {f"memory:{name}": state for name, state in zip(self._memories, states, strict=True)}


async def _memory_state(memory: Memory) -> str:
    try:
        with anyio.fail_after(_CHECK_TIMEOUT):
            await memory.check()
    except (MemoryUnavailable, TimeoutError):
        return "unreachable"
    return "ok"
