"""Commands as the bytes that a server reads: arrays of bulk strings (the specification, "Sending commands to a server")."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["Argument", "Command", "encode_command", "encode_pipeline"]

Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = Sequence[Argument]


def encode_command(command: Command) -> bytes:
    """Pack one command as an array of bulk strings.

    Text becomes UTF-8, numbers their shortest exact decimal form. Raises `TypeError` for anything else, `bool` and
    `None` included, since Redis has no one spelling for them, and `ValueError` for a command without a name.
    """
    if not command:
        raise ValueError("a command needs a name")
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        value = argument if type(argument) is bytes else _encode_argument(argument)
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    return b"".join(parts)


def encode_pipeline(commands: Iterable[Command]) -> bytes:
    """Pack several commands, to leave in one write; raises as `encode_command`."""
    return b"".join(map(encode_command, commands))


def _encode_argument(argument: Argument) -> bytes:
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, bytes | bytearray | memoryview):
        return bytes(argument)
    # bool is an int to Python, and what a caller means by it is unknown.
    if type(argument) is int or type(argument) is float:
        return repr(argument).encode()
    raise TypeError(f"a command's arguments are bytes, str, int or float, not {type(argument).__name__}")
