"""An OpenAI-compatible endpoint that answers with something else is an endpoint that failed, not a bug of ours.

Pydantic AI and the OpenAI client take a JSON answer for what its type says it is, and trip over one that is not with
whatever exception that gives.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

__all__ = ["CheckedChatModel"]

_TRIPPED: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
_MESSAGE: Final = "the endpoint's answer is not a chat completion"


class CheckedChatModel(OpenAIChatModel):
    """The model that Pydantic AI brings; raises `UnexpectedModelBehavior` where that one trips over an answer."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask, and return the whole answer."""
        try:
            return await super().request(messages, model_settings, model_request_parameters)
        except _TRIPPED as exc:
            raise UnexpectedModelBehavior(_MESSAGE) from exc

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask, and yield the answer as it comes. Its reader does nothing else that could raise these."""
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as response:
                yield response
        except _TRIPPED as exc:
            raise UnexpectedModelBehavior(_MESSAGE) from exc
