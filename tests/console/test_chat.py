"""Conversations: what an agent says and does is seen as it happens, whatever it is."""

import json
import subprocess
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from pais_lite import RemoteAgent
from tests.console.conftest import Browsing, Visit, clerk, clerk_server
from tests.console.script import HOSTILE, THOUGHT, WORDS, Script
from tests.support.agents import call, delegate
from tests.support.endpoint import Endpoint
from tests.support.serving import mock_server
from tests.support.uvicorns import served_in_thread

pytestmark = pytest.mark.browser


def test_answer_is_seen_while_it_comes_and_the_next_one_knows_it(visit: Visit, script: Script) -> None:
    page = visit.open()
    visit.ask("hold on")
    page.locator(".turn .prose", has_text="One, two,").wait_for()
    assert page.locator(".turn").get_attribute("data-state") == "answering"
    assert page.locator("#stop").is_visible()
    script.cue.give()
    visit.until("done")
    assert visit.answer() == "One, two, three."
    assert "11 + 7 tokens" in page.locator(".turn-foot").inner_text()
    expect(page.locator("#stop")).to_be_hidden()
    visit.ask("and then")
    visit.until("done")
    assert visit.answer() == "You said and then. Well."
    assert page.locator(".turn").count() == 2
    session = page.locator("#session-id").inner_text()
    expect(page.locator("#recent").get_by_text(session)).to_have_count(1)
    page.locator("#new-chat").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_conversation_is_there_again_after_a_reload(visit: Visit) -> None:
    page = visit.open()
    visit.ask("tool please")
    visit.until("done")
    page.reload()
    visit.until("done")
    assert page.locator(".said-text").inner_text() == "tool please"
    assert visit.answer() == "You said conclude. Well."
    assert 'word="river", times=3 → river is in drawer 3.' in page.locator(".call").inner_text()


def test_thoughts_are_folded_and_a_tool_shows_what_it_was_given_and_what_it_gave(visit: Visit) -> None:
    page = visit.open()
    visit.ask("think first")
    visit.until("done")
    thoughts = page.locator(".thoughts")
    assert not thoughts.is_visible()
    page.locator(".thinking summary").click()
    assert thoughts.inner_text().strip() == THOUGHT
    assert visit.answer() == "Hello."
    visit.ask("tool please")
    visit.until("done")
    tool = page.locator(".call[data-status=done]")
    tool.locator(".call-preview", has_text='word="river", times=3 → river is in drawer 3.').wait_for()
    assert tool.locator(".call-name").inner_text() == "look_up"
    assert tool.locator(".call-time").inner_text().endswith("s")
    tool.locator("summary").click()
    assert json.loads(tool.locator(".payload").first.inner_text()) == {"word": "river", "times": 3}


def test_three_agents_are_a_tree_that_tells_who_said_what(browsing: Browsing) -> None:
    with ExitStack() as stack:
        writer = mock_server("Rivers carry\n\n- **stones**\n- ships", agent_name="writer")
        researcher = mock_server(
            delegate("writer", "Write a line about rivers.", content="I know somebody for that. "),
            "Rivers carry stones and ships.",
            agent_name="researcher",
            sub_agents=[RemoteAgent("writer", stack.enter_context(served_in_thread(writer)))],
        )
        first = mock_server(
            call(
                ("look_up", {"word": "river", "times": 3}),
                ("delegate_to_researcher", {"task": "Find out what rivers do."}),
                content="I look it up, and ask the researcher.",
            ),
            "Here it is:\n\n> Rivers carry stones and ships.\n\nSee drawer `3` for more.",
            agent=clerk(),
            agent_name="editor",
            sub_agents=[RemoteAgent("researcher", stack.enter_context(served_in_thread(researcher)))],
        )
        url = stack.enter_context(served_in_thread(first))
        for scheme, size in (("light", (1440, 900)), ("dark", (360, 740))):
            visit = browsing.visit(url, color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
            page = visit.open()
            visit.ask("What do rivers do?")
            visit.until("done")
            outer = page.locator(".answer > .branch > .calls > .call")
            assert outer.locator("> details > summary .call-name").all_inner_texts() == [
                "look_up",
                "researcher",
            ]
            inner = outer.nth(1).locator(".branch > .calls > .call")
            assert inner.locator("> details > summary .call-name").all_inner_texts() == ["writer"]
            assert inner.locator("li").all_inner_texts() == ["stones", "ships"]
            outer.nth(1).locator(".payload", has_text="Find out what rivers do.").wait_for()
            texts = outer.nth(1).locator("> details > .call-body > .branch > .prose").all_inner_texts()
            assert [text.strip() for text in texts] == [
                "I know somebody for that.",
                "Rivers carry stones and ships.",
            ]
            assert page.locator('.call:not([data-status="done"])').count() == 0
            assert visit.answer().endswith("See drawer 3 for more.")
            if scheme == "light":
                page.locator("#requests summary").first.click()
            else:
                page.locator(".call", has_text="researcher").last.scroll_into_view_if_needed()
            visit.picture(f"console-{scheme}")


def test_delegation_grows_while_it_runs_and_fails_in_its_place(
    browsing: Browsing, model: Endpoint, script: Script
) -> None:
    with ExitStack() as stack:
        teller_url = stack.enter_context(served_in_thread(clerk_server(model, agent_name="teller")))
        first = mock_server(
            call(
                ("delegate_to_teller", {"task": "hold it"}),
                ("delegate_to_nobody", {"task": "x"}),
            ),
            "Done.",
            agent_name="editor",
            sub_agents=[RemoteAgent("teller", teller_url), RemoteAgent("nobody", f"{teller_url}/nowhere")],
        )
        visit = browsing.visit(stack.enter_context(served_in_thread(first)))
        page = visit.open()
        visit.ask("go")
        page.locator('.call[data-status="running"] .prose', has_text="One, two,").wait_for()
        script.cue.give()
        visit.until("done")
        calls = page.locator(".call")
        assert calls.locator(".call-name").all_inner_texts() == ["teller", "delegate_to_nobody"]
        assert [calls.nth(place).get_attribute("data-status") for place in (0, 1)] == ["done", "failed"]
        assert "One, two, three." in calls.first.inner_text()


def test_hostile_answer_is_text_and_nothing_else(visit: Visit) -> None:
    page = visit.open()
    visit.ask("hostile now <img src=x onerror='window.hacked = 9'>")
    visit.until("done")
    shown = page.locator(".turn:last-child .answer").inner_text()
    for text in (
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>",
        "<b onclick='window.hacked = 3'>bold</b> [here](javascript:alert(1))",
        "<iframe src='https://evil.example/'></iframe>",
        "[U+202E]evil[U+202C] [U+2066]isolated, and never closed",
        "[U+001B][31mred[U+0007] &lt;not an entity&gt; ${1+1} {{1+1}} xxx",
        "The end.",
    ):
        assert text in shown
    assert page.evaluate("window.hacked") is None
    for tag in ("script", "img", "iframe", "style", "b", "a"):
        assert page.locator(f"#transcript {tag}").count() == 0
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 1440
    # What is copied is what was said.
    raw = HOSTILE.split("```html\n")[1].split("\n```")[0]
    assert page.locator(".turn .code code").text_content() == f"{raw}\n"


def test_long_answer_does_not_keep_the_page_from_its_user(visit: Visit) -> None:
    page = visit.open()
    page.evaluate(
        "window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries().map((e) => e.duration)))"
        ".observe({ type: 'longtask' })"
    )
    visit.ask("long please")
    visit.until("done")
    text = page.locator(".turn .prose").inner_text()
    assert f"word {WORDS - 1}" in text
    assert text.count("word ") == WORDS
    tasks = page.evaluate("window.long")
    print(f"\nlong tasks: {len(tasks)}, the longest {max(tasks, default=0):.0f} ms")
    # Anything above 50 ms counts as long; a person begins to notice at a few times that. The machine may be busy.
    assert max(tasks, default=0) < 2000
    # The page has followed the text to its end.
    end = "(e) => e.scrollHeight - e.scrollTop - e.clientHeight"
    assert page.locator("#transcript").evaluate(end) < 5


def test_failure_is_shown_as_the_server_tells_it(visit: Visit) -> None:
    page = visit.open()
    visit.ask("fail now")
    visit.until("failed")
    shown = page.locator(".turn .error").inner_text()
    assert "the model endpoint answered with status 418" in shown
    assert "upstream_error" in shown
    visit.ask("break it")
    visit.until("failed")
    assert "run_failed" in page.locator(".turn:last-child .error").inner_text()
    assert "secret of the archive" not in page.content()

    page.goto(f"{visit.url}/#/chat/no%20id")
    page.locator("#session-id", has_text="no id").wait_for()
    visit.ask("hello")
    visit.until("failed")
    shown = page.locator(".turn .error").inner_text()
    assert "400 Bad Request" in shown
    assert "invalid_session_id" in shown
    # The browser itself notes every answer that is an error.
    visit.forgive("400 (Bad Request)")


def test_key_is_asked_for_once_and_kept_in_the_tab(
    browsing: Browsing, model: Endpoint, script: Script
) -> None:
    with served_in_thread(clerk_server(model, agent_api_keys="ada:key-of-ada")) as url:
        visit = browsing.visit(url)
        page = visit.page
        page.goto(url)
        page.fill("#key", "key-of-eve")
        page.keyboard.press("Enter")
        page.get_by_text("a valid key has to come along").wait_for()
        page.fill("#key", "key-of-ada")
        page.keyboard.press("Enter")
        page.wait_for_selector("#key-dialog", state="hidden")
        visit.ask("hello")
        visit.until("done")
        visit.forgive("401")
        page.reload()
        visit.until("done")
        visit.ask("again")
        visit.until("done")
        page.locator("#requests summary").first.click()
        page.locator("#requests code").first.wait_for()
        snippets = page.locator("#requests code").all_inner_texts()
        assert "Authorization: Bearer $PAIS_API_KEY" in snippets[0]
        assert 'os.environ["PAIS_API_KEY"]' in snippets[1]
        assert "key-of-ada" not in page.content()
        assert page.evaluate("localStorage.length") == 0
        curl = subprocess.run(
            ["bash", "-c", snippets[0]],
            env={"PATH": "/usr/bin:/bin", "PAIS_API_KEY": "key-of-ada"},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert '"delta":" again."' in curl.stdout
        assert "event: response.completed" in curl.stdout
        compile(snippets[1], "snippet", "exec")
