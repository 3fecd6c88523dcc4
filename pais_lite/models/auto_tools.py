"""Tools the native way, until the endpoint says that it has none; in string mode from then on."""

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from pais_lite.models.string_mode import StringModeModel

__all__ = ["AutoToolModel", "says_no_tools"]

logger = logging.getLogger(__name__)

# Collected from the projects' issue trackers and sources:
#   Ollama       400  registry.ollama.ai/library/smollm2:135m does not support tools
#   vLLM         400  "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set
#   llama.cpp    500  tools param requires --jinja flag; 500  Unsupported param: tools
#   LM Studio    400  ... does not support tools / tool use is not supported
#   LiteLLM      400  litellm.UnsupportedParamsError: ... does not support parameters: {'tools': ...} / ['tools']
#   OpenRouter   404  No endpoints found that support tool use
#   Groq         400  `tools` is not supported with this model; `tool calling` is not supported with this model
#   OpenAI       400  Unsupported parameter: 'tools' is not supported with this model
#   DeepSeek     400  deepseek-reasoner does not support Function Calling
#   SiliconFlow  400  Function call is not supported for this model
#   Mistral      400  Function calling is not enabled for this model
_TOOLS = r"(?:tools?(?:[ _-]?(?:use|usage|calls?|calling|choice))?|function[ _-]?call(?:s|ing)?|functions)"
_DOES_NOT = r"(?:does not|doesn't|do not|don't|cannot|can't|not) (?:currently |yet )?support(?:s|ed|ing)?"
_THE_PARAMETER = r"(?: for)?(?: the)?(?: parameters?:?)?[ :\[{('\"`]*"
_ARE_NOT = r"(?:is|are) (?:not|un)[ -]?(?:currently |yet )?(?:supported|enabled|available|allowed|permitted)"
_NO_TOOLS = re.compile(
    "|".join(
        (
            rf"{_DOES_NOT}{_THE_PARAMETER}{_TOOLS}\b",
            rf"{_TOOLS}['\"`]*(?: parameters?| params?| field)? {_ARE_NOT}",
            rf"unsupported (?:param|parameter|field|argument)s?:? *[\[{{('\"`]*{_TOOLS}\b",
            rf"unrecognized request arguments?(?: supplied)?: *{_TOOLS}\b",
            r"tools param requires",
            r"requires --enable-auto-tool-choice|requires --tool-call-parser|--tool-call-parser to be set",
            rf"no endpoints found that support {_TOOLS}",
            rf"without (?:any )?support for {_TOOLS}",
        )
    ),
    re.IGNORECASE,
)
# What concerns one call or one definition, rather than tools as such.
_ABOUT_ONE_CALL = re.compile(r"tool_call_id|parallel_tool_calls|parallel tool|strict", re.IGNORECASE)
# Statuses that are no answer to the request's content: keys, limits, and gateways that found nobody.
_NOT_ABOUT_CONTENT = frozenset((401, 402, 403, 408, 429, 502, 503, 504))


def says_no_tools(error: ModelHTTPError) -> bool:
    """Return whether an endpoint's error means that it, or its model, takes no tool definitions."""
    if error.status_code in _NOT_ABOUT_CONTENT:
        return False
    body = str(error.body)
    return _NO_TOOLS.search(body) is not None and _ABOUT_ONE_CALL.search(body) is None


class AutoToolModel(WrapperModel):
    """Speaks natively to a model, and in string mode once its endpoint has said that it takes no tools.

    What it has learned holds for this object, and is told in one log line.
    """

    def __init__(self, wrapped: Model | str, *, fallback: Model | None = None) -> None:
        """Wrap a model; `fallback` answers once it has refused tools, by default the same model in string mode."""
        super().__init__(wrapped)
        self._fallback = fallback if fallback is not None else StringModeModel(self.wrapped)
        self._refused = False

    @property
    def in_string_mode(self) -> bool:
        """Whether the endpoint has said that it takes no tools."""
        return self._refused

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask natively, or in string mode once tools were refused.

        Raises:
            ModelAPIError: whatever the wrapped model raises for other reasons.
        """
        if not self._refused:
            try:
                return await self.wrapped.request(messages, model_settings, model_request_parameters)
            except ModelHTTPError as error:
                self._give_up_on_tools(error, model_request_parameters)
        return await self._fallback.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream natively, or in string mode once tools were refused; a refusal comes before the first event.

        Raises:
            ModelAPIError: whatever the wrapped model raises for other reasons.
        """
        arguments = (messages, model_settings, model_request_parameters, run_context)
        async with AsyncExitStack() as stack:
            stream: StreamedResponse | None = None
            if not self._refused:
                try:
                    stream = await stack.enter_async_context(self.wrapped.request_stream(*arguments))
                except ModelHTTPError as error:
                    self._give_up_on_tools(error, model_request_parameters)
            if stream is None:
                stream = await stack.enter_async_context(self._fallback.request_stream(*arguments))
            yield stream

    def _give_up_on_tools(self, error: ModelHTTPError, parameters: ModelRequestParameters) -> None:
        """Switch to string mode if `error` is a refusal of tools, and raise it again if it is anything else."""
        if not (parameters.function_tools or parameters.output_tools) or not says_no_tools(error):
            raise error
        if not self._refused:
            self._refused = True
            logger.warning(
                "model %s does not support tools natively (HTTP %s); using string mode from now on",
                self.model_name,
                error.status_code,
            )
