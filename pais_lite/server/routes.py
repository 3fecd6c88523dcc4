"""The table of routes of a server: those of its agents, and those that it has itself."""

from collections.abc import Sequence

from pais_lite.api.admission import Admission
from pais_lite.api.call import Handler
from pais_lite.api.probes import Probes
from pais_lite.http import Route
from pais_lite.server.front import Front, base_path
from pais_lite.server.served_agent import ServedAgent
from pais_lite.telemetry import Telemetry

__all__ = ["all_routes", "open_paths"]

# What anybody may ask without a key: probes, and what an agent says of itself to those who look for one.
_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/.well-known/agent.json", "/.well-known/agent-card.json"})


def all_routes(
    agents: Sequence[ServedAgent], admission: Admission, telemetry: Telemetry, *, max_request_bytes: int
) -> list[Route[Handler]]:
    """Return all routes. Several agents have each theirs below a path of its own, probes and index included."""
    if len(agents) == 1:
        return _with_probes(agents, agents[0].routes(admission, telemetry), admission)
    tables = {
        served.agent.name: served.routes(admission, telemetry, base_path(served.agent.name))
        for served in agents
    }
    front = Front(tables, max_request_bytes)
    routes = _with_probes(agents, front.at_the_top(), admission)
    for served in agents:
        name = served.agent.name
        routes += _with_probes([served], front.alone(name), admission, base_path(name))
    return routes


def open_paths(agents: Sequence[ServedAgent]) -> frozenset[str]:
    """Return the paths that need no key."""
    if len(agents) == 1:
        return _OPEN_PATHS
    bases = [base_path(served.agent.name) for served in agents]
    return _OPEN_PATHS.union(bases, (f"{base}{path}" for base in bases for path in _OPEN_PATHS))


def _with_probes(
    agents: Sequence[ServedAgent], routes: Sequence[Route[Handler]], admission: Admission, base: str = ""
) -> list[Route[Handler]]:
    known = [f"{route.method} {route.path}" for route in routes]
    probes = Probes(
        {served.agent.name: served.agent.memory for served in agents},
        admission,
        [*known, f"GET {base}/health", f"GET {base}/ready"],
    )
    own: list[Route[Handler]] = [
        Route("GET", f"{base}/health", probes.health),
        Route("GET", f"{base}/ready", probes.ready),
        Route("GET", f"{base}/", probes.index),
    ]
    if base:
        own.append(Route("GET", base, probes.index))
    return [*own, *routes]
