"""A conversation with a real language model, in the browser, with `pais run` as users start it."""

import re
from collections.abc import Iterator

import pytest

from tests.console.conftest import Browsing
from tests.support.processes import LOCAL_TIMEOUT, Process, local_pais_run

pytestmark = [pytest.mark.browser, pytest.mark.local_model]


@pytest.fixture(scope="module")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with local_pais_run(tmp_path_factory.mktemp("local")) as process:
        yield process


def test_real_model_is_read_word_by_word(browsing: Browsing, local_server: Process) -> None:
    visit = browsing.visit(local_server.url)
    visit.context.set_default_timeout(LOCAL_TIMEOUT * 1000)
    page = visit.open()
    # Notes each length that the text had on its way.
    page.evaluate(
        "window.lengths = new Set(); new MutationObserver(() => window.lengths.add("
        "document.querySelector('.prose')?.textContent.length ?? 0))"
        ".observe(document.getElementById('transcript'), { subtree: true, childList: true, characterData: true })"
    )
    visit.ask("Tell me a long story about a baker in Paris, with all that he does in a day.")
    page.locator(".turn .prose", has_text=re.compile(r"(\w+\W+){20}")).wait_for()
    page.locator("#stop").click()
    visit.until("stopped")
    assert len(page.evaluate("[...window.lengths]")) >= 5
    visit.ask("Tell me another long story, about a colour.")
    page.locator(".turn:last-child .prose", has_text=re.compile(r"\w")).wait_for()
    page.locator("#stop").click()
    visit.until("stopped")
