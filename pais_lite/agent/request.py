"""What one run is asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelMessage, TextContent, UserContent
from pydantic_ai.settings import ModelSettings

from pais_lite.memory.base import DEFAULT_OWNER

__all__ = ["RunRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A turn to be answered.

    `history` is what the client sent along as the conversation so far; with `None`, the session's own memory is.
    `instructions` are added to the agent's for this run. `delegated` marks a turn that another agent handed over.
    With `stream` off, the answer comes as one `Finished` and no deltas, which costs the run less.
    `chain` are the agents that handed the turn down, and `timeout` the seconds after which nobody waits for its answer
    any more.
    """

    prompt: str | Sequence[UserContent]
    session_id: str
    owner: str = DEFAULT_OWNER
    history: Sequence[ModelMessage] | None = None
    instructions: str | None = None
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    delegated: bool = False
    stream: bool = True
    chain: tuple[str, ...] = ()
    timeout: float | None = None

    @property
    def prompt_text(self) -> str:
        """The turn as memory keeps it: its text, and the kind of what is not text in brackets."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(_as_text(part) for part in self.prompt)


def _as_text(part: UserContent) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, TextContent):
        return part.content
    return f"[{part.kind}]"
