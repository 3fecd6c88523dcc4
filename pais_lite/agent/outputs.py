"""What a run may end in: the agent's own kind of output, what the client wants it to be, or calls that wait for it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import GetCoreSchemaHandler, PydanticUserError, TypeAdapter
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import DeferredToolRequests, NativeOutput, PromptedOutput, StructuredDict, exceptions
from pydantic_ai.models import Model, infer_model
from pydantic_ai.toolsets import FunctionToolset
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pais_lite.agent.json_schema import JsonSchema, UnusableSchema
from pais_lite.agent.json_validation import maybe_violation
from pais_lite.agent.older_schemas import modernized
from pais_lite.agent.request import OutputFormat
from pais_lite.encoding import maybe_json
from pais_lite.errors import InvalidRequest, ModelMisbehaved

__all__ = ["OutputTypes", "check_answer", "check_schema", "says_keep_own"]

# Part of what Pydantic AI raises when it is given output types for such an agent. It has no public way to ask for them.
_HAS_VALIDATORS = "output validators"
# Without its last entry, model adapters write it down as an object that has none.
_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "additionalProperties": True}


class OutputTypes:
    """The output types of one agent's runs.

    A client's format takes the place of text. An agent with another output than text keeps it: what it gives is compared
    with the format once it is there. Pydantic AI gives an agent with output validators no other types than its own,
    which only the error of a run tells (`says_keep_own`): `keep_own` is to be called then. Such an agent hands out calls
    if it has `DeferredToolRequests` among them.
    """

    def __init__(self, agent: PydanticAgent[Any, Any]) -> None:
        declared: Any = agent.output_type
        own = list(declared) if isinstance(declared, Sequence) else [declared]
        others = [kind for kind in own if kind is not DeferredToolRequests]
        self.is_text = others == [str]
        self._is_own = False
        self._agent = agent
        self._takes_formats = str in others
        self._declares_calls = len(others) < len(own)
        self._types: list[Any] | None = None if self._declares_calls else [*own, DeferredToolRequests]

    def for_run(self, output: OutputFormat | None, model: Model | str | None, *, more_tools: bool) -> Any:
        """Return what to give to a run of `model` as `output_type`, `None` for the agent's own.

        `more_tools` says that the run has others than the agent's. Pydantic AI makes a schema of what it is given anew
        in each run, which costs one with a structured output half as much again. No call can wait in a run without
        tools, so that one keeps what the agent has.
        """
        if output is None or not self._takes_formats:
            return self._types if self.is_text or more_tools or self._has_tools() else None
        return [_structured(output, model or self._agent.model), DeferredToolRequests]

    def replaced_by(self, output: OutputFormat | None) -> bool:
        """Return whether the run's output is the client's, rather than the agent's own."""
        return output is not None and self._takes_formats

    def check(self, output: OutputFormat | None, *, with_tools: bool) -> None:
        """Return when the agent can answer in this form, and hand out calls where the client has tools.

        Raises:
            InvalidRequest: it has to keep its own output types.
        """
        if self._is_own and with_tools and not self._declares_calls:
            raise InvalidRequest("tools: this agent takes none of its clients", param="tools")
        if self._is_own and self.replaced_by(output):
            raise InvalidRequest(
                "response_format: this agent has checks of its own for its answers, and takes no other form",
                param="response_format",
            )

    def keep_own(self) -> None:
        """Give runs no other types than the agent's own from now on."""
        self._types, self._is_own = None, True

    def _has_tools(self) -> bool:
        # Asked each time: tools may be added to an agent that is served already.
        return any(
            not isinstance(toolset, FunctionToolset) or toolset.tools for toolset in self._agent.toolsets
        )


def says_keep_own(error: exceptions.UserError) -> bool:
    """Return whether a run did not begin because its agent takes no other output types than its own."""
    return _HAS_VALIDATORS in error.message


def check_schema(schema: object) -> Mapping[str, Any]:
    """Return a schema that answers can be held to, in the words of JSON Schema 2020-12.

    Raises:
        UnusableSchema: it is no JSON schema, not of an object, or says what is not supported.
    """
    schema = modernized(schema)
    JsonSchema(schema)
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise UnusableSchema("the schema has to be of an object: its type has to be object")
    try:
        # As a run is going to do. What no keyword holds, such as a reference in a title, nobody else has looked at.
        TypeAdapter(StructuredDict(deepcopy(dict(schema)))).json_schema()
    except (exceptions.UserError, PydanticUserError, LookupError, TypeError, ValueError) as exc:
        raise UnusableSchema("the schema cannot be handed to a model") from exc
    return schema


def check_answer(wanted: OutputFormat, answer: str) -> None:
    """Return when an answer of the agent's own kind is what the client wanted.

    Raises:
        ModelMisbehaved: it is not.
    """
    if (violation := maybe_violation(_schema_of(wanted), maybe_json(answer.encode()))) is not None:
        raise ModelMisbehaved(f"the agent's answer does not fit response_format: {violation}")


def _schema_of(output: OutputFormat) -> JsonSchema:
    return JsonSchema(output.schema or _ANY_OBJECT)


def _structured(output: OutputFormat, model: Model | str | None) -> Any:
    schema = _schema_of(output)

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if (violation := maybe_violation(schema, value)) is not None:
            # Not a ValueError: its text would be taken for a template.
            raise PydanticCustomError("json_schema", "{violation}", {"violation": violation})
        return value

    plain = StructuredDict(deepcopy(dict(output.schema or _ANY_OBJECT)))

    def checked(cls: Any, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())
        return core_schema.no_info_after_validator_function(check, inner)

    kind = type(output.name or "Answer", (plain,), {"__get_pydantic_core_schema__": classmethod(checked)})
    profile = infer_model(model).profile if model is not None else {}
    if output.schema is not None and profile.get("supports_json_schema_output"):
        return NativeOutput(
            kind, name=output.name, description=output.description, strict=bool(output.strict)
        )
    return PromptedOutput(kind, name=output.name, description=output.description)
