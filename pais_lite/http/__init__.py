"""HTTP over ASGI, written by hand: requests, replies, routes, server-sent events. It has never heard of agents."""

from pais_lite.http.errors import ClientDisconnected, error_body, error_response
from pais_lite.http.reply import Reply, Response, json_response
from pais_lite.http.request import MAX_HEADER_BYTES, BodyBudget, Request
from pais_lite.http.router import Route, Router

__all__ = [
    "MAX_HEADER_BYTES",
    "BodyBudget",
    "ClientDisconnected",
    "Reply",
    "Request",
    "Response",
    "Route",
    "Router",
    "error_body",
    "error_response",
    "json_response",
]
