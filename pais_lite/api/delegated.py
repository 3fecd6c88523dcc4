"""The headers by which another agent, or a proxy, says in which way a run came here."""

from dataclasses import dataclass, field

from pais_lite.agent import Agent
from pais_lite.delegation import CHAIN_HEADER, read_chain
from pais_lite.http import Request

__all__ = ["Origin", "read_origin"]

# W3C Trace Context.
_TRACE_HEADERS = ("traceparent", "tracestate")
_MAX_TRACE_HEADER = 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run comes from: the agents that handed it down, its trace, and the seconds that somebody waits for it."""

    chain: tuple[str, ...] = ()
    trace: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None


def read_origin(request: Request, agent: Agent) -> Origin:
    """Read `X-Delegation-Chain`, `traceparent`, `tracestate` and `X-Request-Timeout`.

    Raises:
        InvalidRequest: the chain is no list of names.
        DelegationRefused: the agent is in the chain already, or the chain is too long.
    """
    chain = read_chain(request.header(CHAIN_HEADER))
    agent.check_chain(chain)
    trace = {
        name: value
        for name in _TRACE_HEADERS
        if (value := request.header(name)) and len(value) <= _MAX_TRACE_HEADER and value.isascii()
    }
    return Origin(chain, trace, _seconds(request.header("x-request-timeout")))


def _seconds(text: str | None) -> float | None:
    """Read a number of seconds; what is none is another's convention, and not for us."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < 86400 else None
