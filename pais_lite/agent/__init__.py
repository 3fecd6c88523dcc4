"""The transport-free heart: one run is memory in, Pydantic AI at work, events out."""

from pais_lite.agent.agent import Agent
from pais_lite.agent.card import AgentCard
from pais_lite.agent.neighbours import Neighbour, Neighbours
from pais_lite.agent.outcome import run_outcome
from pais_lite.agent.request import Approval, ClientTool, OutputFormat, RunRequest, ToolChoice, ToolResult
from pais_lite.agent.run import Run

__all__ = [
    "Agent",
    "AgentCard",
    "Approval",
    "ClientTool",
    "Neighbour",
    "Neighbours",
    "OutputFormat",
    "Run",
    "RunRequest",
    "ToolChoice",
    "ToolResult",
    "run_outcome",
]
