"""The agent card: what an agent says of itself to those who look for one (A2A, "Agent Card")."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["PROGRESS", "AgentCard", "AgentSkill"]

# The extension by which a card says that updates of a task tell, under this key of their metadata, what tools are doing.
PROGRESS = "urn:pais:progress"

# What a card calls the key that goes along as `Authorization: Bearer`.
_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class AgentSkill:
    """One thing that the agent can do."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ("tool",)

    def to_dict(self) -> dict[str, Any]:
        """Return the skill as JSON has it, in every version."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "tags": list(self.tags),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """What the agent is called, where it is reached, and what it can do.

    With `requires_key`, nobody is answered without one, and who has one may ask for the extended card.
    """

    name: str
    description: str
    url: str
    version: str
    skills: Sequence[AgentSkill] = field(default=())
    extensions: Sequence[str] = ()
    input_modes: Sequence[str] = ("text/plain",)
    output_modes: Sequence[str] = ("text/plain",)
    requires_key: bool = False
    protocol_version: str = "0.3.0"

    def to_dict(self, version: Literal["0.3", "1.0"] = "0.3") -> dict[str, Any]:
        """Return the card as JSON has it, in the shape of that version of A2A."""
        return self._in_0_3() if version == "0.3" else self._in_1_0()

    def _in_0_3(self) -> dict[str, Any]:
        found = {
            "protocolVersion": self.protocol_version,
            "url": self.url,
            "preferredTransport": "JSONRPC",
            "additionalInterfaces": [{"url": self.url, "transport": "JSONRPC"}],
            **self._in_both(),
            "supportsAuthenticatedExtendedCard": self.requires_key,
        }
        found["capabilities"]["stateTransitionHistory"] = False
        if self.requires_key:
            found["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
            found["security"] = [{_SCHEME: []}]
        return found

    def _in_1_0(self) -> dict[str, Any]:
        found = self._in_both()
        found["supportedInterfaces"] = [
            {"url": self.url, "protocolBinding": "JSONRPC", "protocolVersion": version}
            for version in ("1.0", "0.3")
        ]
        found["capabilities"]["extendedAgentCard"] = self.requires_key
        if self.requires_key:
            found["securitySchemes"] = {_SCHEME: {"httpAuthSecurityScheme": {"scheme": "Bearer"}}}
            found["securityRequirements"] = [{"schemes": {_SCHEME: {"list": []}}}]
        return found

    def _in_both(self) -> dict[str, Any]:
        # A card names at least one skill: an agent without tools has itself.
        skills = self.skills or [AgentSkill(self.name, self.name, self.description, ("agent",))]
        return {
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "capabilities": {
                "streaming": True,
                "pushNotifications": False,
                "extensions": [{"uri": uri, "required": False} for uri in self.extensions],
            },
            "defaultInputModes": list(self.input_modes),
            "defaultOutputModes": list(self.output_modes),
            "skills": [skill.to_dict() for skill in skills],
        }
