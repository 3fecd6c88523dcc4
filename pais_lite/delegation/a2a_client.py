"""Hands a task to another agent by A2A: followed as a stream where it has one, else sent and asked for until it is over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

import httpx2

from pais_lite.delegation.a2a_wire import A2AAnswer, EventData, Method, call_object, send_params
from pais_lite.delegation.profile import A2AInterface
from pais_lite.delegation.replies import MAX_ERROR_BYTES, read_body, refusal
from pais_lite.delegation.sub_agent import AnswerPart, Task
from pais_lite.errors import DelegationFailed, PeerUnavailable

__all__ = ["A2AClient"]

# Between two looks at a task that its agent works on: short at first, since most tasks are.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
# What is said to an agent whose answer nobody wants any more may take this long.
_CANCEL_TIMEOUT = 5.0


class A2AClient:
    """Speaks A2A to one agent at a time; `headers` go along with every request, `http` gives the client."""

    def __init__(self, http: Callable[[], httpx2.AsyncClient], *, connect_timeout: float) -> None:
        self._http = http
        self._connect_timeout = connect_timeout
        self._cancelling: set[asyncio.Task[None]] = set()

    async def hand_over(
        self,
        task: Task,
        interface: A2AInterface,
        headers: Mapping[str, str],
        tell: Callable[[AnswerPart], Awaitable[None]],
    ) -> str:
        """Hand a task over and return the answer; see `SubAgent`.

        Cancelling it has the other side told to cancel the task.
        """
        answer = A2AAnswer()
        headers = {**headers, "a2a-version": interface.version}
        try:
            streams = interface.streams and task.stream
            await self._send(task, interface, headers, answer, tell, streams=streams)
            await self._poll(interface, headers, answer, tell)
            return answer.text()
        finally:
            # It was cancelled, the answer could not be read to its end, or the agent waits for what it will not get.
            if answer.task_id is not None and not answer.has_ended:
                self._cancel_later(answer.task_id, interface, headers)

    async def aclose(self) -> None:
        """Wait until the other side knows of what was cancelled, for as long as that may take."""
        if self._cancelling:
            await asyncio.wait(self._cancelling)

    async def _send(
        self,
        task: Task,
        interface: A2AInterface,
        headers: Mapping[str, str],
        answer: A2AAnswer,
        tell: Callable[[AnswerPart], Awaitable[None]],
        *,
        streams: bool,
    ) -> None:
        params = send_params(task, interface)
        async with self._post(interface, "stream" if streams else "send", params, headers) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                for part in answer.take(await read_body(response)):
                    await tell(part)
                return
            events = EventData()
            async for data in response.aiter_bytes():
                for event in events.feed(data):
                    for part in answer.take(event):
                        await tell(part)
                if answer.is_over:
                    # Some keep the stream open while they wait for an answer.
                    return
        if answer.task_id is None and not answer.is_over:
            raise PeerUnavailable("it broke off in the middle of its answer")

    async def _poll(
        self,
        interface: A2AInterface,
        headers: Mapping[str, str],
        answer: A2AAnswer,
        tell: Callable[[AnswerPart], Awaitable[None]],
    ) -> None:
        """Ask for the task until it is over: of an agent that does not stream or does not wait, or whose stream broke off."""
        pause = _FIRST_PAUSE
        while not answer.is_over:
            if answer.task_id is None:
                raise DelegationFailed("its answer could not be read")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            async with self._post(interface, "get", {"id": answer.task_id}, headers) as response:
                for part in answer.take(await read_body(response)):
                    await tell(part)

    def _cancel_later(self, task_id: str, interface: A2AInterface, headers: Mapping[str, str]) -> None:
        # A task of its own, since this one may have been cancelled; and in a context of its own.
        loop = asyncio.get_running_loop()
        cancelling = loop.create_task(self._cancel(task_id, interface, headers), context=Context())
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)

    async def _cancel(self, task_id: str, interface: A2AInterface, headers: Mapping[str, str]) -> None:
        try:
            async with (
                asyncio.timeout(_CANCEL_TIMEOUT),
                self._post(interface, "cancel", {"id": task_id}, headers) as response,
            ):
                await read_body(response)
        except (DelegationFailed, TimeoutError):
            # It may have ended meanwhile; and nobody is left who wants to know.
            return

    @asynccontextmanager
    async def _post(
        self, interface: A2AInterface, method: Method, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx2.Response]:
        """Make a call; the response is open for as long as the block lasts.

        Raises:
            PeerUnavailable: the agent could not be reached, or broke off.
            DelegationFailed: it answered with a status other than 200.
        """
        try:
            async with self._http().stream(
                "POST",
                interface.url,
                json=call_object(interface, method, params),
                headers={**headers, "accept": "application/json, text/event-stream"},
                # How long an answer may take is the caller's to say.
                timeout=httpx2.Timeout(None, connect=self._connect_timeout),
            ) as response:
                if response.status_code != 200:
                    raise refusal(response.status_code, await read_body(response, MAX_ERROR_BYTES))
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise PeerUnavailable("it could not be reached, or broke off") from exc
