"""The headers by which a client says what shall become of a run when its connection does not last."""

import hashlib
import re
from typing import Literal, cast

from pais_lite.encoding import dump_json
from pais_lite.errors import InvalidRequest
from pais_lite.http import Request
from pais_lite.runs import Once

__all__ = ["read_on_disconnect", "read_once"]

# Printable ASCII, as draft-ietf-httpapi-idempotency-key-header allows, and no longer than other services take.
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def read_on_disconnect(
    request: Request, default: Literal["cancel", "continue"]
) -> Literal["cancel", "continue"]:
    """Read `X-On-Disconnect`; without it, `default` holds.

    Raises:
        InvalidRequest: it is neither `cancel` nor `continue`.
    """
    value = request.header("x-on-disconnect")
    if value is None:
        return default
    if value.strip().lower() not in ("cancel", "continue"):
        raise InvalidRequest("X-On-Disconnect has to be cancel or continue", param="X-On-Disconnect")
    return cast("Literal['cancel', 'continue']", value.strip().lower())


def read_once(request: Request, body: object) -> Once | None:
    """Read `Idempotency-Key`, with a digest of what came with it: the route, the session, and the decoded body.

    Raises:
        InvalidRequest: it is not 1 to 255 printable ASCII characters.
    """
    key = request.header("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            "Idempotency-Key has to be 1 to 255 printable ASCII characters", param="Idempotency-Key"
        )
    asked = [request.path, request.header("x-session-id"), body]
    return Once(key, hashlib.sha256(dump_json(asked)).hexdigest())
