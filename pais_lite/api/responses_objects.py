"""The JSON objects of the Responses API: a response, and lists of what it was asked with.

A response is a pure function of the record of its run and of what the run said. So runs that began in another protocol
can be looked at as responses too; only what those were asked with is not told.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from pais_lite.api.usage import failure_with_usage, usage_object
from pais_lite.errors import InvalidRequest, PaisError
from pais_lite.events import Failed, Finished, Tokens
from pais_lite.http import Response, error_body
from pais_lite.runs import RunRecord, RunStatus

__all__ = ["details_of", "failure_response", "is_background", "item_id", "item_page", "response_object"]

# What the agent calls by the names of the chat protocol.
_PARAMS = {"messages": "input", "response_format": "text.format"}
_INCOMPLETE_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def details_of(record: RunRecord) -> Mapping[str, Any]:
    """Return what this protocol keeps with a run, which is nothing for the runs of others."""
    return record.details if record.protocol == "responses" else {}


def is_background(record: RunRecord) -> bool:
    """Return whether a run was begun as a response in the background."""
    return bool(details_of(record).get("background", False))


def item_id(kind: str, run_id: str, place: int) -> str:
    """Return the id of an item, which every reader of the run is told alike."""
    return f"{kind}_{run_id.removeprefix('resp_')}_{place}"


def response_object(
    record: RunRecord,
    status: RunStatus,
    *,
    output: Sequence[Mapping[str, Any]] = (),
    ending: Finished | Failed | None = None,
) -> dict[str, Any]:
    """Return the response as it is at one moment of its run."""
    details = details_of(record)
    asked = details.get("asked", {})
    model = record.details.get("model")
    incomplete = None
    if status == "incomplete" and isinstance(ending, Finished):
        incomplete = {"reason": _INCOMPLETE_REASONS.get(ending.finish_reason, ending.finish_reason)}
    return {
        "id": record.run_id,
        "object": "response",
        "created_at": int(record.created_at.timestamp()),
        "status": status,
        "background": is_background(record),
        "error": _error_object(ending) if isinstance(ending, Failed) else None,
        "incomplete_details": incomplete,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": model if isinstance(model, str) else record.agent,
        "output": list(output),
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        # Every run is a turn of a session; this is the name by which a client goes on with it.
        "conversation": {"id": record.session_id},
        "reasoning": {"effort": None, "summary": None, **asked.get("reasoning", {})},
        "service_tier": asked.get("service_tier", "default"),
        "store": details.get("store", True),
        "temperature": asked.get("temperature"),
        "text": {"format": {"type": "text"}, **asked.get("text", {})},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_p": asked.get("top_p"),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None if ending is None else usage_object(ending.usage, _tokens_object),
        "user": asked.get("user"),
        "metadata": asked.get("metadata", {}),
    }


def failure_response(failed: Failed) -> Response:
    """Return the answer of a run that failed before anything was told; what it used is beside the error."""
    return failure_with_usage(_renamed(failed.error), failed.usage, _tokens_object)


def item_page(record: RunRecord, *, limit: int, descending: bool, after: str | None) -> dict[str, Any]:
    """Return a page of the items that a response was asked with.

    Raises:
        InvalidRequest: none of them has the id `after`.
    """
    stored = details_of(record).get("input", [])
    items = [{"id": item_id("in", record.run_id, place), **item} for place, item in enumerate(stored)]
    if descending:
        items.reverse()
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise InvalidRequest("after is none of the ids of these items", param="after")
        items = items[ids.index(after) + 1 :]
    page = items[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > limit,
    }


def _error_object(failed: Failed) -> dict[str, Any]:
    """Return an error, by the same words as the envelope of an HTTP error has them."""
    error = error_body(_renamed(failed.error))["error"]
    return {
        "code": error["code"] or "server_error",
        "message": error["message"],
        "param": error["param"],
        "type": error["type"],
    }


def _renamed(error: PaisError) -> PaisError:
    """Return an error of a field that has another name in this protocol, by that name."""
    name = _PARAMS.get(error.param or "")
    if name is None:
        return error
    renamed = copy(error)
    renamed.param = name
    renamed.message = error.message.replace(f"{error.param}:", f"{name}:", 1)
    return renamed


def _tokens_object(usage: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        # Endpoints do not tell of tokens written to a cache; the clients have a field for them all the same.
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
