"""The addresses of a broker's API: which are well-formed, and which of Alpaca's hosts an address names."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.schema.settings import is_loopback

LIVE_HOST = "api.alpaca.markets"

PAPER_HOST = "paper-api.alpaca.markets"

SANDBOX_HOST = "sandbox.alpaca.markets"


def base_url_faults(url: str) -> list[str]:
    """Say everything that keeps *url* from being an API address; never by repeating the address."""
    try:
        parts = urlsplit(url)
        host, has_login, _ = parts.hostname, parts.username or parts.password, parts.port
    except ValueError:
        return ["this is not an address; write it like https://paper-api.alpaca.markets"]
    if parts.scheme not in {"http", "https"} or not host:
        return ["an address like https://paper-api.alpaca.markets is expected"]
    faults = []
    if has_login or parts.query or parts.fragment:
        faults.append("the address must hold no login, ? or #, and keys belong into the environment")
    if parts.scheme == "http" and not is_loopback(host):
        faults.append("http:// sends the keys in clear text and is allowed to this machine only; use https://")
    if parts.path.rstrip("/").endswith("/v2"):
        faults.append("leave /v2 out, it is added to every request")
    return faults


def host_of(url: str) -> str:
    """Return the host that *url* names, in lower case; empty when it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
