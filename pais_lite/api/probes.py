"""`/health`, `/ready`, and the index at `/`."""

from collections.abc import Sequence

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
    """The routes, for one agent."""

    def __init__(self, name: str, memory: Memory, admission: Admission, routes: Sequence[str]) -> None:
        self._name = name
        self._memory = memory
        self._admission = admission
        self._routes = routes

    async def health(self, call: Call) -> None:
        """Answer that the process answers. Touches nothing else, so it says nothing about anything else."""
        await call.reply.respond(json_response({"status": "healthy", "name": self._name}))

    async def ready(self, call: Call) -> None:
        """Answer whether a request would find what it needs, with the reason per check."""
        checks = {
            "memory": await self._memory_state(),
            "server": "draining" if self._admission.draining else "ok",
        }
        if call.request.header("x-observer") is None:
            # Who only looks on, as the console does, sends no requests here that would have to be led elsewhere first.
            self._admission.readiness.asked(draining=self._admission.draining)
        ready = all(state == "ok" for state in checks.values())
        answer = {"status": "ready" if ready else "not_ready", "name": self._name, "checks": checks}
        await call.reply.respond(json_response(answer, status=200 if ready else 503))

    async def index(self, call: Call) -> None:
        """Answer with what this is and where its routes are."""
        index = {"name": self._name, "version": __version__, "routes": list(self._routes)}
        await call.reply.respond(json_response(index))

    async def _memory_state(self) -> str:
        try:
            with anyio.fail_after(_CHECK_TIMEOUT):
                await self._memory.check()
        except (MemoryUnavailable, TimeoutError):
            return "unreachable"
        return "ok"
