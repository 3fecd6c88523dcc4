"""Pydantic AI's own application for browsers, `Agent.to_web`: its UI adapter for the Vercel AI SDK's data stream."""

import os
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

_provider = OpenAIProvider(base_url=os.environ["MODEL_API_URL"], api_key="none")
_agent = Agent(OpenAIChatModel("scripted", provider=_provider), instructions="You are a helpful assistant.")
# The page would come from another host; any file will do for a server that is only asked for its API.
application = _agent.to_web(html_source=Path(__file__))
