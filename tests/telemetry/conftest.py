"""Two real servers, one the model endpoint of the other, and a real collector beside them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.endpoint import Endpoint, ModelCall, endpoint_in_thread
from tests.support.otlp import Collector, collecting
from tests.support.processes import Process, pais_run

WORKER = str(Path(__file__).parent / "agents" / "worker.py")
# So that a test need not wait for the usual five seconds, or sixty.
SOON = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
}

Start = Callable[..., AbstractContextManager[Process]]


async def use_the_tool(call: ModelCall) -> None:
    """Call the tool first, and answer then."""
    if call.body["messages"][-1]["role"] == "tool":
        await call.complete("a word is a word")
    else:
        await call.call_tool("look_up", {"word": "house"})


async def answer(call: ModelCall) -> None:
    """Answer at once."""
    await call.complete("one two three four")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector for one test."""
    with collecting() as found:
        yield found


@pytest.fixture
def model() -> Iterator[Endpoint]:
    """A model that answers at once, unless a test gives it another script."""
    with endpoint_in_thread(answer) as endpoint:
        yield endpoint


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `pais run` with a name, a model endpoint, and settings."""

    @contextmanager
    def run(name: str, model_url: str, *arguments: str, **env: str) -> Iterator[Process]:
        settings = {"AGENT_NAME": name, "MODEL_API_URL": model_url, "MODEL_NAME": "scripted", **SOON, **env}
        with pais_run(*arguments, env=settings, cwd=tmp_path) as process:
            yield process

    return run
