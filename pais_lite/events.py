"""What a run says while it runs. The agent yields these; only the HTTP side turns them into bytes."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pais_lite.errors import PaisError

__all__ = [
    "Failed",
    "Finished",
    "Hop",
    "Progress",
    "RunEvent",
    "TextDelta",
    "ThinkingDelta",
    "Tokens",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallStarted",
    "Usage",
]

FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]
CallKind = Literal["client", "approval"]
ProgressStatus = Literal["started", "running", "completed", "failed"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, as the model made it."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of what the model thought before it answered."""

    text: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One delegation: which agent it went to, and the call of the tool that sent it there."""

    agent: str
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step of a tool call or a delegation. `delta` is the sub-agent's text while `status` is `running`.

    What a sub-agent said of its own steps has the delegations that lead there in `path`, the outermost first. So the
    path and the `call_id` together name one node in the tree of all calls below a run.

    `arguments` come with the start of one of the run's own calls and `result` with its end, as JSON has them; not every
    protocol tells them.
    """

    step: int
    max_steps: int
    action: Literal["tool_call", "delegate"]
    target: str
    call_id: str
    status: ProgressStatus
    duration_ms: int | None = None
    delta: str | None = None
    path: tuple[Hop, ...] = ()
    arguments: Any = None
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    """A call that is handed to the client has begun; its arguments follow as `ToolCallDelta`.

    `index` is its place among the `tool_calls` of the `Finished` that the run is going to end in. With the kind
    `client` the client runs the tool, with `approval` it decides whether the agent may.
    """

    index: int
    call_id: str
    tool: str
    kind: CallKind


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the arguments, which are JSON, of the call at `index`."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that was handed to the client and waits for its answer. `arguments` is the JSON of an object."""

    call_id: str
    tool: str
    arguments: str
    kind: CallKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What model calls cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def plus(self, other: "Tokens") -> "Tokens":
        """Return the sum."""
        return Tokens(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Tokens):
    """Tokens, summed over all model calls of a run, those of the agents that it delegated to included.

    `agents` says which agent used how many of them, and is empty where the run was one agent's alone. The agents' tokens
    are the run's in sum.
    """

    agents: tuple[tuple[str, Tokens], ...] = ()

    def __add__(self, other: "Usage") -> "Usage":
        agents = dict(self.agents)
        for name, tokens in other.agents:
            agents[name] = agents[name].plus(tokens) if name in agents else tokens
        total = self.plus(other)
        return Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cached_tokens=total.cached_tokens,
            reasoning_tokens=total.reasoning_tokens,
            agents=tuple(agents.items()),
        )

    def of(self, agent: str) -> "Usage":
        """Return the same usage as one of `agent`, unless it says itself whose it is."""
        return self if self.agents else replace(self, agents=((agent, self.plus(Tokens())),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run has its answer: `output` is the final text, or, with `structured`, the JSON of a structured output.

    With the finish reason `tool_calls`, it goes on once the client has answered all `tool_calls`; `output` is then the
    text before them, which may be empty. With `is_message`, the agent takes the answer for a word of a conversation
    rather than for the result of a task, which some protocols tell apart.
    """

    output: str
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    tool_calls: tuple[ToolCall, ...] = ()
    structured: bool = False
    is_message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run ended without an answer. The error's message is fit for the caller."""

    error: PaisError
    usage: Usage = field(default_factory=Usage)


RunEvent = TextDelta | ThinkingDelta | ToolCallStarted | ToolCallDelta | Progress | Finished | Failed
