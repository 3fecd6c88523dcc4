"""`GET /v1/models`: the served agents as OpenAI model objects."""

import time
from collections.abc import Sequence
from typing import Any

from pais_lite.api.call import Call
from pais_lite.errors import NotFound
from pais_lite.http import json_response

__all__ = ["Models"]


class Models:
    """The routes, for the agents of these names. `created` is when the server was made."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._created = int(time.time())

    async def list(self, call: Call) -> None:
        """Answer with the list of the models."""
        await call.reply.respond(
            json_response({"object": "list", "data": [self._model_object(name) for name in self._names]})
        )

    async def retrieve(self, call: Call) -> None:
        """Answer with the model; raises `NotFound` for any other id."""
        if call.params["id"] not in self._names:
            raise NotFound("there is no such model", code="model_not_found", param="model")
        await call.reply.respond(json_response(self._model_object(call.params["id"])))

    def _model_object(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "pais-lite"}
