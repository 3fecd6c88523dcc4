"""`pais`: the command line. Errors are one line, and exit with 2."""

import argparse
import sys
from collections.abc import Sequence

from pais_lite.errors import PaisError
from pais_lite.version import __version__

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names, the process's arguments by default; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except PaisError as exc:
        print(f"pais: {exc.message}", file=sys.stderr)  # noqa: T201 - a command line speaks on its streams
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pais", description="A production server around Pydantic AI agents."
    )
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = verbs.add_parser("run", help="serve agents", description="Serve an agent, or several, over HTTP.")
    run.add_argument(
        "targets",
        nargs="*",
        metavar="FILE[:ATTR]",
        help="the file that defines the agent, and its name there where there are several; default: server.py, or "
        "an agent made from the environment where there is no such file. More of them are more agents",
    )
    run.add_argument("--host", help="the address to listen on; default: AGENT_HOST, or all")
    run.add_argument(
        "--port", help="the port to listen on, 0 for any that is free; default: AGENT_PORT, or 8000"
    )
    run.add_argument("--reload", action="store_true", help="start again when a Python file here changes")
    run.add_argument(
        "--workers", type=_positive, default=1, metavar="N", help="the number of processes to serve with"
    )
    run.add_argument(
        "--local", action="store_true", help="use a small model in this process; needs no key, no network"
    )
    # How a supervising process hands its listening socket to those that serve, and hears that they do.
    run.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    run.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    run.set_defaults(command=_run)

    init = verbs.add_parser(
        "init", help="begin a project", description="Write an agent with its tests into a folder."
    )
    init.add_argument("directory", metavar="DIR", help="the folder, made where it is not there")
    init.set_defaults(command=_init)

    build = verbs.add_parser(
        "build",
        help="build a container image",
        description="Build a container image with docker, podman or buildah, whichever is there.",
    )
    build.add_argument("directory", nargs="?", default=".", metavar="DIR", help="the project; default: here")
    build.add_argument("--name", help="the image's name; default: the folder's")
    build.add_argument("--tag", default="latest", help="default: latest")
    build.add_argument(
        "--option",
        action="append",
        default=[],
        dest="options",
        metavar="OPTION",
        help="one word more for the tool that builds, such as --option=--build-arg=NAME=VALUE; may be repeated",
    )
    build.set_defaults(command=_build)

    check = verbs.add_parser(
        "check", help="see whether settings, model and memory are well", description="Look before you run."
    )
    check.add_argument("targets", nargs="*", metavar="FILE[:ATTR]", help="as for `run`")
    check.set_defaults(command=_check)

    version = verbs.add_parser("version", help="print the version")
    version.set_defaults(command=_version)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _run(arguments: argparse.Namespace) -> int:
    # Imported late: `pais --help` and `pais version` should not wait for Pydantic AI.
    from pais_lite.cli.run import run

    return run(arguments)


def _init(arguments: argparse.Namespace) -> int:
    from pais_lite.cli.init import init

    return init(arguments)


def _build(arguments: argparse.Namespace) -> int:
    from pais_lite.cli.build import build

    return build(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from pais_lite.cli.check import check

    return check(arguments)


def _version(arguments: argparse.Namespace) -> int:
    print(f"pais-lite {__version__}")  # noqa: T201
    return 0
