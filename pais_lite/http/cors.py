"""Which browser pages of other origins may use this server (WHATWG Fetch, "CORS protocol")."""

from collections.abc import Collection

__all__ = ["cors_headers", "preflight_headers"]

_EXPOSED = "x-session-id, x-run-id, retry-after"
_PREFLIGHT_SECONDS = "600"


def cors_headers(origin: str | None, allowed: Collection[str]) -> dict[str, str]:
    """Return what every answer to a page of `origin` has to say; nothing where the origin is not allowed.

    Keys travel in a header that a page sets itself, so credentials are never allowed, and `*` is safe to say.
    """
    if not allowed:
        return {}
    if "*" in allowed:
        return {"access-control-allow-origin": "*", "access-control-expose-headers": _EXPOSED}
    if origin is None or origin not in allowed:
        return {"vary": "origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": _EXPOSED,
        "vary": "origin",
    }


def preflight_headers(methods: str, requested: str | None) -> dict[str, str]:
    """Return what the answer to a preflight says beside that: the methods of the route and the headers asked for."""
    headers = {"access-control-allow-methods": methods, "access-control-max-age": _PREFLIGHT_SECONDS}
    if requested is not None and requested.isprintable():
        headers["access-control-allow-headers"] = requested
    return headers
