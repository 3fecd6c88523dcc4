"""`pais run`: settings, agents and socket are put together here; then one process serves, or several are looked after."""

import argparse
import dataclasses
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pais_lite.cli.discovery import make_server, target_file
from pais_lite.cli.logs import set_up_logging
from pais_lite.cli.serving import bind, serve_until_stopped
from pais_lite.cli.supervisor import supervise
from pais_lite.models.local import LOCAL_MODEL_NAME, local_model
from pais_lite.settings import Settings

__all__ = ["run"]

_log = logging.getLogger("pais_lite.cli")

# What the local model takes the place of.
_REPLACED = frozenset(
    {"DEBUG_MOCK_RESPONSES", "MODEL_API_URL", "MODEL_NAME", "MODEL_API_KEY", "TOOL_CALL_MODE"}
)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; return the exit code.

    Raises:
        ConfigurationError: something is missing or wrong, before anything was served.
    """
    overrides = {"agent_host": arguments.host, "agent_port": arguments.port}
    for target in arguments.targets:
        target_file(target)
    settings = Settings.load(agents=None if len(arguments.targets) > 1 else (), **overrides)
    set_up_logging(settings.log_level, settings.log_format)
    with _model(local=arguments.local) as change:
        if arguments.workers > 1 or arguments.reload:
            return _run_supervised(arguments, change(settings))
        server = make_server(arguments.targets, settings, change, **overrides)
        server.telemetry.export_logs(logging.getLogger())
        names = list(server.agents)
        if arguments.fd is None:
            listener = bind(settings.agent_host, settings.agent_port)
            url = _url(listener)
            serve_until_stopped(server, listener, lambda: _announce(names, url))
        else:
            listener = socket.socket(fileno=arguments.fd)
            serve_until_stopped(server, listener, lambda: _tell(arguments.ready_fd, names))
    return 0


def _run_supervised(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.workers > 1 and settings.memory_enabled and settings.memory_type == "local":
        _log.warning(
            "each worker has a memory of its own: sessions and runs that have to be shared need MEMORY_TYPE=redis"
        )
    listener = bind(settings.agent_host, settings.agent_port)
    command = [sys.executable, "-m", "pais_lite", "run", f"--fd={listener.fileno()}"]
    command += arguments.targets
    environment = dict(os.environ)
    if arguments.local:
        # The model stays in this process, and every worker reaches it like any other endpoint.
        for name in list(environment):
            # Those of one agent among several, too, which would come before.
            if name.rpartition("__")[2] in _REPLACED:
                del environment[name]
        environment.update(
            MODEL_API_URL=settings.model_api_url or "",
            MODEL_NAME=LOCAL_MODEL_NAME,
            TOOL_CALL_MODE=settings.tool_call_mode,
        )
    folders = _folders(arguments.targets) if arguments.reload else ()
    with listener:
        return supervise(
            command,
            environment,
            listener.fileno(),
            workers=arguments.workers,
            watched=folders,
            on_ready=lambda names: _announce(names.split(","), _url(listener)),
        )


def _folders(targets: Sequence[str]) -> list[Path]:
    """Return the folders that the targets are in, or the one we are in."""
    paths = [target_file(target)[0] for target in targets] or [target_file(None)[0]]
    return list(dict.fromkeys(path.resolve().parent if path else Path.cwd() for path in paths))


@contextmanager
def _model(*, local: bool) -> Iterator[Callable[[Settings], Settings]]:
    """Start the local model where one is asked for, and yield what makes settings lead to it."""
    if not local:
        yield lambda settings: settings
        return
    with local_model() as url:
        yield lambda settings: dataclasses.replace(
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


def _tell(supervisor: int, names: Sequence[str]) -> None:
    """Tell the supervising process that this one serves."""
    os.write(supervisor, f"{','.join(names)}\n".encode())
    os.close(supervisor)
    _log.info("worker is ready")


def _announce(names: Sequence[str], url: str) -> None:
    several = len(names) > 1
    who = f"{', '.join(names)} are" if several else f"{names[0]} is"
    model = f'"model": "{names[0]}", ' if several else ""
    print(  # noqa: T201 - the one line that people wait for
        f"{who} ready at {url}. Try it:\n"
        f"  curl -N {url}/v1/chat/completions -H 'Content-Type: application/json' "
        f"""-d '{{{model}"stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'""",
        flush=True,
    )
