"""The agent that the clients talk to. Served by `pais run`, as any user's file is."""

from pydantic_ai import Agent, RunContext

from pais_lite import AgentDeps

clerk = Agent(name="clerk", deps_type=AgentDeps, instructions="You keep the order book of a bakery.")


@clerk.tool_plain
def find_order(number: int) -> str:
    """Say where an order is."""
    return f"order {number} is in the oven"


@clerk.tool_plain(requires_approval=True)
def cancel_order(number: int) -> str:
    """Cancel an order, if somebody who may says so."""
    return f"order {number} is cancelled"


@clerk.tool_plain
def burn_order(number: int) -> str:
    """Fail, as tools do."""
    raise OSError(f"no oven for order {number} at oven.internal")


@clerk.tool
async def recall_session(ctx: RunContext[AgentDeps]) -> str:
    """Say which session this is, and what was said in it."""
    said = await ctx.deps.memory.build_conversation_context(ctx.deps.session_id)
    return f"session {ctx.deps.session_id}\n{said}"
