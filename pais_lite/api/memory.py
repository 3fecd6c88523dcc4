"""`/memory/…`: what is remembered, for its owner to see and to forget."""

from typing import Any

from pais_lite.agent.pause import PAUSE_KEY
from pais_lite.api.call import Call
from pais_lite.errors import NotFound
from pais_lite.http import json_response
from pais_lite.memory import Memory, MemoryEvent

__all__ = ["MemoryRoutes"]

_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000


class MemoryRoutes:
    """The routes, for the memory of one agent. A caller sees what belongs to him and nothing else."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def list_sessions(self, call: Call) -> None:
        """Answer with a page of sessions, the latest updated first."""
        memory = self._memory.for_owner(call.owner)
        limit = call.limit(default=_DEFAULT_LIMIT, cap=_MAX_LIMIT)
        if call.request.query.get("user_id", call.owner) != call.owner:
            page, next_cursor = [], None
        else:
            found = await memory.list_sessions(limit, call.request.query.get("cursor"))
            page, next_cursor = [session.to_dict() for session in found.sessions], found.next_cursor
        await call.reply.respond(
            json_response({"agent": memory.app_name, "sessions": page, "next_cursor": next_cursor})
        )

    async def list_events(self, call: Call) -> None:
        """Answer with the newest events, oldest first: of the session that the query names, or of all."""
        memory = self._memory.for_owner(call.owner)
        limit = call.limit(default=_DEFAULT_LIMIT, cap=_MAX_LIMIT)
        session_id = call.request.query.get("session_id")
        if session_id is None:
            events = await memory.recent_events(limit)
        else:
            events = await memory.get_events(session_id, limit)
        await call.reply.respond(
            json_response(
                {
                    "agent": memory.app_name,
                    "session_id": session_id,
                    "events": [_shown(event) for event in events],
                    "total": len(events),
                }
            )
        )

    async def delete_session(self, call: Call) -> None:
        """Forget a session; raises `NotFound` where there is none."""
        session_id = call.params["id"]
        if not await self._memory.for_owner(call.owner).delete_session(session_id):
            raise NotFound("there is no such session", code="session_not_found", param="session_id")
        await call.reply.respond(json_response({"session_id": session_id, "deleted": True}))


def _shown(event: MemoryEvent) -> dict[str, Any]:
    """Return an event as it is shown, without what a run needs to go on: the agent's system prompt is in that."""
    shown = event.to_dict()
    shown["metadata"].pop(PAUSE_KEY, None)
    return shown
