"""Which model answers: the order that the contract of this package promises, decided once at start."""

from typing import Protocol

from pydantic_ai.models import KnownModelName, Model

from pais_lite.errors import ConfigurationError
from pais_lite.models.mock import MockScript
from pais_lite.settings import Settings

__all__ = ["ModelSource", "resolve_model"]


class ModelSource(Protocol):
    """Where each run gets its model from."""

    def for_run(self) -> Model | str | None:
        """Return the model of one run; `None` leaves the choice to the served agent's own."""

    async def aclose(self) -> None:
        """Close what the model holds open; runs must have ended."""


class _Fixed:
    """One model for every run, made by whoever passed it in, who also closes it."""

    def __init__(self, model: Model | str | None) -> None:
        self._model = model

    def for_run(self) -> Model | str | None:
        return self._model

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
    model: Model | KnownModelName | str | None, settings: Settings, *, agent_has_model: bool
) -> ModelSource:
    """Return the source of models: `model`, else the mock, else the endpoint of the settings, else the agent's own.

    Raises:
        ConfigurationError: none of these is there; the message names the variables.
    """
    if model is not None:
        return _Fixed(model)
    if settings.debug_mock_responses is not None:
        return _Mock(MockScript(settings.debug_mock_responses))
    if settings.model_api_url is not None:
        if settings.model_name is None:
            raise ConfigurationError("MODEL_API_URL needs MODEL_NAME, the model to ask for there")
        # Importing the OpenAI client takes as long as importing Pydantic AI; those who don't use it don't wait.
        from pais_lite.models.endpoint import EndpointModel

        return EndpointModel(settings.model_api_url, settings.model_name, settings)
    if agent_has_model:
        return _Fixed(None)
    raise ConfigurationError(
        "there is no model: set MODEL_API_URL and MODEL_NAME to an OpenAI-compatible endpoint, set "
        "DEBUG_MOCK_RESPONSES to a list of answers, or give the agent a model of its own"
    )
