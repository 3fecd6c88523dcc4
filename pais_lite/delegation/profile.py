"""What is known of another agent: read from its card, or from the list of models of a server that has no card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pais_lite.peers import is_http_url

__all__ = [
    "TASK_DELEGATION",
    "A2AInterface",
    "AgentProfile",
    "Places",
    "find_places",
    "maybe_profile",
    "maybe_profile_of_models",
    "reachable_url",
    "same_origin",
]

# The extension by which a card says that its agent takes the role `task-delegation`.
TASK_DELEGATION = "urn:pais:task-delegation"
# A card becomes part of a prompt: enough to choose by, not enough to fill it.
_MAX_DESCRIPTION = 1000
_MAX_SKILLS = 20
_MAX_SKILL = 200
_OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class A2AInterface:
    """Where an agent takes A2A over JSON-RPC, in which version, and whether it streams."""

    url: str
    version: Literal["0.3", "1.0"]
    streams: bool


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """An agent that can be asked. `model` is what a request to it names; `calls_itself` is its name in a chain.

    With `a2a`, it is asked there and in that way, else by the OpenAI API.
    """

    model: str
    description: str
    calls_itself: str | None = None
    takes_delegations: bool = False
    a2a: A2AInterface | None = None


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
                a2a=_maybe_interface(found),
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


def _maybe_interface(card: Mapping[Any, Any]) -> A2AInterface | None:
    """Return the interface for JSON-RPC that a card names, the newest version first."""
    capabilities = card.get("capabilities")
    streams = isinstance(capabilities, Mapping) and capabilities.get("streaming") is True
    found: dict[Literal["0.3", "1.0"], str] = {}
    for interface in _objects(card.get("supportedInterfaces")):
        match interface:
            case {"protocolBinding": str() as binding, "url": str() as url} if _is_ours(binding, url):
                spoken = str(interface.get("protocolVersion", ""))
                found.setdefault("0.3" if spoken.startswith("0.") else "1.0", url)
            case _:
                continue
    match card:
        case {"preferredTransport": str() as transport, "url": str() as url} if _is_ours(transport, url):
            found.setdefault("0.3", url)
        case _:
            pass
    for interface in _objects(card.get("additionalInterfaces")):
        match interface:
            case {"transport": str() as transport, "url": str() as url} if _is_ours(transport, url):
                found.setdefault("0.3", url)
            case _:
                continue
    version: Literal["0.3", "1.0"]
    for version in ("1.0", "0.3"):
        if version in found:
            return A2AInterface(found[version], version, streams)
    return None


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _is_ours(binding: str, url: str) -> bool:
    return binding.upper() == "JSONRPC" and is_http_url(url)


def reachable_url(url: str, card_url: str) -> str:
    """Return the URL that a card names, with the host and port of the card itself where it names its own machine.

    Such an agent does not know under which name others reach it, and often enough not even its port.
    """
    named, card = urlsplit(url), urlsplit(card_url)
    if named.hostname in _OWN_MACHINE:
        named = named._replace(scheme=card.scheme, netloc=card.netloc)
    return urlunsplit(named)


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs are of the same scheme, host and port."""
    return _origin(url) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
