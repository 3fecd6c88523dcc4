"""A model that takes no tools, made to look like one that does.

Tool definitions leave the request for the prompt, and the calls that the model writes come back out of its text. Where
the endpoint speaks the chat-completions protocol, the answer is held by a JSON schema to be calls or text; an endpoint
that refuses the schema is asked again without one and not bothered with it afterwards.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from pais_lite.models.string_mode.small import decide, is_small
from pais_lite.models.string_mode.stream import StringModeStream, read_response, tool_call_part
from pais_lite.models.string_mode.turn import Offer, Request, Turn, allowed, request_for

__all__ = ["StringModeModel"]

logger = logging.getLogger(__name__)

# What endpoints answer when they cannot take a `response_format`. A 500 may be anything, so it is only remembered when
# it talks about the schema.
_REFUSALS = frozenset((400, 404, 405, 415, 422, 500, 501))
_REFUSED_WORDS = ("response_format", "json_schema", "grammar", "schema", "guided", "structured")


class StringModeModel(WrapperModel):
    """Wraps a model that cannot call functions; agents, tools and outputs need not know.

    Tool call ids are made here. Text that a model writes behind its calls is dropped: it was written without having
    seen their results.

    A model that is known to be very small, by its name or by what its endpoint tells of it, is not left to choose: see
    `pais_lite.models.string_mode.small`. That takes several short requests, which count in the response's usage.
    """

    def __init__(
        self, wrapped: Model | str, *, constrain: bool | None = None, small: bool | None = None
    ) -> None:
        """Wrap a model.

        `constrain` says whether to ask the endpoint for a JSON schema; None means: where its protocol has one.
        `small` says whether the model needs help to choose; None means: find out, once.
        """
        super().__init__(wrapped)
        self._constrain = _speaks_chat_completions(self.wrapped) if constrain is None else constrain
        self._small = small

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the wrapped model, and return its answer with the calls it wrote as parts.

        Raises:
            ModelAPIError: whatever the wrapped model raises.
        """
        # Which kind of structured output suits the endpoint is no question here: output tools work on all of them.
        parameters = model_request_parameters.with_default_output_mode("tool")
        turn = await self._turn(messages, model_settings, parameters)
        if isinstance(turn, ModelResponse):
            return turn
        request = request_for(messages, model_settings, parameters, turn)
        try:
            response = await self.wrapped.request(request.messages, request.settings, request.parameters)
        except ModelHTTPError as error:
            if not (request.constrained and _may_refuse_schema(error)):
                raise
            request = request_for(messages, model_settings, parameters, turn.unconstrained())
            response = await self.wrapped.request(request.messages, request.settings, request.parameters)
            self._remember_refusal(error)
        if request.tools is not None:
            response = read_response(response, request.tools, enveloped=request.enveloped)
        return replace(response, usage=response.usage + turn.spent)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream the wrapped model's answer: text as it is generated, a call once it is whole.

        Raises:
            ModelAPIError: whatever the wrapped model raises.
        """
        parameters = model_request_parameters.with_default_output_mode("tool")
        turn = await self._turn(messages, model_settings, parameters)
        if isinstance(turn, ModelResponse):
            yield CompletedStreamedResponse(turn, model_request_parameters=parameters, replay_events=True)
            return
        request = request_for(messages, model_settings, parameters, turn)
        async with AsyncExitStack() as stack:
            try:
                inner = await self._entered(stack, request, run_context)
            except ModelHTTPError as error:
                if not (request.constrained and _may_refuse_schema(error)):
                    raise
                request = request_for(messages, model_settings, parameters, turn.unconstrained())
                inner = await self._entered(stack, request, run_context)
                self._remember_refusal(error)
            yield StringModeStream(
                model_request_parameters=parameters,
                inner=inner,
                tools=request.tools,
                enveloped=request.enveloped,
                spent=turn.spent,
            )

    async def _entered(
        self, stack: AsyncExitStack, request: Request, run_context: RunContext[Any] | None
    ) -> StreamedResponse:
        return await stack.enter_async_context(
            self.wrapped.request_stream(request.messages, request.settings, request.parameters, run_context)
        )

    def _remember_refusal(self, error: ModelHTTPError) -> None:
        if self._constrain and (error.status_code < 500 or _mentions_schema(error)):
            self._constrain = False
            logger.info(
                "model %s takes no response_format (HTTP %s); its answers are parsed instead",
                self.model_name,
                error.status_code,
            )

    async def _turn(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Turn | ModelResponse:
        """Return what to ask the model, or the answer where it has been found without asking."""
        tools, text = allowed(settings, parameters)
        offer = Offer(
            tools=tools,
            text=text,
            several=bool((settings or {}).get("parallel_tool_calls", True)),
            # An output in text has a format of its own, which a schema for calls or prose would fight.
            constrain=self._constrain and parameters.output_mode not in ("native", "prompted"),
        )
        if not (tools and self._constrain and await self._is_small()):
            return Turn(offer)
        decision = await decide(self.wrapped, messages, settings, tools, text=text)
        if decision.call:
            return ModelResponse(
                parts=[tool_call_part(decision.call)],
                usage=decision.usage,
                model_name=self.model_name,
                provider_name=self.system,
                finish_reason="tool_call",
            )
        if decision.offer:
            offer = replace(
                offer, tools=list(decision.offer), text=False, several=False, constrain=self._constrain
            )
            return Turn(offer, spent=decision.usage)
        return Turn(offer, talk=True, spent=decision.usage)

    async def _is_small(self) -> bool:
        if self._small is None:
            self._small = await is_small(self.wrapped)
            if self._small:
                logger.info(
                    "model %s is very small; its tool calls are decided by measuring it", self.model_name
                )
        return self._small


def _speaks_chat_completions(model: Model) -> bool:
    while isinstance(model, WrapperModel):
        model = model.wrapped
    return isinstance(model, OpenAIChatModel)


def _may_refuse_schema(error: ModelHTTPError) -> bool:
    return error.status_code in _REFUSALS


def _mentions_schema(error: ModelHTTPError) -> bool:
    body = str(error.body).casefold()
    return any(word in body for word in _REFUSED_WORDS)
