"""What replies are in Python.

=====================================  ==========================================================================
simple string `+`                      `str`
bulk string `$`                        `bytes`
verbatim string `=`                    `VerbatimString`, which is `bytes` with a `format`
number `:`, big number `(`             `int`
double `,`                             `float`, with infinities and NaN
boolean `#`, null `_` `$-1` `*-1`      `bool`, `None`
simple error `-`, bulk error `!`       `ServerError`, as a value
array `*`                              `list`
set `~`                                `set`, or a `list` when a member is unhashable or two members are equal
map `%`                                `dict`, or a `list` of pairs when a key is unhashable or two keys are equal
push `>`                               `Push`, at top level only
attribute `|`                          read and dropped, or kept in an `Attributed` if the decoder is told so
=====================================  ==========================================================================

Equal in Python is not equal in Redis (`1`, `1.0` and `True` are), hence the lists: nothing that the server sent is
lost to a collision.
"""

from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from pais_lite.resp.errors import ProtocolError

__all__ = ["Attributed", "Push", "Reply", "VerbatimString", "to_dict"]

# Nested without bound; callers know what their command answers and narrow it themselves.
Reply: TypeAlias = Any


class VerbatimString(bytes):
    """A bulk string with three letters that say how to show it: `txt`, `mkd` (the spec, "Verbatim string")."""

    format: str

    def __new__(cls, value: bytes, format: str) -> Self:  # noqa: A002 - the spec's word
        """Make one of its text and its format."""
        self = super().__new__(cls, value)
        self.format = format
        return self


@dataclass(frozen=True)
class Push:
    """What the server says without having been asked; `items` starts with its kind (the spec, "Push type")."""

    items: list[Reply]


@dataclass(frozen=True)
class Attributed:
    """A value and what the server remarks about it (the spec, "Attribute type")."""

    value: Reply
    attributes: dict[Reply, Reply] | list[tuple[Reply, Reply]]


def to_dict(reply: Reply) -> dict[Reply, Reply]:
    """Read a map that RESP3 sends as a map and RESP2 as a flat array, such as the answer to HGETALL.

    Raises `ProtocolError` when it is neither, or has a key that is unhashable.
    """
    if isinstance(reply, dict):
        return reply
    if not isinstance(reply, list) or len(reply) % 2:
        raise ProtocolError("the server's reply is not a map")
    try:
        return dict(zip(reply[::2], reply[1::2], strict=True))
    except TypeError as exc:
        raise ProtocolError("the server's reply is a map with a key that cannot be one here") from exc
