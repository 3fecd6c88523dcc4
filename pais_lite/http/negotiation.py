"""What a client would rather have, and whether what it has is still true (RFC 9110, sections 12.5.1 and 13.1.2)."""

import hashlib

__all__ = ["entity_tag", "is_current", "prefers"]


def prefers(accept: str | None, wanted: str, fallback: str) -> bool:
    """Return whether an `Accept` header likes the media type `wanted` better than `fallback`.

    Who likes both alike, such as a program that takes anything, gets the fallback.
    """
    ranges = [_read_range(part) for part in (accept or "*/*").split(",")]
    return _quality(ranges, wanted) > _quality(ranges, fallback)


def entity_tag(body: bytes) -> str:
    """Return a strong entity tag of a body, in its quotes."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_current(if_none_match: str | None, tag: str) -> bool:
    """Return whether the client has what `tag` names. The comparison is the weak one, as `If-None-Match` demands."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in (
        entry.strip().removeprefix("W/") for entry in if_none_match.split(",")
    )


def _read_range(part: str) -> tuple[str, float]:
    """Return a media range and its weight; a weight that is no number counts as 1, as if it were not there."""
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_range, min(max(float(value), 0.0), 1.0)
            except ValueError:
                break
    return media_range, 1.0


def _quality(ranges: list[tuple[str, float]], media_type: str) -> float:
    """Return the weight of the most specific range that has the type, 0 where none has it."""
    weights = dict(ranges)
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
