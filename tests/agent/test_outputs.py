from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests

from pais_lite.agent.outputs import OutputTypes


class City(BaseModel):
    name: str


def test_a_run_without_tools_keeps_its_agents_structured_output() -> None:
    # Whatever is given to a run is prepared anew, which costs as much as half of the run.
    outputs = OutputTypes(Agent(output_type=City))
    assert outputs.for_run(None, None, more_tools=False) is None
    assert outputs.for_run(None, None, more_tools=True) == [City, DeferredToolRequests]


def test_calls_may_wait_as_soon_as_an_agent_that_is_served_gets_a_tool() -> None:
    agent = Agent(output_type=City)
    outputs = OutputTypes(agent)

    @agent.tool_plain
    def clock() -> str:
        return "now"

    assert outputs.for_run(None, None, more_tools=False) == [City, DeferredToolRequests]


def test_text_may_always_give_way_to_calls() -> None:
    assert OutputTypes(Agent()).for_run(None, None, more_tools=False) == [str, DeferredToolRequests]
