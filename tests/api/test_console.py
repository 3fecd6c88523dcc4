"""The routes of the console: who gets the page, and what goes along with it."""

import re
import zipfile
from importlib.resources import files
from pathlib import Path

import anyio
import pytest

from pais_lite import AgentServer
from pais_lite.api import console
from tests.support.asgi import Answer, ask
from tests.support.serving import mock_server

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FILES = sorted(file.name for file in files("pais_lite").joinpath("console").iterdir())
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@pytest.fixture(scope="module")
def server() -> AgentServer:
    return mock_server("x", agent_api_keys="secret", cors_allow_origins="https://a.example")


async def page(server: AgentServer, headers: dict[str, str] | None = None, **scope: str) -> Answer:
    return await ask(server, "GET", "/", headers={**BROWSER, **(headers or {})}, **scope)


async def test_browsers_get_the_page_and_programs_the_index(server: AgentServer) -> None:
    seen = await page(server)
    assert (seen.status, seen.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert seen.body.startswith(b"<!doctype html>")
    told = await ask(server, "GET", "/", headers={"accept": "application/json"})
    assert told.headers["content-type"] == "application/json"
    assert "GET /tools" in told.json()["routes"]
    for answer in (seen, told):
        assert "accept" in answer.headers["vary"].split(", ")
        assert "origin" in answer.headers["vary"].split(", ")


async def test_page_that_is_known_is_not_sent_again(server: AgentServer) -> None:
    tag = (await page(server)).headers["etag"]
    again = await page(server, {"if-none-match": tag})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in again.headers
    head = await ask(server, "HEAD", "/", headers=BROWSER)
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", tag)


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
async def test_files_come_with_their_types_and_without_a_key(server: AgentServer, name: str) -> None:
    answer = await ask(server, "GET", f"/console/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, TYPES[name.rpartition(".")[2]])
    assert answer.headers["cache-control"] == "no-cache"
    known = {"if-none-match": answer.headers["etag"]}
    assert (await ask(server, "GET", f"/console/{name}", headers=known)).status == 304


@pytest.mark.parametrize("path", ["/", "/console/main.js"])
async def test_nothing_but_the_page_itself_can_run_in_it_or_around_it(server: AgentServer, path: str) -> None:
    answer = await ask(server, "GET", path, headers=BROWSER)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/console/", "/console/index.html", "/console/../settings.py", "/console/x.js"]
)
async def test_nothing_else_is_served(path: str) -> None:
    assert (await ask(mock_server("x"), "GET", path, headers=BROWSER)).status == 404


async def test_links_of_the_page_lead_to_files_that_are_there() -> None:
    folder = files("pais_lite").joinpath("console")
    linked = set(
        re.findall(r'(?:href|src)="console/([^"]+)"', folder.joinpath("index.html").read_text("utf-8"))
    )
    assert linked == {name for name in FILES if name != "index.html"}
    for name in FILES:
        for imported in re.findall(r'from "\./([^"]+)"', folder.joinpath(name).read_text("utf-8")):
            assert imported in FILES


@pytest.mark.parametrize(
    ("scope", "location"),
    [
        ({"root_path": "/team/clerk", "raw_path": "/team/clerk"}, "./clerk/"),
        ({"root_path": "/team/clerk", "raw_path": "/team/clerk/"}, None),
        ({"root_path": "", "raw_path": "/"}, None),
    ],
)
async def test_page_under_a_prefix_is_where_its_links_lead(
    server: AgentServer, scope: dict[str, str], location: str | None
) -> None:
    sent: list[dict[str, object]] = []
    path = scope["raw_path"]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    await server(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": scope["root_path"],
            "headers": [(b"accept", b"text/html")],
        },
        receive,
        send,
    )
    headers = {str(key, "ascii"): str(value, "ascii") for key, value in sent[0]["headers"]}  # type: ignore[attr-defined]
    assert headers.get("location") == location
    assert sent[0]["status"] == (307 if location else 200)


async def test_console_can_be_turned_off() -> None:
    server = mock_server("x", environ={"CONSOLE": "off"})
    assert (await page(server)).headers["content-type"] == "application/json"
    assert (await ask(server, "GET", "/console/main.js")).status == 404


async def test_files_are_read_from_an_archive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "package.zip"
    folder = files("pais_lite").joinpath("console")
    with zipfile.ZipFile(archive, "w") as packed:
        for name in FILES:
            packed.writestr(f"pais_lite/console/{name}", folder.joinpath(name).read_bytes())
    # What `importlib.resources` gives out for a package that was imported from an archive.
    monkeypatch.setattr(console, "files", lambda package: zipfile.Path(archive, f"{package}/"))
    console._read_files.cache_clear()
    try:
        answer = await ask(mock_server("x"), "GET", "/console/main.js")
    finally:
        console._read_files.cache_clear()
    assert answer.body == folder.joinpath("main.js").read_bytes()


async def test_server_that_stops_does_not_wait_for_a_console_to_hear_of_it() -> None:
    server = mock_server("x")
    assert (await ask(server, "GET", "/ready", headers={"x-observer": "console"})).status == 200
    with anyio.fail_after(5):
        await server.drain(linger=60)
    assert (await ask(server, "GET", "/ready", headers={"x-observer": "console"})).status == 503
