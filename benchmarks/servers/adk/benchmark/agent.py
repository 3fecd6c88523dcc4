"""The agent, whose model is reached through LiteLLM."""

import os

from google.adk.agents import Agent
from google.adk.models.lite_llm import LiteLlm

root_agent = Agent(
    name="benchmark",
    model=LiteLlm(model="openai/scripted", api_base=os.environ["MODEL_API_URL"], api_key="none"),
    instruction="You are a helpful assistant.",
)
