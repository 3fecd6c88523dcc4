"""One HTTP request, as an ASGI server describes it."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import anyio
from pydantic_core import from_json

from pais_lite.errors import InvalidRequest, TooManyRuns
from pais_lite.http.errors import (
    BodyTooLarge,
    ClientDisconnected,
    HeadersTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from pais_lite.http.types import Receive, Scope

__all__ = ["MAX_HEADER_BYTES", "BodyBudget", "Request"]

# Of the path, the query and all headers together; what most servers and proxies take.
MAX_HEADER_BYTES = 32 * 1024

# How long a body may take to arrive: this, and as much more as its size takes at the slowest pace that is worth waiting
# for. A client that drips a byte now and then holds a connection for no good reason.
BODY_TIMEOUT = 30.0
MIN_BYTES_PER_SECOND = 1000
# What is thrown away of a body that nobody wanted, before the connection is given up with it.
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
# In the place of a body that has not been read: any value of JSON, `None` included, may be one that has.
_UNREAD = object()


class BodyBudget:
    """Bounds what all bodies that are being read hold together, whatever each of them may hold."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """Take from the budget; `give` gives back.

        Raises:
            TooManyRuns: so much is not left.
        """
        if size > self._left:
            raise TooManyRuns(
                "too many large requests are being read; try again soon", code="too_many_large_requests"
            )
        self._left -= size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


class Request:
    """The request of one ASGI `scope`, its body read from `receive` when asked for.

    `path` has the prefix under which the application is mounted (`root_path`) taken off.
    """

    def __init__(self, scope: Scope, receive: Receive, budget: BodyBudget | None = None) -> None:
        self.method: str = scope["method"]
        self.root_path: str = scope.get("root_path", "").rstrip("/")
        self.path = _strip_prefix(scope["path"], self.root_path)
        self.scheme: str = scope.get("scheme", "http")
        self.http_version: str = scope.get("http_version", "1.1")
        self.server: tuple[str, int | None] | None = scope.get("server")
        self.raw_headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        if len(self.path) > 1 and self.path.endswith("/") and not scope.get("raw_path", b"/").endswith(b"/"):
            # Litestar ends what it hands on to a mounted application with a slash that nobody sent.
            self.path = self.path[:-1]
        self._scope = scope
        self._receive = receive
        self._budget = budget
        self.has_disconnected = False
        self._body_ended = False
        self._headers: dict[bytes, bytes] | None = None
        self._json: Any = _UNREAD

    def header(self, name: str) -> str | None:
        """Return the first header of that lower-case name, `None` where there is none."""
        if self._headers is None:
            # From the last to the first, so that of a header given twice the first one stays.
            self._headers = {key.lower(): value for key, value in reversed(list(self.raw_headers))}
        value = self._headers.get(name.encode("latin-1"))
        return None if value is None else str(value, "latin-1").strip()

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query string; of one given twice, the last."""
        return dict(parse_qsl(str(self._scope.get("query_string", b""), "latin-1"), keep_blank_values=True))

    @property
    def base_url(self) -> str:
        """Scheme, host and mount prefix under which the client reached this application, without a final slash."""
        host = self.header("host")
        if host is None:
            name, port = self.server or ("localhost", None)
            host = f"{name}:{port}" if port else name
        return f"{self.scheme}://{host}{self.root_path}"

    @property
    def sent_path(self) -> str:
        """The path as the client sent it: escaped, and with the prefix under which the application is mounted."""
        sent: bytes = self._scope.get("raw_path") or (self._scope["path"] or self.root_path or "/").encode()
        return str(sent.partition(b"?")[0], "latin-1")

    def check_size(self) -> None:
        """Return where what comes before the body is no longer than `MAX_HEADER_BYTES`.

        ASGI servers have limits of their own, of which some count only what has not arrived at once.

        Raises:
            HeadersTooLarge: it is longer.
        """
        size = len(self._scope.get("raw_path") or self.path) + len(self._scope.get("query_string", b""))
        for name, value in self.raw_headers:
            size += len(name) + len(value)
        if size > MAX_HEADER_BYTES:
            raise HeadersTooLarge(MAX_HEADER_BYTES)

    async def read_body(self, limit: int) -> bytes:
        """Return the whole body, read in pieces.

        Raises:
            BodyTooLarge: it is longer than `limit` bytes; no more than that is ever held.
            TooManyRuns: so many others are being read that this one does not fit beside them.
            RequestTimeout: the client stopped sending, or sends too slowly.
            ClientDisconnected: the client left.
        """
        declared = self.header("content-length")
        if declared is not None and declared.isdecimal():
            digits = declared.lstrip("0")
            # Longer numbers are larger ones; `int` refuses those of thousands of digits.
            if len(digits) > len(str(limit)) or int(digits or "0") > limit:
                raise BodyTooLarge(limit)
        pieces: list[bytes] = []
        size = held = 0
        try:
            with anyio.move_on_after(BODY_TIMEOUT) as patience:
                while not self._body_ended:
                    piece = await self._next_piece()
                    size += len(piece)
                    if size > limit:
                        raise BodyTooLarge(limit)
                    pieces.append(piece)
                    if self.body_ended:
                        break
                    patience.deadline += len(piece) / MIN_BYTES_PER_SECOND
                    if self._budget is not None:
                        self._budget.take(size - held)
                        held = size
            if patience.cancelled_caught:
                raise RequestTimeout("the request's body did not arrive in time")
        finally:
            if self._budget is not None:
                self._budget.give(held)
        return b"".join(pieces)

    async def read_json(self, limit: int) -> Any:
        """Return the body as JSON has it; of a key given twice, the last (RFC 8259, section 4, leaves that open).

        It is read once; who asks again gets the same value.

        Raises:
            UnsupportedMediaType: the body says that it is something else, or that it is compressed.
            InvalidRequest: it is not JSON, not UTF-8, or nested deeper than 200 levels.
        """
        if self._json is not _UNREAD:
            return self._json
        media_type = (self.header("content-type") or "application/json").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise UnsupportedMediaType("the request's content type has to be application/json")
        if (self.header("content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType("the request's body has to come without a content encoding")
        body = await self.read_body(limit)
        try:
            self._json = from_json(body, allow_inf_nan=False)
        except ValueError as exc:
            raise InvalidRequest(_what_is_wrong_with(body, exc), code="invalid_json") from exc
        return self._json

    async def discard_body(self) -> None:
        """Read what is left of the body and forget it.

        A server holds back an answer, or resets the connection under it, while the body of its request is unread.
        """
        discarded = 0
        while not self._body_ended and discarded < MAX_DISCARDED_BYTES:
            try:
                discarded += len(await self._next_piece())
            except ClientDisconnected:
                return

    async def disconnected(self) -> None:
        """Return when the client has left; until then, never."""
        while not self.has_disconnected:
            message = await self._receive()
            self.has_disconnected = message["type"] == "http.disconnect"

    @property
    def announces_body(self) -> bool:
        """Whether a body may come along: in HTTP/1 the headers say so (RFC 9112, section 6), later only its end does."""
        if not self.http_version.startswith("1"):
            return True
        return self.header("transfer-encoding") is not None or self.header("content-length") not in (
            None,
            "0",
        )

    @property
    def body_ended(self) -> bool:
        """Whether all of the body has been read, or the client has left."""
        return self._body_ended

    async def _next_piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.has_disconnected = self._body_ended = True
            raise ClientDisconnected
        self._body_ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def _strip_prefix(path: str, prefix: str) -> str:
    # A host may hand on the full path or the rest behind its prefix; both are seen in the wild.
    if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
        path = path[len(prefix) :]
    return path or "/"


def _what_is_wrong_with(body: bytes, error: ValueError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        return f"the request's body is not UTF-8: byte {exc.start} is wrong"
    return f"the request's body is not JSON: {error}"
