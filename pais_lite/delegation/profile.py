"""What is known of another agent: read from its card, or from the list of models of a server that has no card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

__all__ = [
    "TASK_DELEGATION",
    "AgentProfile",
    "Places",
    "find_places",
    "maybe_profile",
    "maybe_profile_of_models",
]

# The extension by which a card says that its agent takes the role `task-delegation`.
TASK_DELEGATION = "urn:pais:task-delegation"
# A card becomes part of a prompt: enough to choose by, not enough to fill it.
_MAX_DESCRIPTION = 1000
_MAX_SKILLS = 20
_MAX_SKILL = 200


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """An agent that can be asked. `model` is what a request to it names; `calls_itself` is its name in a chain."""

    model: str
    description: str
    calls_itself: str | None = None
    takes_delegations: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look for a card, in order, and where the OpenAI API is."""

    cards: tuple[str, ...]
    api: str


def find_places(url: str) -> Places:
    """Return the places of an agent that was named by its base URL, the URL of its API, or that of its card."""
    parts = urlsplit(url.strip())
    path = parts.path.rstrip("/")
    base, well_known, card = path.partition("/.well-known/")
    base = base.rstrip("/").removesuffix("/v1")

    def place(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    names = (card,) if well_known else ("agent-card.json", "agent.json")
    return Places(tuple(place(f"{base}/.well-known/{name}") for name in names), place(f"{base}/v1"))


def maybe_profile(card: object) -> AgentProfile | None:
    """Read a card, of A2A 0.3 or 1.0; `None` for anything else."""
    match card:
        case {"name": str() as name, "description": str() as description, **found} if name:
            return AgentProfile(
                model=name,
                description=_described(description, found.get("skills")),
                calls_itself=name,
                takes_delegations=_takes_delegations(found.get("capabilities")),
            )
        case _:
            return None


def maybe_profile_of_models(models: object, name: str) -> AgentProfile | None:
    """Read the answer of `GET /v1/models`: the model called `name`, else the first."""
    match models:
        case {"data": [*entries]}:
            ids = [str(e["id"]) for e in entries if isinstance(e, Mapping) and isinstance(e.get("id"), str)]
        case _:
            return None
    if not ids:
        return None
    return AgentProfile(model=name if name in ids else ids[0], description="")


def _described(description: str, skills: object) -> str:
    text = _short(description, _MAX_DESCRIPTION)
    lines: list[str] = []
    for skill in skills if isinstance(skills, list) else []:
        match skill:
            case {"name": str() as name, "description": str() as what}:
                lines.append(f"- {_short(name, _MAX_SKILL)}: {_short(what, _MAX_SKILL)}")
            case {"name": str() as name}:
                lines.append(f"- {_short(name, _MAX_SKILL)}")
            case _:
                continue
    if lines:
        text += "\nIt can use:\n" + "\n".join(lines[:_MAX_SKILLS])
    return text


def _short(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _takes_delegations(capabilities: object) -> bool:
    extensions: Any = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
    return isinstance(extensions, list) and any(
        isinstance(extension, Mapping) and extension.get("uri") == TASK_DELEGATION for extension in extensions
    )
