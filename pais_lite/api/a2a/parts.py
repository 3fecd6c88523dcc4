"""The parts of messages and artifacts: read from either version, made into what a model takes, and out of an answer.

A part is kept in the shape of 1.0: one of `text`, `raw`, `url` and `data`, beside `mediaType`, `filename`, `metadata`.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic_ai.messages import BinaryContent, ImageUrl, UserContent

from pais_lite.agent.messages import maybe_media_type, maybe_unfit
from pais_lite.api.a2a.errors import content_type_not_supported, invalid_params
from pais_lite.api.a2a.fields import known_fields, maybe_object
from pais_lite.api.a2a.versions import Version
from pais_lite.encoding import dump_json, load_json
from pais_lite.events import Finished

__all__ = ["Part", "answer_parts", "prompt_of", "read_parts"]

Part = dict[str, Any]

_CONTENTS = ("text", "raw", "url", "data")
_URL_KINDS = ("image-url", "audio-url", "video-url", "document-url")


def read_parts(value: object, version: Version, path: str) -> list[Part]:
    """Read the parts of a message.

    Raises:
        RpcError: they are no list with at least one part, or one is not what it has to be.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise invalid_params("has to be a list with at least one part", path)
    read = _read_part_0_3 if version == "0.3" else _read_part
    return [read(part, f"{path}[{at}]") for at, part in enumerate(value)]


def _read_part(part: object, path: str) -> Part:
    fields = known_fields(part, path)
    found = [name for name in _CONTENTS if name in fields]
    if not found and isinstance(part, Mapping) and "data" in part:
        # The one field for which ProtoJSON takes null as a value.
        return _checked({"data": None}, fields, path)
    if len(found) != 1:
        raise invalid_params("has to have exactly one of text, raw, url and data", path)
    (name,) = found
    return _checked({name: fields[name]}, fields, path)


def _read_part_0_3(part: object, path: str) -> Part:
    fields = known_fields(part, path)
    match fields.get("kind"):
        case "text" | "data" as kind:
            if kind not in fields:
                raise invalid_params(f"of kind {kind} has to have {kind}", path)
            if kind == "data" and not isinstance(fields["data"], Mapping):
                raise invalid_params("has to be an object", f"{path}.data")
            return _checked({kind: fields[kind]}, {"metadata": fields.get("metadata", {})}, path)
        case "file":
            file = known_fields(fields.get("file"), f"{path}.file")
            if ("bytes" in file) == ("uri" in file):
                raise invalid_params("has to have either bytes or uri", f"{path}.file")
            content = {"raw": file["bytes"]} if "bytes" in file else {"url": file["uri"]}
            others = {
                "mediaType": file.get("mimeType"),
                "filename": file.get("name"),
                "metadata": fields.get("metadata"),
            }
            return _checked(content, {k: v for k, v in others.items() if v is not None}, path)
        case _:
            raise invalid_params("has to be text, file or data", f"{path}.kind")


def _checked(part: Part, fields: Mapping[str, Any], path: str) -> Part:
    for name in ("text", "raw", "url"):
        if name in part and not isinstance(part[name], str):
            raise invalid_params("has to be a string", f"{path}.{name}")
    if "raw" in part:
        _decode(part["raw"], path)
    if "url" in part and _maybe_path(part["url"]) is None:
        raise invalid_params("has to be a URL", f"{path}.url")
    for name in ("mediaType", "filename"):
        if fields.get(name):
            if not isinstance(fields[name], str):
                raise invalid_params("has to be a string", f"{path}.{name}")
            part[name] = fields[name]
    if metadata := maybe_object(fields, "metadata", f"{path}."):
        part["metadata"] = dict(metadata)
    return part


def _decode(data: str, path: str) -> bytes:
    """Read base64 of either alphabet, padded or not, as ProtoJSON does."""
    try:
        standard = data.translate(str.maketrans("-_", "+/")).rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid_params("has to be base64", path) from exc


def _maybe_path(url: str) -> str | None:
    """Return the path of a URL, `None` for what is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return None


def prompt_of(parts: Sequence[Part]) -> str | list[UserContent]:
    """Return what a model is given of a message.

    Raises:
        RpcError: a part is of a media type that no model takes (-32005).
    """
    contents = [_content(part, f"message.parts[{at}]") for at, part in enumerate(parts)]
    only = contents[0]
    return only if len(contents) == 1 and isinstance(only, str) else contents


def _content(part: Part, path: str) -> UserContent:
    if "text" in part:
        return str(part["text"])
    if "data" in part:
        return dump_json(part["data"]).decode()
    name = part.get("filename") or _maybe_path(part.get("url", "")) or ""
    media_type = str(part.get("mediaType") or maybe_media_type(name) or "application/octet-stream")
    media_type = media_type.partition(";")[0].strip().lower()
    if "raw" in part:
        content = BinaryContent(_decode(part["raw"], path), media_type=media_type)
        if (why := maybe_unfit(content)) is not None:
            raise content_type_not_supported(f"{path} is {media_type[:100]}, but {why}")
        return content
    # Passed on as it is: the model's service fetches it, this server never does.
    if not media_type.startswith("image/") or not part["url"].startswith("https://"):
        raise content_type_not_supported(
            f"{path} is a URL, which may only be that of an image and has to begin with https://; "
            "the bytes of other files may be sent"
        )
    return ImageUrl(part["url"], media_type=media_type)


def answer_parts(finished: Finished) -> list[Part]:
    """Return the parts of an answer: text, files where the agent's output is Pydantic AI's kinds of them, or data."""
    if not finished.structured:
        return [{"text": finished.output}] if finished.output else []
    value = load_json(finished.output.encode())
    entries = value if isinstance(value, list) else [value]
    files = [_maybe_file(entry) for entry in entries]
    if any(files) and all(
        file is not None or isinstance(entry, str) for file, entry in zip(files, entries, strict=True)
    ):
        return [file or {"text": entry} for file, entry in zip(files, entries, strict=True)]
    return [{"data": value, "mediaType": "application/json"}]


def _maybe_file(value: Any) -> Part | None:
    match value:
        case {"kind": "binary", "data": str() as data, "media_type": str() as media_type}:
            # Pydantic writes the alphabet for URLs, ProtoJSON the other one.
            part: Part = {"raw": data.translate(str.maketrans("-_", "+/")), "mediaType": media_type}
            name = str(value.get("identifier") or "")
        case {"kind": str() as kind, "url": str() as url, "media_type": str() as media_type} if (
            kind in _URL_KINDS
        ):
            part = {"url": url, "mediaType": media_type}
            name = str(value.get("identifier") or "")
            if "." not in name:
                name = (_maybe_path(url) or "").rpartition("/")[2]
        case _:
            return None
    # An identifier that nobody gave is a digest, which has no dot.
    return {**part, "filename": name} if "." in name else part
