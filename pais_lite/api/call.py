"""What a route gets to work with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pais_lite.errors import InvalidRequest
from pais_lite.http import Reply, Request

__all__ = ["Call", "Handler"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one route, from a caller who may make it. `owner` owns what is stored for it.

    `route` is the pattern of the path that matched.
    """

    request: Request
    reply: Reply
    params: Mapping[str, str]
    owner: str
    route: str

    def limit(self, *, default: int, cap: int) -> int:
        """Return the `limit` of the query, at most `cap`.

        Raises:
            InvalidRequest: it is not a whole number of at least 1.
        """
        text = self.request.query.get("limit")
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= 1):
            raise InvalidRequest("limit has to be a whole number of at least 1", param="limit")
        return min(int(text), cap)


Handler = Callable[[Call], Awaitable[None]]
