"""Serves one application with hypercorn until the process is asked to stop."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from hypercorn.config import Config

from pais_lite.cli.connections import Listening
from pais_lite.cli.tasks import new_task
from pais_lite.errors import ConfigurationError
from pais_lite.http import MAX_HEADER_BYTES
from pais_lite.server import AgentServer

__all__ = ["bind", "serve_until_stopped"]

_log = logging.getLogger("pais_lite.cli")

# Connections that may wait to be accepted: a burst of clients, not the drip that hypercorn's own default allows for.
_BACKLOG = 2048
# A client that takes nothing of what waits for it is given up by the kernel: nothing else ends a connection that is
# closed with bytes still to be sent.
_UNREAD_TIMEOUT_MS = 60_000
# The usual period of a readiness probe is half of this.
_LINGER_SECONDS = 10.0
# The kernel would otherwise buffer megabytes for a client that does not read, and the run would seem to be read.
_UNSENT_BYTES = 64 * 1024
# Some systems allow a billion, and programs that we start would close them all one by one.
_MAX_OPEN_FILES = 65_536
# Threads that are done, but not gone yet, take no longer.
_THREADS_TIMEOUT = 1.0


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as exc:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from exc
    # Answers are written whole: waiting for more to send would only delay tokens.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_TIMEOUT_MS)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    return listener


def serve_until_stopped(server: AgentServer, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then let runs finish as `AgentServer.drain` does; a second signal cuts them short."""
    config = Config()
    config.backlog = _BACKLOG
    config.include_server_header = False
    # Longer than load balancers keep an idle connection, so that they, not we, close what they are about to use. It is
    # also what a client has from connecting to the end of its headers.
    config.keep_alive_timeout = 75
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.h2_max_header_list_size = MAX_HEADER_BYTES
    # Thousands of requests over one kept connection are what a proxy in front of us does all day.
    config.keep_alive_max_requests = 1_000_000_000
    # The drain has waited for every answer; what is left are idle connections.
    config.graceful_timeout = 0.5
    config.errorlog = logging.getLogger("hypercorn.error")
    _allow_many_connections()
    asyncio.run(_serve(server, config, listener, on_ready))
    _leave_stuck_threads()


def _allow_many_connections() -> None:
    """Take as many open files as we may: the usual first limit of 1024 is there for programs that use `select`."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _MAX_OPEN_FILES)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _leave_stuck_threads() -> None:
    """End the process if a tool still works in a thread: nobody waits for its result, and nothing can stop a thread.

    The interpreter would wait for it, without a limit, until whoever asked us to stop kills us.
    """
    deadline = time.monotonic() + _THREADS_TIMEOUT
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread.daemon:
            continue
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            _log.warning("a tool still runs in a thread; leaving without it")
            logging.shutdown()
            os._exit(0)


async def _serve(
    server: AgentServer, config: Config, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(new_task)
    asked_to_stop = asyncio.Event()
    draining: asyncio.Task[None] | None = None

    def stop() -> None:
        if asked_to_stop.is_set() and draining is not None:
            draining.cancel()
        asked_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with server.lifespan():
        # What was imported is never garbage: looking at it again and again would cost every request a few per cent.
        gc.collect()
        gc.freeze()
        # Each collection of the oldest looks at every connection and run, during which nobody is answered. Beside ten
        # thousand idle connections, with Python's own thresholds, that is a tenth of a second and more, again and again.
        # The young ones are looked at in small portions, 20 ms at most.
        gc.set_threshold(20_000, 2, 500)
        listening = await Listening(server, config).start(listener)
        on_ready()
        await asked_to_stop.wait()
        _log.info("shutting down: waiting up to %g s for runs to end", server.settings.shutdown_grace_seconds)
        # Connections are accepted meanwhile, so that probes and new requests are told that we drain.
        draining = asyncio.create_task(server.drain(linger=_LINGER_SECONDS))
        await asyncio.wait([draining])
        await listening.close()
