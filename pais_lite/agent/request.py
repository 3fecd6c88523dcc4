"""What one run is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_ai.messages import ModelMessage, TextContent, UserContent
from pydantic_ai.settings import ModelSettings

from pais_lite.memory.base import DEFAULT_OWNER

__all__ = ["Approval", "ClientTool", "OutputFormat", "RunRequest", "ToolChoice", "ToolResult", "text_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTool:
    """A tool that the client runs itself. `parameters` is the JSON schema of its arguments, always of an object."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Which of the client's tools the model may call, and whether it has to; the agent's own stay as they are.

    `names` are the tools that may be called, `None` all of them. With `none`, none may; with `required`, the run ends in
    a call of one of them.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the client answers to one call that was handed to it, by the `call_id` that `ToolCall` had.

    For a call that waits for approval, `content` is the JSON of the decision, as `Approval` has it.
    """

    call_id: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The decision on a call that waits for approval: it runs with the arguments that were shown, or it does not.

    `reason` is what the model is told of a call that was not approved.
    """

    call_id: str
    approved: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What the final answer has to be: a JSON object, with a `schema` one that fits it.

    `schema` has been looked at by `check_schema`. `strict` is passed on to model endpoints that know it.
    """

    schema: Mapping[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A turn to be answered.

    `history` is what the client sent along as the conversation so far; with `None`, the session's own memory is.
    `preceding` are messages that come after that history and before the prompt, and that the session does not know yet.
    `instructions` are added to the agent's for this run. `delegated` marks a turn that another agent handed over.
    With `stream` off, the answer comes as one `Finished` and no deltas, which costs the run less; with `streams_structured`
    off, that goes for a structured output alone, whose deltas would be its JSON.
    `chain` are the agents that handed the turn down, and `timeout` the seconds after which nobody waits for its answer
    any more.

    `client_tools` are offered to the model beside the agent's own; a run that calls one ends in a `Finished` with
    `tool_calls`, and so does a run whose tool waits for approval. A request with `tool_results` or `approvals` goes on
    with that run: it has no `prompt`, and has to answer every call that was handed out. With `history` as `None`, the
    calls are looked up in the session; else `history` ends with the turn of the model that made the calls.
    `output` is the form of the final answer; with `None`, the agent's own.
    `metadata` is what tools and instructions see as `ctx.metadata`, beside the agent's own.
    """

    prompt: str | Sequence[UserContent] = ""
    session_id: str
    owner: str = DEFAULT_OWNER
    history: Sequence[ModelMessage] | None = None
    preceding: Sequence[ModelMessage] = ()
    instructions: str | None = None
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    delegated: bool = False
    stream: bool = True
    streams_structured: bool = True
    chain: tuple[str, ...] = ()
    timeout: float | None = None
    client_tools: Sequence[ClientTool] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    tool_results: Sequence[ToolResult] = ()
    approvals: Sequence[Approval] = ()
    output: OutputFormat | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resumes(self) -> bool:
        """Whether this goes on with a run that handed calls to its client."""
        return bool(self.tool_results or self.approvals)

    @property
    def prompt_text(self) -> str:
        """The turn as memory keeps it."""
        return text_of(self.prompt)


def text_of(content: str | Sequence[UserContent]) -> str:
    """Return a user's turn as text: its own, and the kind of what is not text in brackets."""
    return content if isinstance(content, str) else "\n".join(_as_text(part) for part in content)


def _as_text(part: UserContent) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, TextContent):
        return part.content
    return f"[{part.kind}]"
