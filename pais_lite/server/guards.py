"""Who may ask, and how a request is turned away: what every server does before it looks at a route."""

import hmac
from collections.abc import Sequence

import anyio

from pais_lite.errors import InvalidCredentials
from pais_lite.http import Reply, Request, Response
from pais_lite.memory.base import DEFAULT_OWNER
from pais_lite.settings import ApiKey

__all__ = ["authenticate", "discard_body", "refuse"]

# How long a client may go on sending a body that nobody wants, so that it reads the answer rather than a reset.
_UNWANTED_BODY_TIMEOUT = 5.0


def authenticate(request: Request, keys: Sequence[ApiKey]) -> str:
    """Return the owner of the request's key. Every key is compared, so that time tells nothing about any.

    Raises:
        InvalidCredentials: there are keys, and the request has none of them.
    """
    if not keys:
        return DEFAULT_OWNER
    scheme, _, given = (request.header("authorization") or "").partition(" ")
    found: str | None = None
    for entry in keys:
        if hmac.compare_digest(entry.key.encode(), given.strip().encode()):
            found = entry.owner
    if found is None or scheme.lower() != "bearer":
        raise InvalidCredentials("a valid key has to come along as `Authorization: Bearer …`")
    return found


async def refuse(request: Request, reply: Reply, response: Response) -> None:
    """Answer once the body, which nobody wants, has been thrown away.

    Not before, and not beside: with a body still coming, hypercorn takes the end of the answer for the end of the
    exchange, resets an HTTP/1.1 connection under the client that reads the answer, and drops an HTTP/2 connection with
    all its streams; granian stops reading when an answer begins.
    """
    await discard_body(request)
    await reply.respond(response)


async def discard_body(request: Request) -> None:
    """Read a body that nobody wants, for as long as that is worth while."""
    with anyio.move_on_after(_UNWANTED_BODY_TIMEOUT):
        await request.discard_body()
