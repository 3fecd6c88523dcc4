"""Ours: the package as an ASGI application, for uvicorn and granian; `pais run` needs no file. The environment says the rest."""

from pydantic_ai import Agent

from pais_lite import serve

application = serve(Agent(name="benchmark", instructions="You are a helpful assistant."))
