"""`RemoteAgent`: another agent, reached over HTTP, and whether it can be reached at the moment."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

import httpx2

from pais_lite.delegation.profile import AgentProfile, find_places, maybe_profile, maybe_profile_of_models
from pais_lite.encoding import load_json
from pais_lite.errors import ConfigurationError, PeerUnavailable

__all__ = ["HttpClient", "RemoteAgent"]

_log = logging.getLogger("pais_lite.delegation")

# How long what was learnt is taken for true before it is looked up again, beside a request and not before it.
_FRESH_SECONDS = 60.0
# Pauses between looks for an agent that is away: soon at first, since most are away for a restart.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
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


class RemoteAgent:
    """Another agent: a server like this one, any that has an agent card and the OpenAI API, or the API alone.

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
        if not card_url.startswith(("http://", "https://")):
            raise ConfigurationError(f"agent {name!r}: its URL has to begin with http:// or https://")
        self.name = name
        self.card_url = card_url
        self.timeout = timeout
        self.profile: AgentProfile | None = None
        self._places = find_places(card_url)
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._discovery_timeout = discovery_timeout
        self._http = http_client or HttpClient()
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._fresh_until = 0.0

    def watch(self) -> None:
        """See to it, in the background, that what is known of the agent is true. Costs nothing while it is."""
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            if self.profile is None or loop.time() >= self._fresh_until:
                # In a context of its own: it does not belong to the request that happened to come first.
                self._looking = loop.create_task(self._look(), context=Context())

    @property
    def was_looked_for(self) -> bool:
        """Whether the agent has been looked for, found or not."""
        return self._looked.is_set()

    async def first_look(self) -> None:
        """Wait until the agent has been looked for once, found or not; at most the time that discovery may take."""
        self.watch()
        await self._looked.wait()

    def lost(self) -> None:
        """Take note that the agent could not be reached: it counts as away until it has been found again."""
        self.profile = None
        self.watch()

    async def discover(self) -> AgentProfile:
        """Look the agent up.

        Raises:
            PeerUnavailable: it did not answer in time, or not like an agent.
        """
        try:
            async with asyncio.timeout(self._discovery_timeout):
                for place in self._places.cards:
                    if (profile := maybe_profile(await self._get(place))) is not None:
                        return profile
                models = maybe_profile_of_models(await self._get(f"{self._places.api}/models"), self.name)
        except TimeoutError as exc:
            raise PeerUnavailable("it did not answer in time") from exc
        if models is None:
            raise PeerUnavailable("there is neither an agent card nor a list of models")
        return models

    @asynccontextmanager
    async def post(
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

    async def aclose(self) -> None:
        """Stop looking and close the connections; using the agent again opens both again."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        self._fresh_until = 0.0
        await self._http.aclose()

    async def _look(self) -> None:
        try:
            await self._look_until_found()
        finally:
            # Whatever happened: runs wait for it.
            self._looked.set()

    async def _look_until_found(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                profile = await self.discover()
            except PeerUnavailable as exc:
                if self.profile is not None or not self._looked.is_set():
                    _log.warning("agent %s is left out until it is found: %s", self.name, exc)
                self.profile = None
                self._looked.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            if self.profile is None:
                _log.info("agent %s is found", self.name)
            self.profile = profile
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH_SECONDS
            return

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
        try:
            return load_json(data)
        except (ValueError, RecursionError):
            return None
