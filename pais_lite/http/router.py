"""Which handler answers a method and a path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pais_lite.errors import NotFound
from pais_lite.http.errors import MethodNotAllowed

__all__ = ["Match", "Route", "Router"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Route(Generic[Handler]):
    """A handler and what it answers. A part of the path in braces is a parameter; the last may say `{name:path}`.

    Such a last parameter takes all that is left, slashes included: model ids have some.
    """

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True)
class Match(Generic[Handler]):
    """A found route and the parameters of its path."""

    route: Route[Handler]
    params: Mapping[str, str]


class Router(Generic[Handler]):
    """A table of routes: those without parameters are found in one look, the others are tried in order."""

    def __init__(self, routes: list[Route[Handler]]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[str, dict[str, Route[Handler]]] = {}
        self._patterns: dict[str, dict[str, Route[Handler]]] = {}
        for route in routes:
            table = self._patterns if "{" in route.path else self._fixed
            table.setdefault(route.path, {})[route.method] = route

    def find(self, method: str, path: str) -> Match[Handler]:
        """Return what answers `method` on `path`; HEAD is answered by what answers GET.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: some have, for other methods.
        """
        methods, params = self._methods_of(path)
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if route is None:
            raise MethodNotAllowed(self._allow(methods))
        return Match(route, params)

    def allowed(self, path: str) -> str:
        """Return the methods that `path` answers, as the `Allow` header lists them; raises `NotFound`."""
        return self._allow(self._methods_of(path)[0])

    def _methods_of(self, path: str) -> tuple[Mapping[str, Route[Handler]], Mapping[str, str]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        for pattern, methods in self._patterns.items():
            params = _match_pattern(pattern, path)
            if params is not None:
                return methods, params
        raise NotFound("there is no such route")

    @staticmethod
    def _allow(methods: Mapping[str, Route[Handler]]) -> str:
        names = set(methods)
        if "GET" in names:
            names.add("HEAD")
        return ", ".join(sorted(names))


def _match_pattern(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if wanted[-1].endswith(":path}"):
        given[len(wanted) - 1 :] = ["/".join(given[len(wanted) - 1 :])] if len(given) >= len(wanted) else []
    if len(wanted) != len(given):
        return None
    params: dict[str, str] = {}
    for part, value in zip(wanted, given, strict=True):
        if part.startswith("{"):
            if not value:
                return None
            params[part.strip("{}").removesuffix(":path")] = value
        elif part != value:
            return None
    return params
