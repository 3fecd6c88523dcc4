"""Other agents as tools: who they are, whether they are there, and what is asked of them."""

from pais_lite.delegation.chain import CHAIN_HEADER, check_chain, read_chain
from pais_lite.delegation.delegation import DelegationOutcome, DelegationUpdate
from pais_lite.delegation.profile import TASK_DELEGATION, AgentProfile, maybe_profile
from pais_lite.delegation.remote_agent import HttpClient, RemoteAgent
from pais_lite.delegation.stream import AnswerText, maybe_plain_word, waits_for_somebody
from pais_lite.delegation.sub_agent import AnswerPart, AnswerUsage, SubAgent, Task
from pais_lite.delegation.toolset import DelegationToolset

__all__ = [
    "CHAIN_HEADER",
    "TASK_DELEGATION",
    "AgentProfile",
    "AnswerPart",
    "AnswerText",
    "AnswerUsage",
    "DelegationOutcome",
    "DelegationToolset",
    "DelegationUpdate",
    "HttpClient",
    "RemoteAgent",
    "SubAgent",
    "Task",
    "check_chain",
    "maybe_plain_word",
    "maybe_profile",
    "read_chain",
    "waits_for_somebody",
]
