"""One MCP server: a toolset that is connected once, held open, and connected again when that breaks.

Connecting takes longer than most calls, so no run does it. A task of its own enters and leaves the toolset, since what
MCP clients open has to be closed by the task that opened it; runs only use what is open, and say so when it fails.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from contextvars import Context
from typing import Any, Protocol, runtime_checkable

import httpx2
from pydantic_ai import ModelRetry, RunContext, ToolFailed
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

__all__ = ["McpConnection"]

_log = logging.getLogger("pais_lite.mcp")

_CONNECT_TIMEOUT = 5.0
_CHECK_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 5.0
# A server is asked now and then whether it is still there, and still has the same tools: when a run begins, beside it.
_FRESH_SECONDS = 15.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
# A call that finds its server gone waits this long for its return.
_RECONNECT_WAIT = 3.0


@runtime_checkable
class _Listing(Protocol):
    """What an MCP toolset has beyond any toolset: `list_tools` remembers, the client's own does not."""

    client: Any

    async def list_tools(self) -> list[Any]: ...


class _Broken(Exception):
    """The connection cannot be used any more, or what was learnt through it is no longer true."""


class McpConnection:
    """The one connection to a server. `changes` is another number whenever its tools may be others."""

    def __init__(self, name: str, toolset: AbstractToolset[Any]) -> None:
        self.name = name
        self.toolset = toolset
        self.changes = 0
        self._connected = asyncio.Event()
        self._attempted = asyncio.Event()
        self._doubted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._calls = 0
        self._checked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the server could be reached when that was last tried."""
        return self._connected.is_set()

    def watch(self) -> None:
        """Connect in the background, and ask whether the server is still there where that is due."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            # In a context of its own: it does not belong to the request that happened to come first.
            self._task = loop.create_task(self._supervise(), context=Context())
        elif not self.is_connected or loop.time() - self._checked_at > _FRESH_SECONDS:
            self._doubted.set()

    @property
    def was_attempted(self) -> bool:
        """Whether connecting was tried, with whatever success."""
        return self._attempted.is_set()

    async def first_attempt(self) -> None:
        """Wait until connecting was tried once, with whatever success."""
        self.watch()
        await self._attempted.wait()

    async def tools(self, ctx: RunContext[Any]) -> Mapping[str, ToolsetTool[Any]]:
        """Return the tools of the server, none while it is away."""
        if not self.is_connected:
            return {}
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT):
                return await self.toolset.get_tools(ctx)
        except Exception as exc:  # noqa: BLE001 - an MCP client may raise anything
            self._break(exc)
            return {}

    async def call(
        self, name: str, arguments: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool. A call that cannot have reached the server is made again once there is a connection.

        Raises:
            ToolFailed: the server is away; the model may do without it.
        """
        for is_last in (False, True):
            await self._reconnected()
            self._enter()
            try:
                return await self.toolset.call_tool(name, arguments, ctx, tool)
            except Exception as exc:
                if not self._is_broken_by(exc):
                    if isinstance(exc, ModelRetry) and exc.__cause__ is not None:
                        # Not the tool but the protocol said no: a server that was restarted may have lost a session.
                        self._doubted.set()
                    raise
                self._break(exc)
                if is_last or not isinstance(exc, httpx2.ConnectError):
                    raise ToolFailed(
                        "the server of this tool broke off; nobody knows how far it got"
                    ) from exc
            finally:
                self._leave()
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        """Close the connection; using it again opens another."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)

    async def _reconnected(self) -> None:
        try:
            async with asyncio.timeout(_RECONNECT_WAIT):
                await self._connected.wait()
        except TimeoutError as exc:
            raise ToolFailed("the server of this tool cannot be reached at the moment") from exc

    def _is_broken_by(self, exc: Exception) -> bool:
        if isinstance(exc, httpx2.TransportError | OSError):
            return True
        return isinstance(self.toolset, _Listing) and not self.toolset.client.is_connected()

    def _break(self, exc: Exception) -> None:
        _log.warning("MCP server %s: the connection broke (%s)", self.name, type(exc).__name__)
        self._connected.clear()
        self._doubted.set()
        self.changes += 1

    def _enter(self) -> None:
        self._calls += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while True:
                began = asyncio.get_running_loop().time()
                try:
                    await self._stay_connected()
                except Exception as exc:  # noqa: BLE001 - an MCP client may raise anything, also when it is closed
                    if not self._attempted.is_set() or self._connected.is_set():
                        _log.warning(
                            "MCP server %s is left out until it is back (%s)", self.name, type(exc).__name__
                        )
                self._connected.clear()
                self._attempted.set()
                self.changes += 1
                if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
                    pause = _FIRST_PAUSE
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._connected.clear()
            self._attempted.set()

    async def _stay_connected(self) -> None:
        """Connect, and return or raise once the connection is of no more use."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await stack.enter_async_context(self.toolset)
                if isinstance(self.toolset, _Listing):
                    await self.toolset.list_tools()
            _log.info("MCP server %s is connected", self.name)
            self._doubted.clear()
            self._checked_at = asyncio.get_running_loop().time()
            self.changes += 1
            self._connected.set()
            self._attempted.set()
            try:
                while True:
                    await self._doubted.wait()
                    self._doubted.clear()
                    await self._check()
            finally:
                self._connected.clear()
                # Calls under way hold the old connection open; a new one is only made after them.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_TIMEOUT):
                        await self._idle.wait()

    async def _check(self) -> None:
        """Return when the server is there and has the tools that we know of; raises otherwise."""
        if not self.is_connected:
            raise _Broken
        self._checked_at = asyncio.get_running_loop().time()
        if isinstance(self.toolset, _Listing):
            known = await self.toolset.list_tools()
            async with asyncio.timeout(_CHECK_TIMEOUT):
                found = await self.toolset.client.list_tools()
            if found != known:
                raise _Broken
