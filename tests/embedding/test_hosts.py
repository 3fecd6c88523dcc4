"""Two agents inside somebody else's application: they answer under their prefixes, and the rest stays the host's."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import anyio
import httpx2
import pytest

from tests.support.asgi import Answer, chat
from tests.support.clients import http_client, is_up
from tests.support.ports import free_port
from tests.support.processes import Process, running
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

COMMANDS = {
    "hypercorn": (["hypercorn", "--bind", "127.0.0.1:0"], r"Running on (http://\S+)"),
    "uvicorn": (["uvicorn", "--port", "0"], r"running on (http://\S+)"),
    "granian": (
        ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"],
        r"Listening at: (http://\S+)",
    ),
}
# Every host on one server, and one host on every server.
HOSTS = {
    "starlette_host": ["uvicorn", "hypercorn", "granian"],
    "starlette_owner": ["uvicorn", "hypercorn", "granian"],
    "fastapi_host": ["uvicorn"],
    "quart_host": ["hypercorn"],
    "django_host": ["granian"],
    "litestar_host": ["uvicorn"],
}
# What these hosts wrap passes their middleware; the others dispatch before it.
WRAPPING = ("starlette", "fastapi", "litestar")


@dataclass
class Host:
    """A host application in a process of its own."""

    name: str
    server: str
    process: Process

    @property
    def url(self) -> str:
        return self.process.url


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, Host]]:
    with ExitStack() as stack:

        class Hosts(dict[str, Host]):
            def __missing__(self, key: str) -> Host:
                name, server = key.split("-")
                command, ready = COMMANDS[server]
                words = [part.format(port=free_port()) for part in command]
                process = stack.enter_context(
                    running(
                        [sys.executable, "-m", *words, f"tests.embedding.hosts.{name}:app"],
                        ready=ready,
                        cwd=Path(__file__).parents[2],
                    )
                )
                self[key] = Host(name, server, process)
                return self[key]

        yield Hosts()


@pytest.fixture(params=[f"{name}-{server}" for name, servers in HOSTS.items() for server in servers])
async def host(request: pytest.FixtureRequest, hosts: dict[str, Host]) -> Host:
    host = hosts[request.param]
    await until(lambda: is_up(f"{host.url}/hello"), timeout=60)
    return host


def client_of(host: Host) -> httpx2.AsyncClient:
    return http_client(host.url, timeout=20)


async def test_two_agents_answer_beside_each_other(host: Host) -> None:
    async with client_of(host) as client:
        for name in ("first", "second"):
            answer = await client.post(f"/agents/{name}/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["content"] == f"I am the {name}."
            events = (await client.get(f"/agents/{name}/memory/events")).json()
            assert {
                event["content"] for event in events["events"] if event["event_type"] == "agent_response"
            } == {f"I am the {name}."}
            card = (await client.get(f"/agents/{name}/.well-known/agent.json")).json()
            assert (card["name"], card["url"]) == (name, f"{host.url}/agents/{name}/")
            message = {
                "kind": "message",
                "messageId": "m",
                "role": "user",
                "parts": [{"kind": "text", "text": "Hi."}],
            }
            call = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
            # Clients of A2A follow no redirects.
            task = await client.post(card["url"], json=call)
            assert task.json()["result"]["status"]["state"] == "completed", task
            assert (await client.get(f"/agents/{name}/")).json()["name"] == name


async def test_console_and_its_files_are_found_below_the_prefix(host: Host) -> None:
    async with client_of(host) as client:
        browser = {"accept": "text/html,*/*;q=0.8"}
        # Django's own routes decide about a path without the final slash; the others hand it on.
        path = "/agents/first/" if host.name == "django_host" else "/agents/first"
        page = await client.get(path, headers=browser, follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        # Its links are relative.
        script = await client.get(page.url.join("console/main.js"))
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "import" in script.text


async def test_stream_passes_the_host_as_it_comes(host: Host) -> None:
    """The second agent rests after it has said that it does."""

    async def seconds_between_started_and_end() -> float:
        async with (
            client_of(host) as client,
            client.stream("POST", "/agents/second/v1/chat/completions", json=chat(stream=True)) as answer,
        ):
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            if host.name.startswith(WRAPPING):
                assert answer.headers["x-host"]
            read = Answer()
            started = None
            async for data in answer.aiter_bytes():
                read.body += data
                if started is None and b'"started"' in read.body:
                    started = monotonic()
            ended = monotonic()
        assert started is not None
        assert read.text() == "I am the second."
        assert read.frames()[-1] == "[DONE]"
        return ended - started

    # Other processes may stop this one for as long as the agent rests; one calm moment in five is enough.
    attempts = 1
    while await seconds_between_started_and_end() <= 0.2:
        assert attempts < 5
        attempts += 1


async def test_routes_and_errors_of_the_host_stay_its_own(host: Host) -> None:
    async with client_of(host) as client:
        hello = await client.get("/hello")
        assert (hello.text, bool(hello.headers["x-host"])) == ("hello from the host", True)
        boom = await client.get("/boom")
        assert (boom.status_code, boom.text) == (500, "the host is sorry")
        for path in ("/nowhere", "/agents/third/health"):
            unknown = await client.get(path)
            assert unknown.status_code == 404
            assert '"error":{' not in unknown.text


async def test_errors_of_an_agent_stay_its_own(host: Host) -> None:
    async with client_of(host) as client:
        for status, method, path in [
            (404, "GET", "/agents/first/nowhere"),
            (405, "GET", "/agents/first/v1/chat/completions"),
            (400, "POST", "/agents/first/v1/chat/completions"),
        ]:
            answer = await client.request(method, path)
            assert answer.status_code == status
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_run_ends_when_its_reader_leaves_the_host(host: Host) -> None:
    async with client_of(host) as client:
        session = f"leaving-{host.server}"
        async with client.stream(
            "POST",
            "/agents/second/v1/chat/completions",
            json=chat(stream=True),
            headers={"x-session-id": session},
        ) as answer:
            async for line in answer.aiter_lines():
                if '"started"' in line:
                    break

        async def is_cancelled() -> bool:
            events = (
                await client.get("/agents/second/memory/events", params={"session_id": session})
            ).json()["events"]
            return bool(events[-1]["metadata"].get("code") == "cancelled")

        await until(is_cancelled)


async def test_host_that_stops_lets_its_agents_finish(host: Host) -> None:
    """The last of the tests: it ends the host."""
    host.process.output()
    stream = Answer()
    begun = anyio.Event()

    async def read() -> None:
        async with (
            client_of(host) as client,
            client.stream("POST", "/agents/second/v1/chat/completions", json=chat(stream=True)) as answer,
        ):
            async for data in answer.aiter_bytes():
                stream.body += data
                if b'"started"' in stream.body:
                    begun.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        with anyio.fail_after(20):
            await begun.wait()
        host.process.popen.terminate()
    assert stream.text() == "I am the second."
    assert stream.frames()[-1] == "[DONE]"
    code = await anyio.to_thread.run_sync(host.process.popen.wait, 30)
    # uvicorn ends with the signal that it was sent, as shells expect.
    assert code in (0, -15 if host.server == "uvicorn" else 0)
    written = host.process.output()
    assert "Traceback" not in written, written
    assert ("the agents are closed" in written) == (host.name == "starlette_owner"), written
