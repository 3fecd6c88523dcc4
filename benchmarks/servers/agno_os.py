"""Agno's server, AgentOS, without a database."""

import os

from agno.agent import Agent
from agno.models.openai.like import OpenAILike
from agno.os import AgentOS

_model = OpenAILike(id="scripted", api_key="none", base_url=os.environ["MODEL_API_URL"])
_agent = Agent(id="benchmark", model=_model, instructions="You are a helpful assistant.", telemetry=False)
application = AgentOS(agents=[_agent], telemetry=False).get_app()
