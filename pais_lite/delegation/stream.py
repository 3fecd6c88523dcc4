"""The answer of another agent, read from bytes: a stream of chat-completion chunks, or one whole completion.

Pure functions over values. The other side may be any OpenAI-compatible server, so everything is optional, nothing is
believed, and what has the wrong shape is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pais_lite.encoding import maybe_json
from pais_lite.errors import DelegationFailed
from pais_lite.events import Hop, Progress, Tokens, Usage

__all__ = [
    "AnswerEvent",
    "AnswerFailed",
    "AnswerReader",
    "AnswerText",
    "error_code",
    "maybe_plain_word",
    "maybe_progress",
    "read_completion",
    "read_usage",
    "waits_for_somebody",
]

# One event holds a token, or a progress report; only a broken server sends one that is longer than this.
MAX_LINE_BYTES = 1024 * 1024
# A text for a model to read on. Longer ones would not fit into its context.
MAX_ANSWER_CHARACTERS = 1024 * 1024
# What of another agent's words about itself is passed on.
_MAX_NAME = 128
_MAX_PATH = 100

_ACTIONS = ("tool_call", "delegate")
_STATUSES = ("started", "running", "completed", "failed")


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the other agent's text."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """The other agent gave up in the middle; `code` is its word for why, where that is a plain word."""

    code: str | None


AnswerEvent = AnswerText | AnswerFailed | Progress


class AnswerReader:
    """Reads a stream, fed as it comes. Afterwards `text` is the answer, `usage` its price, `ended` whether it is whole.

    Raises:
        DelegationFailed: a line or the answer is longer than any should be.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.ended = False
        # Whether it ended in calls of tools, which nobody here can answer.
        self.waits = False
        self._waiting = b""
        self._pieces: list[str] = []
        self._size = 0

    @property
    def text(self) -> str:
        """The text since the agent's last own step: what it said before it called a tool was no answer yet."""
        return "".join(self._pieces)

    def feed(self, data: bytes) -> list[AnswerEvent]:
        """Take the next bytes, and return what they complete; neighbouring pieces of text come as one."""
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        if len(self._waiting) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in lines):
            raise DelegationFailed("its answer could not be read")
        events: list[AnswerEvent] = []
        for line in lines:
            for event in self._read_line(line):
                last = events[-1] if events else None
                if isinstance(event, AnswerText) and isinstance(last, AnswerText):
                    events[-1] = AnswerText(last.text + event.text)
                else:
                    events.append(event)
        return events

    def _read_line(self, line: bytes) -> list[AnswerEvent]:
        line = line.rstrip(b"\r")
        if not line.startswith(b"data:"):
            return []
        payload = line[5:].strip()
        if payload == b"[DONE]":
            self.ended = True
            return []
        chunk = maybe_json(payload)
        if not isinstance(chunk, Mapping):
            return []
        if chunk.get("error") is not None:
            return [AnswerFailed(_code_of(chunk["error"]))]
        self.usage = _maybe_usage(chunk.get("usage")) or self.usage
        events: list[AnswerEvent] = []
        if (progress := maybe_progress(chunk.get("progress"))) is not None:
            self._take_step(progress, events)
        match chunk.get("choices"):
            case [{"delta": {"content": str() as text}}, *_] if (step := _step_in_text(text)) is not None:
                self._take_step(step, events)
            case [{"delta": {"content": str() as text}}, *_] if text:
                self._size += len(text)
                if self._size > MAX_ANSWER_CHARACTERS:
                    raise DelegationFailed("its answer is too long")
                self._pieces.append(text)
                events.append(AnswerText(text))
            case _:
                pass
        match chunk.get("choices"):
            case [{"finish_reason": str() as reason}, *_]:
                # Some servers send no `[DONE]` after it.
                self.ended, self.waits = True, reason == "tool_calls"
            case _:
                pass
        return events

    def _take_step(self, step: Progress, events: list[AnswerEvent]) -> None:
        if step.status == "started" and not step.path:
            self._pieces.clear()
        events.append(step)


def _step_in_text(text: str) -> Progress | None:
    """Read the progress that `pydantic-ai-server`, which this package follows, sends as if it were text."""
    if not text.startswith('{"type": "progress"'):
        return None
    details = maybe_json(text.encode(errors="replace"))
    return None if details is None else maybe_progress({"status": "started", **details})


def read_completion(data: bytes) -> str:
    """Read the text of an answer that came whole.

    Raises:
        DelegationFailed: it holds no text, or waits for an answer itself.
    """
    match maybe_json(data):
        case {"choices": [{"finish_reason": "tool_calls"}, *_]}:
            raise waits_for_somebody()
        case {"choices": [{"message": {"content": str() as text}}, *_]} if len(text) <= MAX_ANSWER_CHARACTERS:
            return text
        case _:
            raise DelegationFailed("its answer could not be read")


def waits_for_somebody() -> DelegationFailed:
    """Return the failure of a delegation to an agent that cannot go on alone."""
    return DelegationFailed("it waits for an approval, or for a tool's result, that nobody can give it here")


def read_usage(data: bytes) -> Usage:
    """Return the price that an answer or an error tells, nothing where it tells none."""
    answer = maybe_json(data)
    return (_maybe_usage(answer.get("usage")) if isinstance(answer, Mapping) else None) or Usage()


def error_code(data: bytes) -> str | None:
    """Return the code in an error answer, where it is a plain word: its message may be for other eyes."""
    answer = maybe_json(data)
    return _code_of(answer.get("error")) if isinstance(answer, Mapping) else None


def _code_of(error: object) -> str | None:
    return maybe_plain_word(error.get("code")) if isinstance(error, Mapping) else None


def maybe_plain_word(code: object) -> str | None:
    """Return the code of an error where it is a word that a model may read, `None` for anything else."""
    is_word = isinstance(code, str) and len(code) <= 64 and code.isascii() and code.replace("_", "").isalpha()
    return cast("str", code) if is_word else None


def _maybe_usage(usage: object) -> Usage | None:
    total = _maybe_tokens(usage)
    if total is None:
        return None
    agents = _agents(cast("Mapping[str, Any]", usage).get("agents"))
    # Believed as far as it adds up.
    if (total.input_tokens, total.output_tokens) != (
        sum(tokens.input_tokens for _, tokens in agents),
        sum(tokens.output_tokens for _, tokens in agents),
    ):
        agents = ()
    return Usage(
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cached_tokens=total.cached_tokens,
        reasoning_tokens=total.reasoning_tokens,
        agents=agents,
    )


def _agents(entries: object) -> tuple[tuple[str, Tokens], ...]:
    agents: dict[str, Tokens] = {}
    for entry in entries[:_MAX_PATH] if isinstance(entries, list) else ():
        tokens = _maybe_tokens(entry)
        name = entry.get("agent") if isinstance(entry, Mapping) else None
        if tokens is None or not isinstance(name, str) or name in agents:
            return ()
        agents[name[:_MAX_NAME]] = tokens
    return tuple(agents.items())


def _maybe_tokens(usage: object) -> Tokens | None:
    match usage:
        case {"prompt_tokens": int() as prompt, "completion_tokens": int() as completion}:
            details = cast("Mapping[str, Any]", usage)
            return Tokens(
                input_tokens=max(prompt, 0),
                output_tokens=max(completion, 0),
                cached_tokens=_detail(details.get("prompt_tokens_details"), "cached_tokens"),
                reasoning_tokens=_detail(details.get("completion_tokens_details"), "reasoning_tokens"),
            )
        case _:
            return None


def _detail(details: object, name: str) -> int:
    value = details.get(name) if isinstance(details, Mapping) else None
    return max(value, 0) if isinstance(value, int) else 0


def maybe_progress(details: object) -> Progress | None:
    """Read what another agent says of its own steps, `None` where it is something else."""
    match details:
        case {
            "type": "progress",
            "action": str() as action,
            "target": str() as target,
            "status": str() as status,
        } if action in _ACTIONS and status in _STATUSES:
            found = cast("Mapping[str, Any]", details)
        case _:
            return None
    path = _maybe_path(found.get("path", []))
    delta, duration = found.get("delta"), found.get("duration_ms")
    if path is None:
        return None
    return Progress(
        step=_number(found.get("step")),
        max_steps=_number(found.get("max_steps")),
        action=cast("Literal['tool_call', 'delegate']", action),
        target=target[:_MAX_NAME],
        call_id=str(found.get("call_id", ""))[:_MAX_NAME],
        status=cast("Literal['started', 'running', 'completed', 'failed']", status),
        duration_ms=_number(duration) if duration is not None else None,
        delta=delta if isinstance(delta, str) else None,
        path=path,
    )


def _maybe_path(path: object) -> tuple[Hop, ...] | None:
    if not isinstance(path, list) or len(path) > _MAX_PATH:
        return None
    hops: list[Hop] = []
    for hop in path:
        match hop:
            case {"agent": str() as agent, "call_id": str() as call_id}:
                hops.append(Hop(agent[:_MAX_NAME], call_id[:_MAX_NAME]))
            case _:
                return None
    return tuple(hops)


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
