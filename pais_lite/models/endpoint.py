"""A model behind an OpenAI-compatible endpoint: `MODEL_API_URL` and `MODEL_NAME`."""

from collections.abc import Callable
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from pais_lite.models.checked import CheckedChatModel
from pais_lite.models.streaming import streaming_client
from pais_lite.settings import Settings
from pais_lite.telemetry import send_trace_context

__all__ = ["EndpointModel", "api_base_url"]

# The OpenAI client insists on a key, and would otherwise take one from the environment that is meant for somebody else.
_NO_KEY = "none"
_OPENAI_HOST = "api.openai.com"
_CONNECT_TIMEOUT = 10.0


def api_base_url(url: str) -> str:
    """Return `url` with `/v1` appended where it has no such end."""
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url}/v1"


class EndpointModel:
    """One model and one HTTP client for all runs, made for the first of them, and anew for one after `aclose`."""

    def __init__(self, url: str, name: str, settings: Settings, wrap: Callable[[Model], Model]) -> None:
        self._url = url
        self._name = name
        self._settings = settings
        self._wrap = wrap
        self._http_client: httpx2.AsyncClient | None = None
        self._model: Model | None = None

    def for_run(self) -> Model:
        """Return the one model."""
        if self._model is None:
            self._model = self._open()
        return self._model

    async def aclose(self) -> None:
        """Close the connections to the endpoint."""
        client, self._http_client, self._model = self._http_client, None, None
        if client is not None:
            await client.aclose()

    def _open(self) -> Model:
        timeout = self._settings.model_timeout
        self._http_client = streaming_client(
            timeout=timeout,
            connect_timeout=min(_CONNECT_TIMEOUT, timeout),
            # A run has one call to the model at a time, and runs are counted elsewhere.
            max_connections=self._settings.max_concurrent_runs,
            proxy=_maybe_proxy(self._url),
        )
        self._http_client.event_hooks = {"request": [send_trace_context], "response": []}
        client = AsyncOpenAI(
            base_url=api_base_url(self._url),
            api_key=self._settings.model_api_key or _NO_KEY,
            http_client=self._http_client,
            max_retries=0,
        )
        return self._wrap(_chat_model(self._name, client))


def _maybe_proxy(url: str) -> str | None:
    """Return the proxy that the standard variables, such as HTTPS_PROXY and NO_PROXY, name for `url`."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _chat_model(name: str, client: AsyncOpenAI) -> OpenAIChatModel:
    if client.base_url.host == _OPENAI_HOST:
        return CheckedChatModel(name, provider=OpenAIProvider(openai_client=client))
    # Other servers of this API know the older `max_tokens`, not all of them the newer name.
    profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
    provider = OpenAICompatibleProvider("openai-compatible", openai_client=client)
    return CheckedChatModel(name, provider=provider, profile=profile)
