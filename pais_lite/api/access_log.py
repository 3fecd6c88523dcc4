"""`AGENT_ACCESS_LOG`: one line for each request that is no run. A run writes its own, inside its trace."""

import logging

from pais_lite.http import Reply, Request

__all__ = ["log_request"]

_log = logging.getLogger("pais_lite.access")


def log_request(request: Request, reply: Reply, seconds: float) -> None:
    """Write the line of a request that has been answered, or whose client has left."""
    # A path is what a client chose; no character of it shall begin a line of its own.
    path = request.path if request.path.isprintable() else ascii(request.path)
    milliseconds = round(seconds * 1000, 1)
    fields = {"method": request.method, "route": path, "status": reply.status, "duration_ms": milliseconds}
    _log.info(
        "%s %s %s in %.1f ms",
        request.method,
        path,
        reply.status or "-",
        milliseconds,
        extra={"fields": fields},
    )
