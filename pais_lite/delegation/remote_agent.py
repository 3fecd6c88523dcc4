"""`RemoteAgent`: another agent, reached over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2

from pais_lite.delegation import chain
from pais_lite.delegation.a2a_client import A2AClient
from pais_lite.delegation.profile import (
    AgentProfile,
    find_places,
    maybe_profile,
    maybe_profile_of_models,
    reachable_url,
    same_origin,
)
from pais_lite.delegation.replies import MAX_ERROR_BYTES, read_body, refusal
from pais_lite.delegation.stream import (
    AnswerFailed,
    AnswerReader,
    read_completion,
    read_usage,
    waits_for_somebody,
)
from pais_lite.delegation.sub_agent import AnswerPart, AnswerUsage, SubAgent, Task
from pais_lite.encoding import maybe_json
from pais_lite.errors import ConfigurationError, DelegationFailed, PeerUnavailable
from pais_lite.peers import is_http_url
from pais_lite.telemetry import outgoing_headers

__all__ = ["HttpClient", "RemoteAgent"]

# No honest card is longer.
_MAX_CARD_BYTES = 1024 * 1024


class HttpClient:
    """One HTTP client for all the agents that share it, made when it is first needed, again after `aclose`."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None

    def get(self) -> httpx2.AsyncClient:
        """Return the client."""
        if self._client is None:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
            self._client = httpx2.AsyncClient(limits=limits, headers={"accept-encoding": "identity"})
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class RemoteAgent(SubAgent):
    """Another agent: a server like this one, any that has an agent card and A2A or the OpenAI API, or the API alone.

    `card_url` is its base URL, or that of its card. `api_key` goes along as a bearer key. What it is and can is
    looked up in the background, from the first use on; while it cannot be reached, `profile` is `None`, and looking
    goes on until it can. Close it by `aclose`, or with the `Agent` that it was given to.

    Raises:
        ConfigurationError: the URL is not one of HTTP.
    """

    def __init__(
        self,
        name: str,
        card_url: str,
        *,
        api_key: str | None = None,
        discovery_timeout: float = 5.0,
        timeout: float = 60.0,
        http_client: HttpClient | None = None,
    ) -> None:
        if not is_http_url(card_url):
            raise ConfigurationError(
                f"agent {name!r}: its URL has to be one that begins with http:// or https://"
            )
        super().__init__(name, timeout=timeout)
        self.card_url = card_url
        self._places = find_places(card_url)
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._discovery_timeout = discovery_timeout
        self._http = http_client or HttpClient()
        self._a2a = A2AClient(lambda: self._http.get(), connect_timeout=discovery_timeout)

    @property
    def place(self) -> str:
        """Its URL, as it was given."""
        return self.card_url

    async def discover(self) -> AgentProfile:
        """Look the agent up.

        Raises:
            PeerUnavailable: it did not answer in time, or not like an agent.
        """
        try:
            async with asyncio.timeout(self._discovery_timeout):
                for place in self._places.cards:
                    if (profile := maybe_profile(await self._get(place))) is not None:
                        return await self._with_protocol(profile, place)
                models = maybe_profile_of_models(await self._get(f"{self._places.api}/models"), self.name)
        except TimeoutError as exc:
            raise PeerUnavailable("it did not answer in time") from exc
        if models is None:
            raise PeerUnavailable("there is neither an agent card nor a list of models")
        return models

    async def hand_over(
        self, task: Task, profile: AgentProfile, tell: Callable[[AnswerPart], Awaitable[None]]
    ) -> str:
        """Send the task and read the answer; see `SubAgent`.

        Cancelling it closes the connection, by which the other side knows to stop as well; by A2A, it is told so.
        """
        if profile.a2a is not None:
            # The key is for the agent that it was given for, wherever its card says that it is.
            own = self._headers if same_origin(profile.a2a.url, self.card_url) else {}
            return await self._a2a.hand_over(task, profile.a2a, {**_headers(task), **own}, tell)
        body: dict[str, Any] = {
            "model": profile.model,
            "messages": task.messages(role="task-delegation" if profile.takes_delegations else "user"),
            "stream": task.stream,
        }
        if task.stream:
            body["stream_options"] = {"include_usage": True}
        async with self._post(body, _headers(task)) as response:
            if response.status_code != 200:
                error = await read_body(response, MAX_ERROR_BYTES)
                await tell(AnswerUsage(read_usage(error)))
                raise refusal(response.status_code, error)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return await _follow(response, tell)
            answer = await read_body(response)
            await tell(AnswerUsage(read_usage(answer)))
            return read_completion(answer)

    async def aclose(self) -> None:
        """Stop looking and close the connections; using the agent again opens both again."""
        await super().aclose()
        await self._a2a.aclose()
        await self._http.aclose()

    async def _with_protocol(self, profile: AgentProfile, card_url: str) -> AgentProfile:
        """Choose how the agent is spoken to: by the OpenAI API where it has that, which tells more, else by A2A."""
        if profile.a2a is None or profile.takes_delegations:
            return replace(profile, a2a=None)
        if maybe_profile_of_models(await self._get(f"{self._places.api}/models"), self.name) is not None:
            return replace(profile, a2a=None)
        return replace(profile, a2a=replace(profile.a2a, url=reachable_url(profile.a2a.url, card_url)))

    @asynccontextmanager
    async def _post(
        self, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx2.Response]:
        """Send a chat request; the response, of any status, is open for as long as the block lasts.

        Raises:
            PeerUnavailable: the agent could not be reached, or broke off.
        """
        try:
            async with self._http.get().stream(
                "POST",
                f"{self._places.api}/chat/completions",
                json=body,
                headers={**headers, **self._headers},
                # How long an answer may take is the caller's to say.
                timeout=httpx2.Timeout(None, connect=self._discovery_timeout),
            ) as response:
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise PeerUnavailable("it could not be reached, or broke off") from exc

    async def _get(self, url: str) -> object:
        """Return the JSON at `url`, `None` where there is something else or nothing."""
        try:
            async with self._http.get().stream(
                "GET", url, headers=self._headers, timeout=self._discovery_timeout
            ) as response:
                if response.status_code >= 500:
                    # About to start or to stop: what it has not got now, it may have in a moment.
                    raise PeerUnavailable(f"it answered with status {response.status_code}")
                if response.status_code != 200:
                    return None
                data = b""
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > _MAX_CARD_BYTES:
                        return None
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise PeerUnavailable("it could not be reached") from exc
        return maybe_json(data)


def _headers(task: Task) -> dict[str, str]:
    headers = {
        **outgoing_headers(),
        "x-request-timeout": f"{task.seconds:.3f}",
        # Whatever its own setting is: nobody is left to read the answer.
        "x-on-disconnect": "cancel",
    }
    if task.chain:
        headers[chain.CHAIN_HEADER] = chain.write_chain(task.chain)
    return headers


async def _follow(response: httpx2.Response, tell: Callable[[AnswerPart], Awaitable[None]]) -> str:
    """Read a stream to its end, and pass on what comes."""
    reader = AnswerReader()
    try:
        async for data in response.aiter_bytes():
            for event in reader.feed(data):
                if isinstance(event, AnswerFailed):
                    raise DelegationFailed.because("it failed while it worked on the task", event.code)
                await tell(event)
    finally:
        await tell(AnswerUsage(reader.usage))
    if not reader.ended:
        raise PeerUnavailable("it broke off in the middle of its answer")
    if reader.waits:
        raise waits_for_somebody()
    return reader.text
