"""One Chromium for all tests of the console, and servers on threads of this process for it to visit."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)
from pydantic_ai import Agent as PydanticAgent

from pais_lite import AgentServer, Settings
from tests.console.script import Script
from tests.support.endpoint import Endpoint, endpoint_in_thread
from tests.support.uvicorns import served_in_thread

_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # 64 MB of it is what containers have
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 20_000
PICTURES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. Only while it is open does its driver have an event loop on this thread, so other packages have none."""
    found = os.environ.get("CHROMIUM_BINARY") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.fail("these tests need Chromium; leave them out with: -m 'not browser'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A tab of the browser, and all that it complained about or asked of others."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        """Go to the page, and wait until it knows that the server is ready, and whose it is."""
        self.page.goto(self.url + path)
        self.page.wait_for_selector("#state[data-state=ready]")
        expect(self.page).to_have_title(re.compile(" · console$"))
        return self.page

    def ask(self, text: str) -> None:
        """Type a message and send it."""
        self.page.fill("#prompt", text)
        self.page.keyboard.press("Enter")

    def until(self, state: str) -> None:
        """Wait until the last turn is in a state."""
        self.page.wait_for_selector(f".turn:last-child[data-state={state}]")

    def answer(self) -> str:
        """Return the text of the last answer, without those of other agents."""
        return self.page.locator(".turn:last-child .answer > .branch > .prose").last.inner_text()

    def hold(self, pattern: str) -> Callable[[], None]:
        """Keep requests from the server from now on; what is returned lets the first of them go."""
        held: list[Route] = []
        self.page.route(pattern, lambda route: held.append(route))
        return lambda: held[0].continue_()

    def picture(self, name: str) -> None:
        """Take the screenshot that the README shows, where somebody asks for it."""
        if os.environ.get("CONSOLE_PICTURES"):
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png")

    def forgive(self, *expected: str) -> None:
        """Take complaints that hold one of these texts as what a test wanted."""
        self.complaints[:] = [said for said in self.complaints if not any(text in said for text in expected)]


@dataclass
class Browsing:
    """Opens tabs, each in a profile of its own."""

    browser: Browser
    visits: list[Visit] = field(default_factory=list)

    def visit(self, url: str, **options: Any) -> Visit:
        """Return a new tab for a server's page."""
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        visit = Visit(context, page, url)
        origin = "/".join(url.split("/")[:3])

        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                visit.complaints.append(f"{message.text} ({message.location.get('url', '')})")

        def asked(request: Request) -> None:
            if not request.url.startswith(f"{origin}/"):
                visit.foreign.append(request.url)

        page.on("console", heard)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", asked)
        self.visits.append(visit)
        return visit


@pytest.fixture
def browsing(browser: Browser) -> Iterator[Browsing]:
    """Tabs that end with the test, and have nothing bad to say by then."""
    browsing = Browsing(browser)
    yield browsing
    for visit in browsing.visits:
        visit.context.close()
        assert visit.complaints == []
        assert visit.foreign == []


@pytest.fixture(scope="package")
def model() -> Iterator[Endpoint]:
    """The model behind the clerk."""
    with endpoint_in_thread(Script()) as endpoint:
        yield endpoint


@pytest.fixture
def script(model: Endpoint) -> Iterator[Script]:
    """What the model does in this test."""
    model.script = script = Script()
    yield script
    script.cue.give()


def clerk() -> PydanticAgent[Any, Any]:
    """Return an agent with tools."""
    agent = PydanticAgent(name="clerk", instructions="Help.")

    @agent.tool_plain
    def look_up(word: str, times: int = 1) -> str:
        """Look a word up in the archive.

        Args:
            word: What to look for: one word, in the singular, as it is written on the drawers, in small letters.
            times: How often to look.
        """
        return f"{word} is in drawer {times}."

    @agent.tool_plain
    def give_up() -> str:
        """Fail."""
        raise LookupError("secret of the archive")

    return agent


def clerk_server(model: Endpoint, **settings: Any) -> AgentServer:
    """Return a server for the clerk, on the scripted model."""
    return AgentServer.serving(
        clerk(),
        Settings.load(
            {},
            env_file=None,
            **{"model_api_url": model.url, "model_name": "scripted", "shutdown_grace_seconds": 0, **settings},
        ),
    )


@pytest.fixture(scope="package")
def servers() -> Iterator[ExitStack]:
    """Where servers are put that end with the tests."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="package")
def clerk_url(model: Endpoint, servers: ExitStack) -> str:
    """Where the clerk answers."""
    return servers.enter_context(served_in_thread(clerk_server(model)))


@pytest.fixture
def visit(browsing: Browsing, clerk_url: str, script: Script) -> Visit:
    """A tab on the clerk's page."""
    return browsing.visit(clerk_url)
