"""The views beside the chat, by hand and by keyboard: lists that grow and shrink, slow answers, long names, small windows."""

import pytest
from playwright.sync_api import Page, Route, expect
from pydantic_ai import Agent, Tool
from pydantic_ai.models.test import TestModel

from pais_lite import serve
from tests.console.conftest import Browsing, Visit
from tests.console.script import Script
from tests.support.uvicorns import served_in_thread

pytestmark = pytest.mark.browser

OVERFLOWING = (
    "[document.scrollingElement, ...document.querySelectorAll('.page, .transcript, .answer, td, .card')]"
    ".filter((e) => e.scrollWidth > e.clientWidth && e.checkVisibility()).map((e) => e.className)"
)


def session(number: int) -> dict[str, object]:
    """Return what the server tells of a session."""
    at = f"2026-01-01T00:00:{number % 60:02d}Z"
    return {"session_id": f"s{number}", "updated_at": at, "created_at": at, "event_count": 2}


def list_in_pages(page: Page, *, fails_once: bool) -> list[str]:
    """Answer for the server, which remembers a hundred sessions; return the queries as they come."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        query = route.request.url.partition("?")[2]
        asked.append(query)
        if "cursor=" in query and fails_once and sum("cursor=" in other for other in asked) == 1:
            route.fulfill(status=503, json={"error": {"message": "the memory is away"}})
        else:
            begin = 50 if "cursor=" in query else 0
            told = [session(number) for number in range(begin, begin + 50)]
            route.fulfill(json={"sessions": told, "next_cursor": None if begin else "c"})

    page.route("**/memory/sessions?limit=50*", answer)
    return asked


def test_list_of_sessions_grows_by_a_page_at_a_time(visit: Visit) -> None:
    page = visit.open()
    asked = list_in_pages(page, fails_once=True)
    page.get_by_role("link", name="Sessions", exact=True).click()
    rows = page.locator("#sessions tbody tr")
    expect(rows).to_have_count(50)
    more = page.get_by_role("button", name="More")
    more.click()
    page.locator("#sessions .error", has_text="the memory is away").wait_for()
    expect(rows).to_have_count(50)
    more.evaluate("(button) => { button.click(); button.click(); }")
    expect(rows).to_have_count(100)
    expect(page.locator("#sessions .error")).to_have_count(0)
    expect(more).to_be_hidden()
    # The keyboard goes on where the new ones begin.
    expect(page.get_by_role("link", name="s50", exact=True)).to_be_focused()
    assert len(asked) == 3
    visit.forgive("503")


def test_session_is_forgotten_by_who_means_it(visit: Visit) -> None:
    page = visit.open()
    list_in_pages(page, fails_once=False)
    page.route("**/memory/sessions/s*", lambda route: route.fulfill(json={}))
    page.get_by_role("link", name="Sessions", exact=True).click()
    button = page.get_by_role("button", name="Forget session s3", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    # It is told to those who do not see it.
    sure = page.get_by_role("button", name="Really? Forget session s3", exact=True)
    expect(sure).to_be_focused()
    expect(page.locator("#live")).to_have_text("Really forget session s3? Press again.")
    page.keyboard.press("Enter")
    expect(sure).to_have_count(0)
    expect(page.get_by_role("button", name="Forget session s4", exact=True)).to_be_focused()


def test_answer_for_a_view_left_meanwhile_is_not_shown(visit: Visit) -> None:
    page = visit.open()
    visit.ask("hello")
    visit.until("done")
    let_go = visit.hold("**/memory/events*")
    with page.expect_request("**/memory/events*"):
        page.locator("#session-events").click()
    page.get_by_role("link", name="Sessions", exact=True).click()
    expect(page.locator("#sessions table")).to_have_count(1)
    with page.expect_response("**/memory/events*"):
        let_go()
    page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    assert page.locator("#sessions table").count() == 1
    assert page.locator("#sessions-title").inner_text() == "Sessions"


def test_message_that_is_sent_before_the_conversation_is_there_comes_after_it(visit: Visit) -> None:
    page = visit.open()
    visit.ask("hello")
    visit.until("done")
    let_go = visit.hold("**/memory/events*")
    with page.expect_request("**/memory/events*"):
        page.reload()
    visit.ask("and again")
    expect(page.locator(".turn")).to_have_count(0)
    let_go()
    expect(page.locator(".said-text")).to_have_text(["hello", "and again"])
    visit.until("done")
    assert visit.answer() == "You said and again. Well."


@pytest.mark.parametrize("back", ["tab", "skip link"])
def test_who_comes_back_to_the_chat_finds_it_again_after_a_reload(
    visit: Visit, script: Script, back: str
) -> None:
    page = visit.open()
    visit.ask("hold on")
    page.locator(".turn .prose", has_text="One, two,").wait_for()
    page.get_by_role("link", name="Tools", exact=True).click()
    expect(page.locator("#view-chat")).to_be_hidden()
    if back == "tab":
        page.get_by_role("link", name="Chat", exact=True).click()
    else:
        page.locator("#skip").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#prompt")).to_be_focused()
    expect(page.locator("#view-chat")).to_be_visible()
    page.reload()
    page.locator(".turn[data-state=answering] .prose", has_text="One, two,").wait_for()
    script.cue.give()
    visit.until("done")
    assert visit.answer() == "One, two, three."


def test_long_names_and_all_directions_fit_the_narrowest_window(browsing: Browsing) -> None:
    def look(a_parameter_with_a_name_that_is_much_longer_than_that_of_others: str) -> str:
        return "x"

    said = "- مرحبا بالعالم\n- hello\n\n> مرحبا\n\n" + "x" * 500
    model = TestModel(call_tools=[], custom_output_text=said)
    agent = Agent(model, name="n" * 60, tools=[Tool(look, name="look_up_" + "x" * 56)])
    with served_in_thread(serve(agent)) as url:
        # That is 1280 by 1024 at 400 % (WCAG 2.2, 1.4.10).
        visit = browsing.visit(url, viewport={"width": 320, "height": 256})
        page = visit.open()
        visit.ask("hello")
        visit.until("done")
        assert page.evaluate(OVERFLOWING) == []
        # The mark of an item stays within the answer, on the side where its text begins.
        sides = page.locator(".prose li").evaluate_all(
            "(items) => items.map((e) => [e, e.closest('.prose')].map((x) => x.getBoundingClientRect()))"
            ".map(([item, whole]) => [item.left - whole.left, whole.right - item.right])"
        )
        assert sides == [[0, 24], [24, 0]]
        box = page.locator("#transcript").bounding_box()
        assert box is not None
        assert box["height"] > 200
        page.locator("#prompt").scroll_into_view_if_needed()
        expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
        page.get_by_role("link", name="Tools", exact=True).click()
        page.locator("#tools .card").wait_for()
        assert page.evaluate(OVERFLOWING) == []


def test_what_becomes_of_the_server_is_told_to_those_who_do_not_see_it(visit: Visit) -> None:
    page = visit.open()
    page.route("**/ready", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator("#notice", has_text="The server does not answer.").wait_for()
    expect(page.locator("#live")).to_contain_text("The server does not answer.")
    page.unroute("**/ready")
    expect(page.locator("#live")).to_have_text("The server is back.")
    visit.forgive("ERR_FAILED")
