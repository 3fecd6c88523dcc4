"""How large the model behind an endpoint is, as far as its name or its endpoint tells."""

import re
from typing import Any

from openai import AsyncOpenAI, OpenAIError
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel

__all__ = ["is_small", "parameters_in_name"]

# Below this, models are too small to decide and to write calls by themselves. Larger ones, and those whose size nobody
# tells, are spoken to as capable models.
_SMALL = 450_000_000
# What is less than this in a name is the length of a context: `qwen2.5-7b-instruct-1m`.
_LEAST = 10_000_000
_SIZE = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)\s?([mb])(?![a-z0-9])", re.IGNORECASE)
_TIMEOUT = 5.0


async def is_small(model: Model) -> bool:
    """Return whether a model is known to be too small for free choice.

    The name is asked first (`smollm2:135m`), then the endpoint's list of models, where llama.cpp tells the number of
    parameters. Nothing is generated for it, and an endpoint that does not answer is not an error.
    """
    while isinstance(model, WrapperModel):
        model = model.wrapped
    count = parameters_in_name(model.model_name)
    if count is None and isinstance(model, OpenAIChatModel):
        count = await _parameters_by_endpoint(model.client, model.model_name)
    return count is not None and count < _SMALL


def parameters_in_name(name: str) -> float | None:
    """Return the number of parameters that a model's name gives, the largest if there are several."""
    counts = [
        float(experts or 1) * float(number) * (1e6 if unit in "mM" else 1e9)
        for experts, number, unit in _SIZE.findall(name.replace("_", "-"))
    ]
    return max((count for count in counts if count >= _LEAST), default=None)


async def _parameters_by_endpoint(client: AsyncOpenAI, name: str) -> float | None:
    try:
        listed: Any = await client.with_options(max_retries=0, timeout=_TIMEOUT).get(
            "/models", cast_to=object
        )
    except (OpenAIError, ValueError):
        return None
    data = listed.get("data") if isinstance(listed, dict) else None
    models = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    entry = next((one for one in models if one.get("id") == name), models[0] if len(models) == 1 else None)
    if entry is None:
        return None
    meta = entry.get("meta")
    count = meta.get("n_params") if isinstance(meta, dict) else None
    return (
        float(count)
        if isinstance(count, int | float)
        else parameters_in_name(str(entry.get("id")).rsplit("/", 1)[-1])
    )
