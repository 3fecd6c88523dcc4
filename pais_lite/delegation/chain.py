"""`X-Delegation-Chain`: the agents that a task has come through, so that no task goes round and round.

The header names them in the order in which they handed the task on, `a,b`; an agent adds itself when it delegates. Both
sides look: the caller does not call who is in the chain already, and the callee refuses if it is.
"""

import re
from collections.abc import Sequence

from pais_lite.errors import DelegationRefused, InvalidRequest

__all__ = ["CHAIN_HEADER", "check_chain", "read_chain", "write_chain"]

CHAIN_HEADER = "x-delegation-chain"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# No chain that is allowed comes near this; a longer header is not looked into.
_MAX_CHARACTERS = 100 * 65
# What agents are called that nobody gave a name to. Two of them are not the same agent; only the depth guards those.
_UNNAMED = "agent"


def read_chain(header: str | None) -> tuple[str, ...]:
    """Return the names in the header, none where it is missing or empty.

    Raises:
        InvalidRequest: it holds something else than names of agents.
    """
    names = tuple(name.strip() for name in (header or "")[: _MAX_CHARACTERS + 1].split(",") if name.strip())
    if len(header or "") > _MAX_CHARACTERS or not all(_NAME.fullmatch(name) for name in names):
        raise InvalidRequest(
            "X-Delegation-Chain has to be a comma-separated list of names", param=CHAIN_HEADER
        )
    return names


def write_chain(chain: Sequence[str]) -> str:
    """Return the header for a chain."""
    return ",".join(chain)


def check_chain(chain: Sequence[str], agent: str, max_depth: int) -> None:
    """Return when `agent` may work on a task that came through `chain`.

    Raises:
        DelegationRefused: the agent is in the chain already, or the chain is longer than `max_depth`.
    """
    if agent in chain and agent != _UNNAMED:
        raise DelegationRefused(f"{agent} handed this task on itself, so it cannot be given back to it")
    if len(chain) > max_depth:
        raise DelegationRefused(f"the task was handed on more than {max_depth} times")
