"""The table of routes of a server: those of its agents, and those that it has itself."""

from collections.abc import Sequence

from pais_lite.api.admission import Admission
from pais_lite.api.call import Handler
from pais_lite.api.console import Console, file_paths
from pais_lite.api.probes import Probes
from pais_lite.http import Route
from pais_lite.server.front import Front, base_path
from pais_lite.server.served_agent import ServedAgent
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["all_routes", "open_paths"]

# What anybody may ask without a key: probes, and what an agent says of itself to those who look for one.
_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/.well-known/agent.json", "/.well-known/agent-card.json"})


def all_routes(
    agents: Sequence[ServedAgent], admission: Admission, telemetry: Telemetry, settings: Settings
) -> list[Route[Handler]]:
    """Return all routes. Several agents have each theirs below a path of its own, probes and index included."""
    console = settings.console
    if len(agents) == 1:
        return _with_probes(agents, agents[0].routes(admission, telemetry), admission, console=console)
    tables = {
        served.agent.name: served.routes(admission, telemetry, base_path(served.agent.name))
        for served in agents
    }
    front = Front(tables, settings.max_request_bytes)
    routes = _with_probes(agents, front.at_the_top(), admission, console=console)
    for served in agents:
        name = served.agent.name
        routes += _with_probes([served], front.alone(name), admission, base_path(name), console=console)
    return routes


def open_paths(agents: Sequence[ServedAgent], settings: Settings) -> frozenset[str]:
    """Return the paths that need no key, whatever the method; a `POST` that they do answer needs one all the same."""
    paths = _OPEN_PATHS | (file_paths() if settings.console else frozenset())
    if len(agents) == 1:
        return paths
    bases = [base_path(served.agent.name) for served in agents]
    return paths.union(bases, (f"{base}{path}" for base in bases for path in paths))


def _with_probes(
    agents: Sequence[ServedAgent],
    routes: Sequence[Route[Handler]],
    admission: Admission,
    base: str = "",
    *,
    console: bool,
) -> list[Route[Handler]]:
    known = [f"{route.method} {route.path}" for route in routes]
    probes = Probes(
        {served.agent.name: served.agent.memory for served in agents},
        admission,
        [*known, f"GET {base}/health", f"GET {base}/ready"],
    )
    front: list[Route[Handler]] = [Route("GET", f"{base}/", probes.index)]
    if base:
        front.append(Route("GET", base, probes.index))
    if console:
        front = Console(probes.index, base).routes()
    return [
        Route("GET", f"{base}/health", probes.health),
        Route("GET", f"{base}/ready", probes.ready),
        *front,
        *routes,
    ]
