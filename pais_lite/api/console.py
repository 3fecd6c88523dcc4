"""The console: `GET /` for browsers, and the files of the page under `/console/`.

The page is the same for everybody and holds nothing of the agent, so it needs no key; what it shows, it asks the other
routes for. It runs no script and loads nothing but these files, whatever text a model makes it show.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from pais_lite.api.call import Call, Handler
from pais_lite.http import Response, Route
from pais_lite.http.negotiation import entity_tag, is_current, prefers

__all__ = ["Console", "file_paths"]

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = "index.html"
_HEADERS = {
    # Nothing runs or loads unless it is a file of ours; no script can turn text into elements; no page frames this one.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # Kept, and asked about each time: after an upgrade no file meets those of another version.
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    tag: str


@cache
def _read_files() -> dict[str, _File]:
    """Return the files of the page by name; they are read once in the life of the process."""
    found: dict[str, _File] = {}
    for resource in files("pais_lite").joinpath("console").iterdir():
        media_type = _MEDIA_TYPES.get(PurePosixPath(resource.name).suffix)
        if media_type is not None:
            body = resource.read_bytes()
            found[resource.name] = _File(body, media_type, entity_tag(body))
    return found


def file_paths() -> frozenset[str]:
    """Return the paths of the page's files, which anybody may read."""
    return frozenset(f"/console/{name}" for name in _read_files() if name != _PAGE)


class Console:
    """The routes of the page, below the path `base`. Programs get there what `index` answers."""

    def __init__(self, index: Handler, base: str = "") -> None:
        self._index = index
        self._base = base
        self._files = _read_files()

    def routes(self) -> list[Route[Handler]]:
        """Return the routes of the page and those of its files."""
        routes: list[Route[Handler]] = [Route("GET", f"{self._base}/", self.page)]
        if self._base:
            routes.append(Route("GET", self._base, self.page))
        return routes + [Route("GET", f"{self._base}{path}", self.asset) for path in sorted(file_paths())]

    async def page(self, call: Call) -> None:
        """Answer a browser with the page, a program with the index."""
        headers = call.reply.headers
        headers["vary"] = ", ".join(filter(None, [headers.get("vary"), "accept"]))
        if not prefers(call.request.header("accept"), "text/html", "application/json"):
            await self._index(call)
        elif last := call.request.sent_path.rpartition("/")[2]:
            # The page's links are relative, so that they hold under any prefix; from here they would lead beside it.
            await call.reply.respond(Response(307, headers={"location": f"./{last}/"}))
        else:
            await self._send(call, self._files[_PAGE])

    async def asset(self, call: Call) -> None:
        """Answer with a file of the page."""
        await self._send(call, self._files[call.request.path.rpartition("/")[2]])

    @staticmethod
    async def _send(call: Call, file: _File) -> None:
        call.reply.headers.update({**_HEADERS, "etag": file.tag})
        if is_current(call.request.header("if-none-match"), file.tag):
            await call.reply.respond(Response(304))
        else:
            await call.reply.respond(Response(200, file.body, {"content-type": file.media_type}))
