"""Check the address of a broker's API, and tell Alpaca's hosts apart."""

from urllib.parse import urlsplit

from config.schema.settings import is_loopback

LIVE_HOST = "api.alpaca.markets"

PAPER_HOST = "paper-api.alpaca.markets"

SANDBOX_HOST = "sandbox.alpaca.markets"


def base_url_faults(url: str) -> list[str]:
    """Return every fault of *url* as an API address. The faults never repeat the address, which may hold a key."""
    try:
        parts = urlsplit(url)
        host, has_login, _ = parts.hostname, parts.username or parts.password, parts.port
    except ValueError:
        return ["this is not an address; write it like https://paper-api.alpaca.markets"]
    if parts.scheme not in {"http", "https"} or not host:
        return ["an address like https://paper-api.alpaca.markets is expected"]
    faults = []
    if has_login or parts.query or parts.fragment:
        faults.append("an address without login, ? and # is expected; keys belong in the environment")
    if parts.scheme == "http" and not is_loopback(host):
        faults.append("http:// sends the keys unencrypted and is allowed for this machine only; use https://")
    if parts.path.rstrip("/").endswith("/v2"):
        faults.append("leave /v2 out: tradewire adds it to every request")
    return faults


def host_of(url: str) -> str:
    """Return the host of *url* in lower case; an empty text when it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
