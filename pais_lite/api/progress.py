"""A step of a tool call or a delegation, as every protocol shows it to those who look for it."""

from typing import Any

from pais_lite.events import Progress

__all__ = ["progress_object"]


def progress_object(event: Progress) -> dict[str, Any]:
    """Return the object that goes into the `progress` field of a chunk or an event."""
    details: dict[str, Any] = {
        "type": "progress",
        "step": event.step,
        "max_steps": event.max_steps,
        "action": event.action,
        "target": event.target,
        "call_id": event.call_id,
        "status": event.status,
    }
    if event.duration_ms is not None:
        details["duration_ms"] = event.duration_ms
    if event.delta is not None:
        details["delta"] = event.delta
    if event.path:
        details["path"] = [{"agent": hop.agent, "call_id": hop.call_id} for hop in event.path]
    return details
