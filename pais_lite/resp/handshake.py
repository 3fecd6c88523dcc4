"""What a client says first: which protocol it speaks, who it is and which database it wants."""

from pais_lite.resp.commands import Argument, Command, encode_pipeline
from pais_lite.resp.connection import Connection
from pais_lite.resp.errors import AuthenticationFailed, ConnectionFailed, OutcomeUnknown, ServerError
from pais_lite.resp.values import Reply

__all__ = ["greet"]

_AUTHENTICATION_WORDS = frozenset({"WRONGPASS", "NOAUTH"})


async def greet(
    connection: Connection,
    *,
    username: str | None = None,
    password: str | None = None,
    client_name: str | None = None,
    database: int = 0,
) -> str | None:
    """Introduce ourselves in RESP3, or in RESP2 where the server knows no better, in one round trip each.

    Returns what the server is: `standalone`, `cluster` or `sentinel`, if it says so. Raises `AuthenticationFailed`,
    `ServerError` when the server wants nothing of us or of the database, and `ConnectionFailed` when the connection is
    lost over it, since no command of the caller's has run by then.
    """
    try:
        hello: list[Argument] = ["HELLO", 3]
        if password is not None:
            # The spec, "HELLO": there is no form without a user; a server that only has a password calls it default.
            hello += ["AUTH", username or "default", password]
        if client_name is not None:
            hello += ["SETNAME", client_name]
        select: list[Command] = [("SELECT", database)] if database else []
        replies = await _ask(connection, [hello, *select])
        if _knows_no_hello(replies[0]):
            replies = await _ask(connection, [*_resp2(username, password), *_name(client_name), *select])
            if client_name is not None:
                # A name is for people who read CLIENT LIST. Servers before 2.6.9 have none, and work as well.
                del replies[1 if password is not None else 0]
    except OutcomeUnknown as exc:
        raise ConnectionFailed("the connection to the Redis server was lost while greeting it") from exc
    for reply in replies:
        if isinstance(reply, ServerError):
            raise _translate(reply)
    return _mode(replies[0]) if replies else None


async def _ask(connection: Connection, commands: list[Command]) -> list[Reply]:
    if not commands:
        return []
    return await connection.request(encode_pipeline(commands), len(commands))


def _resp2(username: str | None, password: str | None) -> list[Command]:
    if password is None:
        return []
    # Servers before version 6 take only the short form.
    return [("AUTH", password) if username is None else ("AUTH", username, password)]


def _name(client_name: str | None) -> list[Command]:
    return [] if client_name is None else [("CLIENT", "SETNAME", client_name)]


def _mode(reply: Reply) -> str | None:
    mode = reply.get(b"mode") if isinstance(reply, dict) else None
    return mode.decode("ascii", "replace") if isinstance(mode, bytes) else None


def _knows_no_hello(reply: Reply) -> bool:
    if not isinstance(reply, ServerError):
        return False
    # NOPROTO: HELLO, but no RESP3. Proxies and servers before version 6 do not know the command at all.
    return reply.word == "NOPROTO" or "unknown command" in reply.message.lower()


def _translate(error: ServerError) -> ServerError | ConnectionFailed:
    text = error.message.lower()
    if (
        error.word in _AUTHENTICATION_WORDS
        or "without any password configured" in text
        or "invalid password" in text
    ):
        return AuthenticationFailed(error.message)
    if "max number of clients" in text:
        return ConnectionFailed("the Redis server accepts no more clients")
    return error
