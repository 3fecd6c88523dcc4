"""A model that takes no tools, made to look like one that does.

Tool definitions leave the request for the prompt, and the calls that the model writes come back out of its text. Where
the endpoint speaks the chat-completions protocol, the answer is held by a JSON schema to be calls or text; an endpoint
that refuses the schema is asked again without one and not bothered with it afterwards.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import InstructionPart, ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from pais_lite.models.string_mode.prompt import instructions
from pais_lite.models.string_mode.schema import answer_schema, response_format
from pais_lite.models.string_mode.small import decide, is_small, without_calls
from pais_lite.models.string_mode.stream import StringModeStream, read_response, tool_call_part
from pais_lite.models.string_mode.transcript import retold

__all__ = ["StringModeModel"]

logger = logging.getLogger(__name__)

# What endpoints answer when they cannot take a `response_format`. A 500 may be anything, so it is only remembered when
# it talks about the schema.
_REFUSALS = frozenset((400, 404, 405, 415, 422, 500, 501))
_REFUSED_WORDS = ("response_format", "json_schema", "grammar", "schema", "guided", "structured")


@dataclass(frozen=True)
class _Request:
    """One request as the wrapped model gets it, and what is needed to read its answer."""

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    tools: dict[str, list[str]] | None = None
    """The parameters of what may be called, by name; without tools, the answer is taken as it is."""
    enveloped: bool = False
    constrained: bool = False


@dataclass(frozen=True)
class _Offer:
    """What the model may do in this turn."""

    tools: list[ToolDefinition]
    text: bool
    several: bool
    constrain: bool


@dataclass(frozen=True)
class _Turn:
    """What this turn is about: an offer to the model, or `talk`, for which it need not know of tools."""

    offer: _Offer
    talk: bool = False
    spent: RequestUsage = field(default_factory=RequestUsage)
    """What finding that out has used."""


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
        request = _request(messages, model_settings, parameters, turn)
        try:
            response = await self.wrapped.request(request.messages, request.settings, request.parameters)
        except ModelHTTPError as error:
            if not (request.constrained and _may_refuse_schema(error)):
                raise
            request = _request(messages, model_settings, parameters, _unconstrained(turn))
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
        request = _request(messages, model_settings, parameters, turn)
        async with AsyncExitStack() as stack:
            try:
                inner = await self._entered(stack, request, run_context)
            except ModelHTTPError as error:
                if not (request.constrained and _may_refuse_schema(error)):
                    raise
                request = _request(messages, model_settings, parameters, _unconstrained(turn))
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
        self, stack: AsyncExitStack, request: _Request, run_context: RunContext[Any] | None
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
    ) -> _Turn | ModelResponse:
        """Return what to ask the model, or the answer where it has been found without asking."""
        tools, text = _allowed(settings, parameters)
        offer = _Offer(
            tools=tools,
            text=text,
            several=bool((settings or {}).get("parallel_tool_calls", True)),
            # An output in text has a format of its own, which a schema for calls or prose would fight.
            constrain=self._constrain and parameters.output_mode not in ("native", "prompted"),
        )
        if not (tools and offer.constrain and await self._is_small()):
            return _Turn(offer)
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
            offer = replace(offer, tools=list(decision.offer), text=False, several=False)
            return _Turn(offer, spent=decision.usage)
        return _Turn(offer, talk=True, spent=decision.usage)

    async def _is_small(self) -> bool:
        if self._small is None:
            self._small = await is_small(self.wrapped)
            if self._small:
                logger.info(
                    "model %s is very small; its tool calls are decided by measuring it", self.model_name
                )
        return self._small


def _unconstrained(turn: _Turn) -> _Turn:
    return replace(turn, offer=replace(turn.offer, constrain=False))


def _request(
    messages: Sequence[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    turn: _Turn,
) -> _Request:
    offer = turn.offer
    sent = _without_tool_settings(settings)
    told = without_calls(messages) if turn.talk else retold(messages)
    if turn.talk or not offer.tools:
        return _Request(told, sent, _without_tools(parameters, told, None))
    enveloped = offer.constrain and offer.text
    prompt = instructions(offer.tools, text=offer.text, enveloped=enveloped, several=offer.several)
    if offer.constrain:
        sent = _with_schema(sent, answer_schema(offer.tools, text=offer.text, several=offer.several))
    return _Request(
        told,
        sent,
        _without_tools(parameters, told, prompt),
        tools={tool.name: list(tool.parameters_json_schema.get("properties", {})) for tool in offer.tools},
        enveloped=enveloped,
        constrained=offer.constrain,
    )


def _speaks_chat_completions(model: Model) -> bool:
    while isinstance(model, WrapperModel):
        model = model.wrapped
    return isinstance(model, OpenAIChatModel)


def _may_refuse_schema(error: ModelHTTPError) -> bool:
    return error.status_code in _REFUSALS


def _mentions_schema(error: ModelHTTPError) -> bool:
    body = str(error.body).casefold()
    return any(word in body for word in _REFUSED_WORDS)


def _allowed(
    settings: ModelSettings | None, parameters: ModelRequestParameters
) -> tuple[list[ToolDefinition], bool]:
    """Return the tools that may be called in this turn, and whether text is an answer too."""
    visible = [
        tool
        for tool in parameters.function_tools
        if not tool.defer_loading or tool.name in parameters.revealed_tool_names
    ]
    everything = [*visible, *parameters.output_tools]
    choice = (settings or {}).get("tool_choice")
    text = parameters.allow_text_output
    if choice is None or choice == "auto":
        return everything, text
    if choice == "none":
        return list(parameters.output_tools), text
    if choice == "required":
        return everything, False
    if isinstance(choice, ToolOrOutput):
        return [tool for tool in visible if tool.name in choice.function_tools] + list(
            parameters.output_tools
        ), text
    if not choice:
        return list(parameters.output_tools), text
    return [tool for tool in everything if tool.name in choice], False


def _without_tool_settings(settings: ModelSettings | None) -> ModelSettings | None:
    if settings is None:
        return None
    kept = {
        key: value for key, value in settings.items() if key not in ("tool_choice", "parallel_tool_calls")
    }
    return cast("ModelSettings", kept)


def _with_schema(settings: ModelSettings | None, schema: dict[str, Any]) -> ModelSettings:
    body = (settings or {}).get("extra_body")
    extra = {**(body if isinstance(body, dict) else {}), "response_format": response_format(schema)}
    return cast("ModelSettings", {**(settings or {}), "extra_body": extra})


def _without_tools(
    parameters: ModelRequestParameters, messages: Sequence[ModelMessage], prompt: str | None
) -> ModelRequestParameters:
    """Return the parameters for a model that knows no tools, with `prompt` behind the agent's instructions."""
    mode = parameters.output_mode
    if mode == "native" and prompt is not None:
        # The endpoint would hold every answer to the output's schema, and no call could be written.
        mode = "prompted"
    elif mode not in ("native", "prompted"):
        mode = "text"
    parts = parameters.instruction_parts
    if prompt is not None:
        if parts is None:
            spoken = next(
                (m.instructions for m in reversed(messages) if m.kind == "request" and m.instructions), None
            )
            parts = [InstructionPart(spoken)] if spoken else []
        parts = [*parts, InstructionPart(prompt, dynamic=True)]
    return replace(
        parameters,
        function_tools=[],
        output_tools=[],
        output_mode=mode,
        output_object=parameters.output_object if mode in ("native", "prompted") else None,
        allow_text_output=True,
        instruction_parts=parts,
        tool_visibility=None,
        revealed_tool_names=set(),
        introduced_tool_names=set(),
        deferred_capability_ids=set(),
    )
