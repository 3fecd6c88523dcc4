"""Other agents and MCP servers that settings name, and the variables that speak of one of them each."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["URL_EXPECTED", "Peer", "complete_peers", "is_http_url", "maybe_http_url"]

URL_EXPECTED = "a URL that begins with http:// or https://, without a query"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another agent or an MCP server: the name by which it is known here, and where it is; no URL is this process."""

    name: str
    url: str
    api_key: str | None = field(default=None, repr=False)


def maybe_http_url(value: object) -> str | None:
    """Return the URL without its last slash, `None` for what is none, or not one of HTTP."""
    if not isinstance(value, str):
        return None
    url = value.strip()
    if re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url, re.IGNORECASE) and is_http_url(url):
        return url.rstrip("/")
    return None


def is_http_url(url: str) -> bool:
    """Return whether it is a URL of HTTP, with a host, and with a port that there can be."""
    try:
        parts = urlsplit(url)
        # Looking at the port is what has it checked.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def complete_peers(
    source: str,
    peers: Sequence[Peer],
    values: Mapping[str, str],
    url_variable: str,
    key_variable: str | None,
    *,
    here: Collection[str] | None = (),
) -> tuple[tuple[Peer, ...], list[str]]:
    """Look up what variables of their own say of each peer; return the peers, and complaints about what is wrong.

    `source` names the peers, `url_variable` and `key_variable` have a pair of braces where a name goes. A peer that is
    `here`, in this process, needs no URL, and neither does any while who is here is not known yet (`None`).
    """
    completed: list[Peer] = []
    complaints: list[str] = []
    for peer in peers:
        url: str | None = peer.url
        if not url:
            variable = _find(url_variable, peer.name, values)
            if variable is None and (here is None or peer.name in here):
                completed.append(peer)
                continue
            if variable is None:
                wanted = _variables(url_variable, peer.name)[-1]
                complaints.append(f"{source}: {peer.name!r} needs {wanted}, {URL_EXPECTED}")
                continue
            url = maybe_http_url(values[variable])
            if url is None:
                complaints.append(f"{variable}: {values[variable]!r} is not {URL_EXPECTED}")
                continue
        found = _find(key_variable, peer.name, values) if key_variable else None
        key = values[found].strip() if found else None
        if key is not None and not (key.isascii() and key.isprintable()):
            complaints.append(f"{found}: its value is not a key in printable ASCII")
        completed.append(Peer(peer.name, url, key))
    return tuple(completed), complaints


def _find(template: str, name: str, values: Mapping[str, str]) -> str | None:
    return next((variable for variable in _variables(template, name) if variable in values), None)


def _variables(template: str, name: str) -> list[str]:
    """Return the variables that may speak of a name: it as it is, and as shells can spell it, in upper case last."""
    spelled = re.sub(r"[^A-Za-z0-9]", "_", name)
    return list(dict.fromkeys(template.format(word) for word in (name, spelled, spelled.upper())))
