"""Runs that end before their time, outlive their page or their connection, or wait for their user."""

import json
import re

import pytest
from playwright.sync_api import expect
from pydantic_ai import Agent as PydanticAgent

from pais_lite.http.types import Message, Receive, Scope, Send
from tests.console.conftest import Browsing, Visit, clerk_server
from tests.console.script import Script
from tests.support.agents import call
from tests.support.endpoint import Cue, Endpoint
from tests.support.ports import free_port
from tests.support.serving import mock_server
from tests.support.uvicorns import served_in_thread

pytestmark = pytest.mark.browser


def test_stop_ends_the_run_and_says_so(visit: Visit, model: Endpoint) -> None:
    page = visit.open()
    visit.ask("hold on")
    page.locator(".turn .prose", has_text="One, two,").wait_for()
    page.locator("#stop").click()
    visit.until("stopped")
    # The button is gone, and the keyboard where one goes on.
    expect(page.locator("#prompt")).to_be_focused()
    assert visit.answer().strip() == "One, two,"
    assert model.calls[-1].reader.at_eof()
    page.reload()
    visit.until("stopped")
    visit.ask("next")
    visit.until("done")


def test_stop_works_before_the_model_has_said_anything(visit: Visit) -> None:
    page = visit.open()
    visit.ask("silence please")
    page.locator("#detach").wait_for()
    page.locator("#stop").click()
    visit.until("stopped")


def test_run_goes_on_without_its_page_and_is_followed_again(visit: Visit, script: Script) -> None:
    page = visit.open()
    visit.ask("hold on")
    page.locator(".turn .prose", has_text="One, two,").wait_for()
    page.locator("#detach").click()
    visit.until("detached")
    script.cue.give()
    page.get_by_role("button", name="Follow").click()
    visit.until("done")
    assert visit.answer() == "One, two, three."
    assert page.locator(".turn").count() == 1


@pytest.mark.parametrize("ends", ["while the page is away", "after it is back"])
def test_run_is_taken_up_after_a_reload(visit: Visit, script: Script, ends: str) -> None:
    page = visit.open()
    visit.ask("tool first, then hold on")
    page.locator(".turn .prose", has_text="One, two,").wait_for()
    if ends == "after it is back":
        page.reload()
        page.locator(".turn[data-state=answering] .prose", has_text="One, two,").wait_for()
        assert page.locator("#stop").is_visible()
        script.cue.give()
    else:
        here = page.url
        page.goto("about:blank")
        page.wait_for_timeout(1000)
        script.cue.give()
        page.goto(here)
    visit.until("done")
    assert page.locator(".turn").count() == 1
    assert visit.answer() == "One, two, three."
    assert 'word="river", times=3 → river is in drawer 3.' in page.locator(".call").inner_text()
    if ends == "while the page is away":
        # How long it took is what the server says, not how fast its log was read again.
        page.locator(".turn-time", has_text=re.compile(r"^[\d.]+ s")).wait_for()
        assert page.locator(".call-time", has_text=" ms").count() == 1


def test_agent_asks_before_it_does_what_needs_approval(browsing: Browsing) -> None:
    agent = PydanticAgent(name="clerk")

    @agent.tool_plain(requires_approval=True)
    def shred(file: str) -> str:
        """Destroy a file."""
        return f"{file} is gone."

    server = mock_server(call(("shred", {"file": "taxes"})), "It is done.", agent=agent)
    with served_in_thread(server) as url:
        visit = browsing.visit(url)
        page = visit.open()
        visit.ask("Clean up.")
        visit.until("asking")
        asked = page.locator(".approval")
        assert "shred" in asked.inner_text()
        assert json.loads(asked.locator(".payload").inner_text()) == {"file": "taxes"}
        # It is still asked for after a reload.
        page.reload()
        visit.until("asking")
        page.get_by_role("button", name="Approve").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#transcript")).to_be_focused()
        visit.until("done")
        assert "taxes is gone." in page.locator(".turn:last-child .call").inner_text()


def test_server_that_went_away_is_missed_and_welcomed_back(
    browsing: Browsing, model: Endpoint, script: Script
) -> None:
    port = free_port()
    with served_in_thread(clerk_server(model), port) as url:
        visit = browsing.visit(url)
        page = visit.open()
        visit.ask("hold on")
        page.locator(".turn .prose", has_text="One, two,").wait_for()
    visit.until("lost")
    page.wait_for_selector("#state[data-state=unreachable]")
    assert "One, two," in visit.answer()
    page.get_by_role("link", name="Tools", exact=True).click()
    page.locator("#tools .error", has_text="The server did not answer.").wait_for()
    page.get_by_role("link", name="Chat", exact=True).click()
    with served_in_thread(clerk_server(model), port):
        page.wait_for_selector("#state[data-state=ready]")
        # It was in that server's memory alone.
        visit.until("failed")
        assert "404 Not Found" in page.locator(".turn .error").inner_text()
        visit.ask("hello again")
        visit.until("done")
        assert visit.answer() == "You said hello again. Well."
        visit.context.close()
    visit.forgive("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "404 (Not Found)")


def test_broken_connection_is_taken_up_where_it_broke(
    browsing: Browsing, model: Endpoint, script: Script
) -> None:
    server, breaks, seen = clerk_server(model), [True], Cue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Break the first connection that has told the beginning of the answer, once that has been seen."""

        async def sometimes(message: Message) -> None:
            await send(message)
            if b"One, two, " in message.get("body", b"") and breaks and breaks.pop():
                await seen.given()
                raise BrokenPipeError

        await server(scope, receive, sometimes)

    with served_in_thread(app) as url:
        visit = browsing.visit(url)
        page = visit.open()
        visit.ask("hold on")
        page.locator(".turn .prose", has_text="One, two,").wait_for()
        # What a browser has got but not read when its connection breaks, it throws away.
        seen.give()
        page.locator(".request-path", has_text="starting_after=").wait_for()
        script.cue.give()
        visit.until("done")
        assert visit.answer() == "One, two, three."
        visit.context.close()
    visit.forgive("ERR_INCOMPLETE_CHUNKED_ENCODING")
