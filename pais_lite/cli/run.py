"""`pais run`: settings, agent and socket are put together here; then one process serves, or several are looked after."""

import argparse
import dataclasses
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pais_lite.cli.discovery import find_agent, target_file
from pais_lite.cli.logs import set_up_logging
from pais_lite.cli.serving import bind, serve_until_stopped
from pais_lite.cli.supervisor import supervise
from pais_lite.models.local import LOCAL_MODEL_NAME, local_model
from pais_lite.server import AgentServer
from pais_lite.settings import Settings

__all__ = ["run"]

_log = logging.getLogger("pais_lite.cli")


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; return the exit code.

    Raises:
        ConfigurationError: something is missing or wrong, before anything was served.
    """
    path, attribute = target_file(arguments.target)
    settings = Settings.load(agent_host=arguments.host, agent_port=arguments.port)
    set_up_logging(settings.log_level, settings.log_format)
    with _model(settings, local=arguments.local) as settings:
        supervised = arguments.workers > 1 or arguments.reload
        if supervised:
            return _run_supervised(arguments, path, settings)
        found = find_agent(path, attribute, settings)
        server = found if isinstance(found, AgentServer) else AgentServer.serving(found, settings)
        server.telemetry.export_logs(logging.getLogger())
        if arguments.fd is None:
            listener = bind(settings.agent_host, settings.agent_port)
            url = _url(listener)
            serve_until_stopped(server, listener, lambda: _announce(server.agent.name, url))
        else:
            listener = socket.socket(fileno=arguments.fd)
            serve_until_stopped(server, listener, lambda: _tell(arguments.ready_fd, server.agent.name))
    return 0


def _run_supervised(arguments: argparse.Namespace, path: Path | None, settings: Settings) -> int:
    if arguments.workers > 1 and settings.memory_enabled and settings.memory_type == "local":
        _log.warning(
            "each worker has a memory of its own: sessions that have to be shared need MEMORY_TYPE=redis"
        )
    listener = bind(settings.agent_host, settings.agent_port)
    command = [sys.executable, "-m", "pais_lite", "run", f"--fd={listener.fileno()}"]
    if arguments.target is not None:
        command.append(arguments.target)
    environment = dict(os.environ)
    if arguments.local:
        # The model stays in this process, and every worker reaches it like any other endpoint.
        environment.pop("DEBUG_MOCK_RESPONSES", None)
        environment.update(
            MODEL_API_URL=settings.model_api_url or "",
            MODEL_NAME=LOCAL_MODEL_NAME,
            TOOL_CALL_MODE=settings.tool_call_mode,
        )
    folder = (path.resolve().parent if path else Path.cwd()) if arguments.reload else None
    with listener:
        return supervise(
            command,
            environment,
            listener.fileno(),
            workers=arguments.workers,
            watched=folder,
            on_ready=lambda name: _announce(name, _url(listener)),
        )


@contextmanager
def _model(settings: Settings, *, local: bool) -> Iterator[Settings]:
    """Start the local model where one is asked for, and yield the settings that lead to it."""
    if not local:
        yield settings
        return
    with local_model() as url:
        yield dataclasses.replace(
            settings,
            debug_mock_responses=None,
            model_api_url=url,
            model_name=LOCAL_MODEL_NAME,
            model_api_key=None,
            # Its endpoint takes tools and makes nothing of them.
            tool_call_mode="string" if settings.tool_call_mode == "auto" else settings.tool_call_mode,
        )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tell(supervisor: int, name: str) -> None:
    """Tell the supervising process that this one serves."""
    os.write(supervisor, f"{name}\n".encode())
    os.close(supervisor)
    _log.info("worker is ready")


def _announce(name: str, url: str) -> None:
    print(  # noqa: T201 - the one line that people wait for
        f"{name} is ready at {url}. Try it:\n"
        f"  curl -N {url}/v1/chat/completions -H 'Content-Type: application/json' "
        """-d '{"stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'""",
        flush=True,
    )
