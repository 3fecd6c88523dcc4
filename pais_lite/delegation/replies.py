"""The bodies of another agent's answers over HTTP, and what a status other than 200 means."""

import httpx2

from pais_lite.delegation.stream import MAX_ANSWER_CHARACTERS, error_code
from pais_lite.errors import DelegationFailed

__all__ = ["MAX_ERROR_BYTES", "read_body", "refusal"]

# An answer that comes whole: its text, each character escaped, and what is around it.
_MAX_BODY_BYTES = 8 * MAX_ANSWER_CHARACTERS
# What says that there is none.
MAX_ERROR_BYTES = 64 * 1024


def refusal(status: int, body: bytes) -> DelegationFailed:
    """Return what a status other than 200 means. The answer's own words may hold anything and stay here."""
    code = error_code(body)
    if status in (401, 403):
        return DelegationFailed("it refused our key")
    if status == 429 or code == "server_shutdown":
        return DelegationFailed("it is too busy at the moment")
    return DelegationFailed.because(f"it answered with status {status}", code)


async def read_body(response: httpx2.Response, limit: int = _MAX_BODY_BYTES) -> bytes:
    """Return the whole body; raises `DelegationFailed` for one that is longer than any should be."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise DelegationFailed("its answer is too long")
        pieces.append(piece)
    return b"".join(pieces)
