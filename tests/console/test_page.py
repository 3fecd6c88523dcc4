"""The page itself: how it loads, what it shows beside the chat, and for whom it can be read."""

from contextlib import ExitStack
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from starlette.applications import Starlette
from starlette.routing import Mount

from pais_lite import AgentServer, serve
from tests.console.conftest import Browsing, Visit, clerk_server
from tests.console.script import Script
from tests.support.endpoint import Endpoint
from tests.support.uvicorns import served_in_thread

pytestmark = pytest.mark.browser

# All files together, uncompressed.
MOST_BYTES = 100_000
VIEWS = ["chat", "sessions", "tools", "status", "requests"]

# What is written over what: the lowest ratio of contrast of all text that is seen, and where (WCAG 2.2, 1.4.3).
LOWEST_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  let lowest = [99, ""];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest(".sr, .skip, :disabled")) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, `${element.tagName}.${element.className}: ${texts.currentNode.data}`];
  }
  return lowest;
}"""


def test_page_is_small_and_paints_at_once(visit: Visit) -> None:
    page = visit.open()
    assert page.title() == "clerk · console"
    assert page.locator("#agent-name").inner_text() == "clerk"
    assert page.locator(".empty-name").inner_text() == "clerk"
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    size = sum(len(file.read_bytes()) for file in files("pais_lite").joinpath("console").iterdir())
    print(f"\nfirst paint after {painted:.0f} ms, {size} bytes")
    assert painted < 3000
    assert size < MOST_BYTES
    expect(page.locator("#prompt")).to_be_focused()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
    assert all(name.startswith(visit.url) for name in loaded)
    # The colours are those of the system, until somebody chooses.
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    page.locator("#theme-button").click()
    light = page.evaluate(ground)
    assert light != dark
    visit.open()
    assert page.evaluate(ground) == light


def test_page_works_under_any_prefix(browsing: Browsing, model: Endpoint, script: Script) -> None:
    with ExitStack() as stack:
        server = clerk_server(model)
        host = Starlette(routes=[Mount("/team/clerk", app=server)], lifespan=lambda _: server.lifespan())
        url = stack.enter_context(served_in_thread(host))
        visit = browsing.visit(url)
        page = visit.open("/team/clerk")
        assert page.url.startswith(f"{url}/team/clerk/")
        visit.ask("hello")
        visit.until("done")
        assert visit.answer() == "You said hello. Well."
        assert f"curl -N -X POST '{url}/team/clerk/v1/responses'" in first_request(page)


def first_request(page: Page) -> str:
    """Open the latest of the requests and return what it shows."""
    entry = page.locator("#requests li").first
    entry.locator("summary").click()
    entry.locator("code").first.wait_for()
    return entry.inner_text()


def test_tools_sessions_events_and_status_are_there_to_read(visit: Visit) -> None:
    page = visit.open()
    visit.ask("tool please")
    visit.until("done")
    session = page.locator("#session-id").inner_text()

    page.get_by_role("link", name="Tools", exact=True).click()
    card = page.locator("#tools .card", has_text="look_up")
    assert "Look a word up in the archive." in card.inner_text()
    assert "What to look for: one word" in card.inner_text()
    assert "times optional" in card.inner_text()

    page.get_by_role("link", name="Sessions", exact=True).click()
    page.locator("#sessions").get_by_role("link", name=session, exact=True).click()
    page.wait_for_selector(".events")
    kinds = page.locator(".event .chip").all_inner_texts()
    assert kinds == ["user_message", "tool_call", "tool_result", "agent_response"]
    assert "river is in drawer 3." in page.locator(".event").nth(2).inner_text()

    page.get_by_role("link", name="Status", exact=True).click()
    status = page.locator("#status")
    status.get_by_text("200 healthy").wait_for()
    assert status.locator("dd", has_text=visit.url).count() == 2
    assert "200 ready" in status.inner_text()
    assert "POST /v1/chat/completions" in status.inner_text()

    page.get_by_role("link", name="Sessions", exact=True).click()
    row = page.locator("#sessions tr", has_text=session)
    row.get_by_role("button").click()
    row.get_by_text("Really?").click()
    row.wait_for(state="detached")
    page.locator("#recent").get_by_text(session).wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_a_phone_and_can_be_read(
    browsing: Browsing, clerk_url: str, script: Script, scheme: str
) -> None:
    visit = browsing.visit(clerk_url, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = visit.open()
    visit.ask("tool please")
    visit.until("done")
    visit.ask("fail now")
    visit.until("failed")
    visit.forgive("502")
    for view in VIEWS:
        page.get_by_role("navigation").get_by_text(view.capitalize(), exact=True).click()
        page.locator("[aria-busy]").wait_for(state="detached")
        wide = "[document.scrollingElement, ...document.querySelectorAll('.page, .transcript, td, .card')]"
        wide += ".filter((e) => e.scrollWidth > e.clientWidth && e.checkVisibility()).map((e) => e.className)"
        assert page.evaluate(wide) == [], view
        ratio, where = page.evaluate(LOWEST_CONTRAST)
        assert ratio >= 4.5, (view, where)
        unnamed = "[...document.querySelectorAll('button, a, input, textarea, select')].filter((e) => e.checkVisibility()"
        unnamed += (
            " && !(e.innerText?.trim() || e.labels?.length || e.getAttribute('aria-label'))).map((e) => e.id)"
        )
        assert page.evaluate(unnamed) == []


def test_page_is_used_by_the_keyboard_alone(visit: Visit) -> None:
    page = visit.open()
    page.keyboard.type("tool please")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("thanks")
    assert page.input_value("#prompt") == "tool please\nthanks"
    page.keyboard.press("Enter")
    visit.until("done")
    summary = page.locator(".call summary").first
    summary.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.locator(".payload", has_text="river is in drawer 3.").wait_for()
    # What was said is told to those who listen, in sentences.
    page.locator("#live", has_text="The answer is whole.").wait_for(state="attached")


def editor_and_writer() -> AgentServer:
    names = ("editor", "writer")
    return serve({name: Agent(TestModel(custom_output_text=f"I am the {name}.")) for name in names})


def test_each_of_several_agents_has_a_place_of_its_own(browsing: Browsing) -> None:
    with served_in_thread(editor_and_writer()) as url:
        visit = browsing.visit(url)
        page = visit.open()
        for name in ("editor", "writer"):
            page.select_option("#model", name)
            visit.ask(f"hello {name}")
            visit.until("done")
            assert visit.answer() == f"I am the {name}."
            session = page.locator("#session-id").inner_text()
            expect(page.locator("#recent .recent-id")).to_have_text([session])
        page.reload()
        visit.until("done")
        assert page.locator(".said-text").inner_text() == "hello writer"
        # Alone, an agent is found where its card says that it is.
        visit.open("/agents/editor")
        expect(page.locator("#agent-name")).to_have_text("editor")
        expect(page.locator("#model")).to_be_hidden()
        visit.ask("hello again")
        visit.until("done")
        assert visit.answer() == "I am the editor."


def test_the_sessions_of_an_agent_left_meanwhile_are_not_shown(browsing: Browsing) -> None:
    with served_in_thread(editor_and_writer()) as url:
        visit = browsing.visit(url)
        page = visit.open()
        for name in ("writer", "editor"):
            page.select_option("#model", name)
            visit.ask(f"hello {name}")
            visit.until("done")
        session = page.locator("#session-id").inner_text()
        let_go = visit.hold("**/agents/writer/memory/sessions*")
        with page.expect_request("**/agents/writer/memory/sessions*"):
            page.select_option("#model", "writer")
        with page.expect_response("**/agents/editor/memory/sessions*"):
            page.select_option("#model", "editor")
        expect(page.locator("#recent .recent-id")).to_have_text([session])
        with page.expect_response("**/agents/writer/memory/sessions*"):
            let_go()
        page.evaluate("new Promise((resolve) => setTimeout(resolve))")
        assert page.locator("#recent .recent-id").all_inner_texts() == [session]
