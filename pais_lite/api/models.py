"""`GET /v1/models`: the served agent as an OpenAI model object."""

import time
from typing import Any

from pais_lite.api.call import Call
from pais_lite.errors import NotFound
from pais_lite.http import json_response

__all__ = ["Models"]


class Models:
    """The routes, for one agent. `created` is when the server was made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._created = int(time.time())

    async def list(self, call: Call) -> None:
        """Answer with the list of the one model."""
        await call.reply.respond(json_response({"object": "list", "data": [self._model_object()]}))

    async def retrieve(self, call: Call) -> None:
        """Answer with the model; raises `NotFound` for any other id."""
        if call.params["id"] != self._name:
            raise NotFound("there is no such model", code="model_not_found", param="model")
        await call.reply.respond(json_response(self._model_object()))

    def _model_object(self) -> dict[str, Any]:
        return {"id": self._name, "object": "model", "created": self._created, "owned_by": "pais-lite"}
