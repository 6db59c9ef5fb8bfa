"""One base URL names a server; the WebSocket and the HTTP addresses follow from it."""

from urllib.parse import urlsplit, urlunsplit

_WS = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(base: str) -> str:
    """The WebSocket address of a server; raises ValueError for what is not an http(s) or ws(s) URL."""
    return _joined(base, _WS, "/v1/ws")


def http_url(base: str, path: str) -> str:
    """An HTTP address of a server; raises ValueError for what is not an http(s) or ws(s) URL."""
    return _joined(base, _HTTP, path)


def _joined(base: str, schemes: dict[str, str], path: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
        raise ValueError(f'not the base URL of a server: {base!r}; write it like "https://pay.example.org"')
    prefix = parts.path.removesuffix("/v1/ws").rstrip("/")
    return urlunsplit((schemes[parts.scheme], parts.netloc, prefix + path, "", ""))
