"""`pais check`: whether what a server needs is there, one line for each thing."""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import anyio
import httpx2

from pais_lite.agent import Agent
from pais_lite.cli.discovery import make_server
from pais_lite.delegation import RemoteAgent, SubAgent
from pais_lite.errors import ConfigurationError, MemoryUnavailable, PeerUnavailable
from pais_lite.server import AgentServer, ServedAgent
from pais_lite.settings import Settings

__all__ = ["check"]

_TIMEOUT = 10.0
# So many models are named to whoever asked for one that is not there.
_NAMED_MODELS = 8


class _Problem(Exception):
    """What a check found wrong, in words for whoever has to put it right."""


def check(arguments: argparse.Namespace) -> int:
    """Print one line per check, those of each agent below its name; return 0 when all is well, else 1."""
    logger = logging.getLogger("pais_lite")
    level = logger.level
    # Lines of the log would come between those of the checks.
    logger.setLevel(logging.CRITICAL)
    try:
        return _check_all(arguments.targets)
    finally:
        logger.setLevel(level)


def _check_all(targets: Sequence[str]) -> int:
    try:
        settings = Settings.load(agents=None if len(targets) > 1 else ())
    except ConfigurationError as exc:
        _say("settings", ok=False, text=exc.message)
        return 1
    _say("settings", ok=True, text="nothing contradicts itself")
    try:
        server = make_server(targets, settings)
    except ConfigurationError as exc:
        _say("agent", ok=False, text=exc.message)
        return 1
    return asyncio.run(_check_dependencies(server))


async def _check_dependencies(server: AgentServer) -> int:
    well = True
    async with server.lifespan():
        for served in server.served:
            _say("agent", ok=True, text=served.agent.name)
            for name, look in _checks(served).items():
                try:
                    with anyio.fail_after(_TIMEOUT):
                        text, ok = await look(), True
                except TimeoutError:
                    text, ok = f"no answer within {_TIMEOUT:g} seconds", False
                except _Problem as exc:
                    text, ok = str(exc), False
                _say(name, ok=ok, text=text)
                well = well and ok
    return 0 if well else 1


def _checks(served: ServedAgent) -> dict[str, Callable[[], Awaitable[str]]]:
    return {
        "model": lambda: _check_model(served.settings),
        "memory": lambda: _check_memory(served.agent, served.settings),
        **{f"agent:{peer.name}": partial(_check_sub_agent, peer) for peer in served.agent.sub_agents},
    }


async def _check_model(settings: Settings) -> str:
    if settings.debug_mock_responses is not None:
        return "a mock: DEBUG_MOCK_RESPONSES"
    if settings.model_api_url is None or settings.model_name is None:
        return "the agent's own"
    # Imported late, as the OpenAI client comes along.
    from pais_lite.models.endpoint import api_base_url

    url, wanted = api_base_url(settings.model_api_url), settings.model_name
    headers = {"authorization": f"Bearer {settings.model_api_key}"} if settings.model_api_key else {}
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
            answer = await client.get(f"{url}/models", headers=headers)
    except httpx2.TransportError as exc:
        raise _Problem(f"{url} cannot be reached ({type(exc).__name__})") from exc
    if answer.status_code in (401, 403):
        raise _Problem(f"{url} refuses the key (status {answer.status_code}); see MODEL_API_KEY")
    if answer.status_code == 404:
        return f"{wanted} at {url}, which answers, but does not say which models it has"
    if answer.status_code != 200:
        raise _Problem(f"{url} answers with status {answer.status_code}")
    models = _model_ids(answer)
    if models is None:
        raise _Problem(f"{url} answers, but not as an OpenAI-compatible endpoint")
    # Ollama's ids have a tag, which may be left out.
    if wanted in models or f"{wanted}:latest" in models:
        return f"{wanted} at {url}"
    shown = ", ".join(models[:_NAMED_MODELS]) or "none"
    more = f" and {len(models) - _NAMED_MODELS} more" if len(models) > _NAMED_MODELS else ""
    raise _Problem(f"{url} does not know {wanted!r}; it has {shown}{more}")


def _model_ids(answer: httpx2.Response) -> list[str] | None:
    try:
        entries: Any = answer.json()["data"]
        return [str(entry["id"]) for entry in entries]
    except (ValueError, KeyError, TypeError):
        return None


async def _check_memory(agent: Agent, settings: Settings) -> str:
    kind = settings.memory_type if settings.memory_enabled else "null"
    try:
        await agent.memory.check()
    except MemoryUnavailable as exc:
        raise _Problem(f"{kind}: {exc.message}") from exc
    return {"local": "in this process, gone with it", "null": "off"}.get(kind, f"{kind}, reachable")


async def _check_sub_agent(peer: SubAgent) -> str:
    try:
        profile = await peer.discover()
    except PeerUnavailable as exc:
        raise _Problem(f"{peer.place}: {exc.message}") from exc
    return f"{profile.model} {'at' if isinstance(peer, RemoteAgent) else 'in'} {peer.place}"


def _say(name: str, *, ok: bool, text: str) -> None:
    print(f"{name:<10} {'ok' if ok else 'failed':<7} {text}", flush=True)  # noqa: T201
