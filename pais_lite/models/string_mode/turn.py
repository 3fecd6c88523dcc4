"""One request in string mode: what the agent asks for, made into what the wrapped model gets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic_ai.messages import InstructionPart, ModelMessage
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from pais_lite.models.string_mode.prompt import instructions
from pais_lite.models.string_mode.schema import answer_schema, response_format
from pais_lite.models.string_mode.small import without_calls
from pais_lite.models.string_mode.transcript import retold

__all__ = ["Offer", "Request", "Turn", "allowed", "request_for"]


@dataclass(frozen=True)
class Request:
    """One request as the wrapped model gets it, and what is needed to read its answer."""

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    tools: dict[str, list[str]] | None = None
    """The parameters of what may be called, by name; without tools, the answer is taken as it is."""
    enveloped: bool = False
    constrained: bool = False


@dataclass(frozen=True)
class Offer:
    """What the model may do in this turn."""

    tools: list[ToolDefinition]
    text: bool
    several: bool
    constrain: bool


@dataclass(frozen=True)
class Turn:
    """What this turn is about: an offer to the model, or `talk`, for which it need not know of tools."""

    offer: Offer
    talk: bool = False
    spent: RequestUsage = field(default_factory=RequestUsage)
    """What finding that out has used."""

    def unconstrained(self) -> "Turn":
        """Return the same turn for an endpoint that takes no schema."""
        return replace(self, offer=replace(self.offer, constrain=False))


def request_for(
    messages: Sequence[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    turn: Turn,
) -> Request:
    """Return the request to the wrapped model for one turn."""
    offer = turn.offer
    sent = _without_tool_settings(settings)
    told = without_calls(messages) if turn.talk else retold(messages)
    if turn.talk or not offer.tools:
        return Request(told, sent, _without_tools(parameters, told, None))
    enveloped = offer.constrain and offer.text
    prompt = instructions(offer.tools, text=offer.text, enveloped=enveloped, several=offer.several)
    if offer.constrain:
        sent = _with_schema(sent, answer_schema(offer.tools, text=offer.text, several=offer.several))
    return Request(
        told,
        sent,
        _without_tools(parameters, told, prompt),
        tools={tool.name: list(tool.parameters_json_schema.get("properties", {})) for tool in offer.tools},
        enveloped=enveloped,
        constrained=offer.constrain,
    )


def allowed(
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
