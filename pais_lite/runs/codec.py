"""What a run says, as JSON for a store, and back.

An event is a pair: a word for its kind and its fields. Pieces of text, of which there are many, have the text alone. An
error is kept by the name of its class, with its message, code and param. One that this version does not know, since a
newer one wrote it or since somebody derived it, becomes the nearest class that is known, a `RunFailed` at the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pais_lite import errors
from pais_lite.encoding import dump_json, load_json
from pais_lite.errors import PaisError, RunFailed
from pais_lite.events import (
    Failed,
    Finished,
    Hop,
    Progress,
    RunEvent,
    TextDelta,
    ThinkingDelta,
    Tokens,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

__all__ = ["decode_event", "decode_events", "encode_event", "encode_events"]

_ERRORS: Mapping[str, type[PaisError]] = {name: getattr(errors, name) for name in errors.__all__}


def encode_events(events: Sequence[RunEvent]) -> bytes:
    """Return events as one JSON array."""
    return dump_json([_to_json(event) for event in events])


def decode_events(data: bytes) -> list[RunEvent]:
    """Read what `encode_events` wrote; raises `ValueError` for anything else."""
    return [_from_json(value) for value in load_json(data)]


def encode_event(event: RunEvent) -> bytes:
    """Return one event as JSON."""
    return dump_json(_to_json(event))


def decode_event(data: bytes) -> RunEvent:
    """Read what `encode_event` wrote; raises `ValueError` for anything else."""
    return _from_json(load_json(data))


def _to_json(event: RunEvent) -> list[Any]:
    match event:
        case TextDelta(text=text):
            return ["text", text]
        case ThinkingDelta(text=text):
            return ["thinking", text]
        case Progress():
            told = {name: getattr(event, name) for name in _PROGRESS_FIELDS}
            path = [[hop.agent, hop.call_id] for hop in event.path]
            return ["progress", {**told, **({"path": path} if path else {})}]
        case ToolCallStarted():
            return ["call", {name: getattr(event, name) for name in _STARTED_FIELDS}]
        case ToolCallDelta(index=index, arguments=arguments):
            return ["arguments", index, arguments]
        case Finished():
            told = {
                "output": event.output,
                "finish_reason": event.finish_reason,
                "usage": _usage_to_json(event.usage),
            }
            calls = [{name: getattr(call, name) for name in _CALL_FIELDS} for call in event.tool_calls]
            return ["finished", {**told, **({"tool_calls": calls} if calls else {})}]
        case Failed():
            return ["failed", {"error": _error_to_json(event.error), "usage": _usage_to_json(event.usage)}]


def _from_json(value: Any) -> RunEvent:
    match value:
        case ["text", str(text)]:
            return TextDelta(text)
        case ["thinking", str(text)]:
            return ThinkingDelta(text)
        case ["progress", dict(told)]:
            return _progress_from_json(told)
        case ["call", dict(told)]:
            return ToolCallStarted(**{name: told[name] for name in _STARTED_FIELDS})
        case ["arguments", int(index), str(arguments)]:
            return ToolCallDelta(index, arguments)
        case ["finished", {"output": output, "finish_reason": reason, "usage": usage, **others}]:
            waiting: Any = others.get("tool_calls", ())
            calls = [ToolCall(**{name: call[name] for name in _CALL_FIELDS}) for call in waiting]
            return Finished(
                output=output, finish_reason=reason, usage=_usage_from_json(usage), tool_calls=tuple(calls)
            )
        case ["failed", {"error": error, "usage": usage}]:
            return Failed(error=_error_from_json(error), usage=_usage_from_json(usage))
        case _:
            raise ValueError("this is no event of a run")


def _progress_from_json(value: Mapping[str, Any]) -> Progress:
    path = tuple(Hop(agent, call_id) for agent, call_id in value.get("path", ()))
    known = {name: value[name] for name in _PROGRESS_FIELDS if name in value}
    return Progress(**known, path=path)


def _error_to_json(error: PaisError) -> dict[str, str | None]:
    known = next(cls.__name__ for cls in type(error).__mro__ if _ERRORS.get(cls.__name__) is cls)
    return {"class": known, "message": error.message, "code": error.code, "param": error.param}


def _error_from_json(value: Mapping[str, str | None]) -> PaisError:
    cls = _ERRORS.get(value.get("class") or "", RunFailed)
    return cls(value.get("message") or "", code=value.get("code"), param=value.get("param"))


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    agents = [[name, _tokens_to_json(tokens)] for name, tokens in usage.agents]
    return {**_tokens_to_json(usage), **({"agents": agents} if agents else {})}


def _usage_from_json(value: Mapping[str, Any]) -> Usage:
    agents = tuple(
        (str(name), Tokens(**_tokens_from_json(tokens))) for name, tokens in value.get("agents", ())
    )
    return Usage(**_tokens_from_json(value), agents=agents)


def _tokens_to_json(tokens: Tokens) -> dict[str, int]:
    return {name: getattr(tokens, name) for name in _TOKEN_FIELDS}


def _tokens_from_json(value: Mapping[str, Any]) -> dict[str, int]:
    # What a newer version counts besides is of no use here.
    return {name: value.get(name, 0) for name in _TOKEN_FIELDS}


_PROGRESS_FIELDS = tuple(field.name for field in fields(Progress) if field.name != "path")
_STARTED_FIELDS = tuple(field.name for field in fields(ToolCallStarted))
_CALL_FIELDS = tuple(field.name for field in fields(ToolCall))
_TOKEN_FIELDS = tuple(field.name for field in fields(Tokens))
