"""The routes of a server with several agents: which of them answers a request that does not go to one alone.

Each agent answers under `/agents/{name}` just as if it were alone. At the top, a request for a run names its agent as the
`model`, whoever knows a run answers for it, the routes about tools and memory take `?agent=`, and the first agent is the
one that the server's own card shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pais_lite.api.call import Call, Handler
from pais_lite.api.models import Models
from pais_lite.errors import InvalidRequest, NotFound
from pais_lite.http import Route

__all__ = ["Front", "base_path"]

_Key = tuple[str, str]

# By method and path; all other routes take `?agent=`.
_BY_MODEL: frozenset[_Key] = frozenset({("POST", "/v1/chat/completions"), ("POST", "/v1/responses")})
_WHOEVER_HAS_IT: frozenset[_Key] = frozenset(
    {
        ("GET", "/v1/models/{id:path}"),
        ("GET", "/v1/responses/{id}"),
        ("DELETE", "/v1/responses/{id}"),
        ("POST", "/v1/responses/{id}/cancel"),
        ("GET", "/v1/responses/{id}/input_items"),
    }
)
_ALL_MODELS: _Key = ("GET", "/v1/models")
_THE_FIRST: frozenset[_Key] = frozenset(
    {("POST", "/"), ("GET", "/.well-known/agent.json"), ("GET", "/.well-known/agent-card.json")}
)


def base_path(agent: str) -> str:
    """Return the path under which an agent answers alone."""
    return f"/agents/{agent}"


@dataclass(frozen=True, slots=True)
class Front:
    """Hands requests to agents. `tables` are the routes of each agent by its name, the first agent first."""

    tables: Mapping[str, Sequence[Route[Handler]]]
    max_request_bytes: int

    def at_the_top(self) -> list[Route[Handler]]:
        """Return the routes of all, each of which chooses the agent that answers."""
        found: dict[_Key, dict[str, Handler]] = {}
        for name, routes in self.tables.items():
            for route in routes:
                found.setdefault((route.method, route.path), {})[name] = route.handler
        models: Handler = Models(list(self.tables)).list
        return [
            Route(*key, models if key == _ALL_MODELS else self._choosing(key, handlers))
            for key, handlers in found.items()
        ]

    def alone(self, name: str) -> list[Route[Handler]]:
        """Return the routes of one agent below its own path; a chat request there cannot be for another."""
        routes: list[Route[Handler]] = []
        for route in self.tables[name]:
            handler = route.handler
            if (route.method, route.path) in _BY_MODEL:
                handler = self._by_model({name: handler}, default=name)
            routes.append(Route(route.method, base_path(name) + route.path, handler))
            if route.path == "/":
                # The URL in the card has no slash at its end; clients add one or don't.
                routes.append(Route(route.method, base_path(name), handler))
        return routes

    def _choosing(self, key: _Key, handlers: Mapping[str, Handler]) -> Handler:
        if key in _BY_MODEL:
            return self._by_model(handlers)
        if key in _WHOEVER_HAS_IT:
            return _whoever_has_it(handlers)
        if key in _THE_FIRST:
            return next(iter(handlers.values()))
        return _by_query(handlers)

    def _by_model(self, handlers: Mapping[str, Handler], default: str | None = None) -> Handler:
        async def handle(call: Call) -> None:
            body = await call.request.read_json(self.max_request_bytes)
            await handlers[_read_model(body, handlers, default)](call)

        return handle


def _read_model(body: object, agents: Mapping[str, object], default: str | None) -> str:
    if not isinstance(body, Mapping):
        raise InvalidRequest("the request's body has to be a JSON object", code="invalid_json")
    model = body.get("model") or default
    if model is None:
        raise InvalidRequest(
            f"model is missing; it says which agent: {', '.join(agents)}", param="model", code="missing_model"
        )
    if not isinstance(model, str):
        raise InvalidRequest("model has to be a string", param="model")
    if model not in agents:
        raise NotFound(
            f"there is no such model; it has to be one of {', '.join(agents)}",
            param="model",
            code="model_not_found",
        )
    return model


def _by_query(handlers: Mapping[str, Handler]) -> Handler:
    async def handle(call: Call) -> None:
        agent = call.request.query.get("agent")
        if not agent:
            raise InvalidRequest(
                f"there are several agents; say which, as ?agent={next(iter(handlers))}", param="agent"
            )
        if agent not in handlers:
            raise NotFound(
                f"there is no such agent; it has to be one of {', '.join(handlers)}",
                param="agent",
                code="agent_not_found",
            )
        await handlers[agent](call)

    return handle


def _whoever_has_it(handlers: Mapping[str, Handler]) -> Handler:
    """Ask one agent after the other, until one does not say that there is no such thing."""

    async def handle(call: Call) -> None:
        *others, last = handlers.values()
        for handler in others:
            try:
                await handler(call)
            except NotFound:
                continue
            return
        await last(call)

    return handle
