"""What a plain text delta looks like on the wire, and how to know its like without parsing it.

An event is plain if its chunk has one choice with index 0, a delta that carries text of one kind, and nothing else that
a reader could act on. One of them is parsed; its `Shape` is the bytes around its text. Another event that has the same
bytes around one complete JSON string is the same chunk with another text: the bytes before the string leave a JSON
reader inside that string, the string's own bytes keep it there up to the closing quote, and the rest is the same again.
"""

import re
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

__all__ = ["Shape", "maybe_shape"]

# A token's event has some 300 bytes. Finding its text takes a parse for each place where it could be.
_MAX_PARSED_BYTES: Final = 16 * 1024

# The inside of one JSON string. A surrogate has to come with its other half.
_STRING_BODY: Final = re.compile(
    rb'(?>[^"\\\x00-\x1f]++'
    rb'|\\["\\/bfnrt]'
    rb"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb")*+"
)
_REASONING: Final = ("reasoning", "reasoning_content")
# OpenAI's and Mistral's padding against guessing tokens by their length. It differs from chunk to chunk and means
# nothing, so a joined chunk keeps the first one's.
_PADDING: Final = ("obfuscation", "p")
_NOWHERE: Final = (-1, -1)
# What a plain chunk may hold. These say the same in every chunk of a stream, or are checked below.
_CHUNK_KEYS: Final = frozenset(
    {
        "choices",
        "created",
        "id",
        "model",
        "object",
        "provider",
        "service_tier",
        "system_fingerprint",
        "usage",
        *_PADDING,
    }
)
_CHOICE_KEYS: Final = frozenset(
    {"delta", "finish_reason", "index", "logprobs", "native_finish_reason", "stop_reason"}
)
_DELTA_KEYS: Final = frozenset({"content", "function_call", "refusal", "role", "tool_calls", *_REASONING})


class Shape(NamedTuple):
    """The bytes of an event around the strings that may differ from one event to the next."""

    around: tuple[bytes, ...]  # one more than there are strings
    texts: int  # so many of the strings, the first ones, are text to join; one that is left is padding
    is_content: bool

    def match(self, data: bytes, start: int, is_ascii: bool) -> tuple[bytes, int] | None:
        """Return the text and the end of the event at `start`, or None if it is of another shape."""
        around = self.around
        if not data.startswith(around[0], start):
            return None
        position = start + len(around[0])
        text = b""
        for index in range(1, len(around)):
            found = _STRING_BODY.match(data, position)
            if found is None or not data.startswith(around[index], found.end()):
                return None
            body = found.group()
            if index == 1:
                text = body
            elif index <= self.texts and body != text:
                return None
            if not is_ascii and not _is_utf8(body):
                return None
            position = found.end() + len(around[index])
        return text, position

    def join(self, event: bytes, texts: list[bytes]) -> bytes:
        """Return `event`, which is of this shape, with the joined `texts` in the place of its own."""
        text = b"".join(texts)
        rest = event[len(self.around[0]) + len(texts[0]) :]
        pieces = [self.around[0], text]
        for index in range(1, self.texts):
            rest = rest[len(self.around[index]) + len(texts[0]) :]
            pieces += [self.around[index], text]
        return b"".join([*pieces, rest])


def maybe_shape(event: re.Match[bytes]) -> Shape | None:
    """Return the shape of an event, or None if it says more than a plain text delta does."""
    document = event.group(1)
    if len(document) > _MAX_PARSED_BYTES or b'"delta"' not in document:
        return None
    try:
        chunk = from_json(document)
    except ValueError:
        return None
    text_keys = _text_keys(chunk)
    if not text_keys:
        return None
    delta = chunk["choices"][0]["delta"]
    texts = sorted(_string_at(document, chunk, delta, key) for key in text_keys)
    padding = [_string_at(document, chunk, chunk, key) for key in _PADDING if key in chunk]
    spans = [*texts, *padding]
    if len(padding) > 1 or _NOWHERE in spans or spans != sorted(spans):
        return None
    around: list[bytes] = []
    position = event.start()
    for start, end in spans:
        around.append(event.string[position : event.start(1) + start])
        position = event.start(1) + end
    around.append(event.string[position : event.end()])
    return Shape(tuple(around), len(texts), text_keys == ["content"])


def _text_keys(chunk: Any) -> list[str]:
    """Return the names of the delta's text, which the chunk has nothing but; none if it has more, or no text."""
    if not isinstance(chunk, dict) or not chunk.keys() <= _CHUNK_KEYS or chunk.get("usage") is not None:
        return []
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choice := choices[0], dict):
        return []
    if any(isinstance(chunk[key], dict | list) for key in chunk.keys() - {"choices"}):
        return []
    if any(not (isinstance(chunk[key], str) and chunk[key].isalnum()) for key in _PADDING if key in chunk):
        return []
    index = choice.get("index")
    if not choice.keys() <= _CHOICE_KEYS or type(index) is not int or index != 0:
        return []
    if any(choice[key] is not None for key in choice.keys() - {"delta", "index"}):
        return []
    return _delta_text_keys(choice.get("delta"))


def _delta_text_keys(delta: Any) -> list[str]:
    if not isinstance(delta, dict) or not delta.keys() <= _DELTA_KEYS:
        return []
    if delta.get("role") not in (None, "assistant") or delta.get("tool_calls") not in (None, []):
        return []
    if delta.get("function_call") is not None or delta.get("refusal") is not None:
        return []
    texts = {key: delta[key] for key in ("content", *_REASONING) if delta.get(key) is not None}
    if not all(isinstance(text, str) for text in texts.values()):
        return []
    spoken = [key for key, text in texts.items() if text]
    if not spoken:
        return ["content"] if "content" in texts else []
    # vLLM sends the same reasoning under both names.
    if ("content" in spoken and len(spoken) > 1) or len({texts[key] for key in spoken}) > 1:
        return []
    return spoken


def _string_at(document: bytes, chunk: Any, owner: dict[str, Any], key: str) -> tuple[int, int]:
    """Return where the string `owner[key]` stands in the document, or `_NOWHERE`.

    Found by trial: another string is put in a place that looks right, and has to arrive at `owner[key]` and only there.
    """
    for found in re.finditer(rb'"%b"[ \t]*:[ \t]*"' % key.encode(), document):
        body = _STRING_BODY.match(document, found.end())
        if body is None or document[body.end() : body.end() + 1] != b'"':
            continue
        other = "#" * (len(body.group()) + 1)
        changed = from_json(document[: body.start()] + other.encode() + document[body.end() :])
        kept, owner[key] = owner[key], other
        is_there = changed == chunk
        owner[key] = kept
        if is_there:
            return body.span()
    return _NOWHERE


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
