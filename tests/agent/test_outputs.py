import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, UserError
from pydantic_ai.models.test import TestModel

from pais_lite.agent.outputs import OutputTypes, says_keep_own


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


@pytest.mark.anyio
async def test_an_agent_with_output_validators_is_known_by_the_words_of_pydantic_ai() -> None:
    # Pydantic AI has no other sign of them. When it says it in other words, `says_keep_own` has to learn these.
    agent = Agent(TestModel())

    @agent.output_validator
    def polite(text: str) -> str:
        return text

    with pytest.raises(UserError) as raised:
        await agent.run("hi", output_type=[str, DeferredToolRequests])
    assert says_keep_own(raised.value)


@pytest.mark.anyio
async def test_other_mistakes_of_a_user_are_not_taken_for_output_validators() -> None:
    with pytest.raises(UserError) as raised:
        await Agent().run("hi", output_type=[str, DeferredToolRequests])
    assert not says_keep_own(raised.value)
