"""Starlette that owns the lives of its agents: they drain, and are closed, within its own lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from tests.embedding.agents import first, second
from tests.embedding.hosts import starlette_host


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with first.lifespan(), second.lifespan():
        yield
    print("the agents are closed", flush=True)


app = Starlette(routes=[Mount("/", starlette_host.app)], lifespan=_lifespan)
