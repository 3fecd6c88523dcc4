"""Other agents as tools: who they are, whether they are there, and what is asked of them."""

from pais_lite.delegation.chain import CHAIN_HEADER, check_chain, read_chain
from pais_lite.delegation.delegation import DelegationOutcome, DelegationUpdate
from pais_lite.delegation.profile import TASK_DELEGATION
from pais_lite.delegation.remote_agent import HttpClient, RemoteAgent
from pais_lite.delegation.toolset import DelegationToolset

__all__ = [
    "CHAIN_HEADER",
    "TASK_DELEGATION",
    "DelegationOutcome",
    "DelegationToolset",
    "DelegationUpdate",
    "HttpClient",
    "RemoteAgent",
    "check_chain",
    "read_chain",
]
