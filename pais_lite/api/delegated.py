"""The headers by which another agent, or a proxy, says in which way a run came here."""

from dataclasses import dataclass

from pais_lite.agent import Agent
from pais_lite.delegation import CHAIN_HEADER, read_chain
from pais_lite.http import Request

__all__ = ["Origin", "read_origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run comes from: the agents that handed it down, and the seconds that somebody waits for it."""

    chain: tuple[str, ...] = ()
    timeout: float | None = None


def read_origin(request: Request, agent: Agent) -> Origin:
    """Read `X-Delegation-Chain` and `X-Request-Timeout`.

    Raises:
        InvalidRequest: the chain is no list of names.
        DelegationRefused: the agent is in the chain already, or the chain is too long.
    """
    chain = read_chain(request.header(CHAIN_HEADER))
    agent.check_chain(chain)
    return Origin(chain, _seconds(request.header("x-request-timeout")))


def _seconds(text: str | None) -> float | None:
    """Read a number of seconds; what is none is another's convention, and not for us."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < 86400 else None
