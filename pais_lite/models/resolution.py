"""Which model answers: the order that the contract of this package promises, decided once at start."""

from typing import Literal, Protocol

from pydantic_ai.models import KnownModelName, Model, infer_model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

from pais_lite.errors import ConfigurationError
from pais_lite.models.mock import MockScript
from pais_lite.settings import Settings

__all__ = ["ModelSource", "resolve_model"]

ToolCallMode = Literal["auto", "native", "string"]


class ModelSource(Protocol):
    """Where each run gets its model from."""

    def for_run(self) -> Model | str | None:
        """Return the model of one run; `None` leaves the choice to the served agent's own."""

    async def aclose(self) -> None:
        """Close what the model holds open; runs must have ended."""


class _Given:
    """One model for every run, made by whoever passed it in, who also closes it."""

    def __init__(self, model: Model | str, mode: ToolCallMode) -> None:
        self._given = model
        self._mode = mode
        self._model: Model | None = None

    def for_run(self) -> Model | str | None:
        if self._model is None:
            # At the first run and not at start: a model named by a text may need a key that tests don't have.
            self._model = _with_tool_calls(infer_model(self._given), self._mode)
        return self._model

    async def aclose(self) -> None:
        return


class _Own:
    """The served agent's own model, as it is."""

    def for_run(self) -> Model | str | None:
        return None

    async def aclose(self) -> None:
        return


class _Mock:
    """A fresh copy of the mock script for every run."""

    def __init__(self, script: MockScript) -> None:
        self._script = script

    def for_run(self) -> Model | str | None:
        return self._script.new_model()

    async def aclose(self) -> None:
        return


def resolve_model(
    model: Model | KnownModelName | str | None,
    settings: Settings,
    *,
    own_model: Model | KnownModelName | str | None,
) -> ModelSource:
    """Return the source of models: `model`, else the mock, else the endpoint of the settings, else the agent's own.

    Raises:
        ConfigurationError: none of these is there; the message names the variables.
    """
    mode = settings.tool_call_mode
    if model is not None:
        return _Given(model, mode)
    if settings.debug_mock_responses is not None:
        return _Mock(MockScript(settings.debug_mock_responses))
    if settings.model_api_url is not None:
        if settings.model_name is None:
            raise ConfigurationError("MODEL_API_URL needs MODEL_NAME, the model to ask for there")
        # Importing the OpenAI client takes as long as importing Pydantic AI; those who don't use it don't wait.
        from pais_lite.models.endpoint import EndpointModel

        def wrap(endpoint: Model) -> Model:
            return _with_tool_calls(endpoint, mode)

        return EndpointModel(settings.model_api_url, settings.model_name, settings, wrap)
    if own_model is not None:
        return _Own() if mode == "native" else _Given(own_model, mode)
    raise ConfigurationError(
        "there is no model: set MODEL_API_URL and MODEL_NAME to an OpenAI-compatible endpoint, set "
        "DEBUG_MOCK_RESPONSES to a list of answers, or give the agent a model of its own"
    )


def _with_tool_calls(model: Model, mode: ToolCallMode) -> Model:
    """Return `model` as `TOOL_CALL_MODE` wants its tools called."""
    # The models of tests take tools, whatever they are made to say.
    if mode == "native" or (mode == "auto" and isinstance(model, FunctionModel | TestModel)):
        return model
    # Late for the same reason: both look at how the OpenAI client's models speak.
    from pais_lite.models.auto_tools import AutoToolModel
    from pais_lite.models.string_mode import StringModeModel

    return StringModeModel(model) if mode == "string" else AutoToolModel(model)
