"""The agent of the compatibility kits, served in this process, once with a card of each version."""

from collections.abc import AsyncIterator

import pytest

from pais_lite import serve
from tests.conformance.a2a.agent import agent
from tests.support.serving import listening


@pytest.fixture(params=["1.0", "0.3"])
def card_version(request: pytest.FixtureRequest) -> str:
    """The version of the card, by which clients choose what they speak."""
    return str(request.param)


@pytest.fixture
async def served_url(card_version: str) -> AsyncIterator[str]:
    """Where the agent is, with a card of that version."""
    async with listening(lambda _: serve(agent, a2a_card_version=card_version)) as url:
        yield url
