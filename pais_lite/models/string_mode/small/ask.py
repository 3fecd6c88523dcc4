"""Small questions to a small model: how likely it finds a text, and which of some values it would write."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import from_json, to_json

from pais_lite.models.string_mode.schema import response_format

__all__ = ["Asker", "conversation"]

# What of the caller's settings concerns the connection rather than the answer.
_KEPT = ("timeout", "extra_headers")
# JSON of the values that are chosen from is never longer.
_MAX_ANSWER_TOKENS = 400


def conversation(system: str, *turns: str) -> list[ModelMessage]:
    """Return a conversation in which user and model speak by turns."""
    messages: list[ModelMessage] = []
    for index, turn in enumerate(turns):
        if index % 2:
            messages.append(ModelResponse(parts=[TextPart(turn)]))
        else:
            parts = [SystemPromptPart(system)] if system and not index else []
            messages.append(ModelRequest(parts=[*parts, UserPromptPart(turn)]))
    return messages


class Asker:
    """Asks for the length of one user turn, and counts what that cost."""

    def __init__(self, model: Model, settings: ModelSettings | None) -> None:
        self._model = model
        self._settings = settings or {}
        self.usage = RequestUsage()
        self.requests = 0

    async def likelihoods(self, messages: list[ModelMessage], text: str) -> list[float] | None:
        """Return the log-likelihood of each blank-separated word of `text` as the next turn.

        None means that the endpoint does not tell, which is no error.

        Raises:
            ModelAPIError: if the endpoint fails for another reason than the question.
        """
        quoted = to_json(text).decode()
        response = await self._ask(messages, {"const": text}, len(quoted.encode()) + 8, logprobs=True)
        told = (response.provider_details or {}).get("logprobs") if response else None
        return _by_word(quoted, told) if isinstance(told, list) else None

    async def choose(self, messages: list[ModelMessage], schema: Mapping[str, Any]) -> Any:
        """Return the value that the model writes under `schema`, or None if the endpoint or the value is no good.

        Raises:
            ModelAPIError: if the endpoint fails for another reason than the question.
        """
        response = await self._ask(messages, schema, _MAX_ANSWER_TOKENS, logprobs=False)
        if response is None:
            return None
        try:
            return from_json(response.text or "")
        except ValueError:
            return None

    async def _ask(
        self, messages: list[ModelMessage], schema: Mapping[str, Any], max_tokens: int, *, logprobs: bool
    ) -> ModelResponse | None:
        body = self._settings.get("extra_body")
        settings: dict[str, Any] = {
            **{key: value for key, value in self._settings.items() if key in _KEPT},
            "temperature": 0.0,
            "max_tokens": max_tokens,
            # JSON holds no raw line break, and grammars let a model write blank lines behind it for as long as it likes.
            "stop_sequences": ["\n"],
            "extra_body": {
                **(body if isinstance(body, dict) else {}),
                "response_format": response_format(schema),
            },
        }
        if logprobs:
            settings |= {"openai_logprobs": True, "openai_top_logprobs": 1}
        try:
            response = await self._model.request(
                messages, cast("ModelSettings", settings), ModelRequestParameters()
            )
        except ModelHTTPError as error:
            if error.status_code in (400, 404, 422, 500, 501):
                return None
            raise
        self.requests += 1
        self.usage += replace(response.usage)
        return response


def _by_word(quoted: str, tokens: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Add up the log-likelihoods of the tokens of each word; None if the tokens do not spell `quoted`."""
    target = quoted.encode()
    word_at: list[int] = []
    word = 0
    for byte in target:
        if byte == 0x20:
            word += 1
        word_at.append(word)
    sums = [0.0] * (word + 1)
    position = 0
    for token in tokens:
        raw = token.get("bytes")
        piece = bytes(raw) if raw else str(token.get("token", "")).encode()
        if not piece:
            continue
        if target[position : position + len(piece)] != piece:
            return None
        # The opening quotation mark says nothing about the text, nor does the closing one.
        if not (position == 0 and len(piece) == 1) and position + len(piece) < len(target):
            sums[word_at[position]] += float(token["logprob"])
        position += len(piece)
        if position == len(target):
            return sums
    return None
