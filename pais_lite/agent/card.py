"""The agent card: what an agent says of itself to those who look for one (A2A, "Agent Card")."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AgentCard", "AgentSkill"]


@dataclass(frozen=True, slots=True)
class AgentSkill:
    """One thing that the agent can do."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ("tool",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """What the agent is called, where it is reached, and what it can do."""

    name: str
    description: str
    url: str
    version: str
    skills: Sequence[AgentSkill] = field(default=())
    extensions: Sequence[str] = ()
    protocol_version: str = "0.3.0"

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON has it, in the shape of A2A 0.3."""
        return {
            "protocolVersion": self.protocol_version,
            "name": self.name,
            "description": self.description,
            "url": self.url,
            "version": self.version,
            "capabilities": {
                "streaming": True,
                "pushNotifications": False,
                "stateTransitionHistory": False,
                "extensions": [{"uri": uri, "required": False} for uri in self.extensions],
            },
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [
                {
                    "id": skill.id,
                    "name": skill.name,
                    "description": skill.description,
                    "tags": list(skill.tags),
                }
                for skill in self.skills
            ],
        }
