"""The agent that the `pais run` commands are given: this package's and the seed system's."""

from pydantic_ai import Agent

agent = Agent(name="benchmark", instructions="You are a helpful assistant.", defer_model_check=True)
