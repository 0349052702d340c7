"""Read the addresses that requests are sent to. That of a broker's API has one normal form, which all code uses."""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

# Characters that two parsers of an address read differently. In `https://api.alpaca.markets\.example.org`, urlsplit and
# the HTTP client find different hosts; only the client decodes `%61pi` to `api`.
_AMBIGUOUS = re.compile(r"[\s\\%\x00-\x1f\x7f]")

_PORTS = {"http": 80, "https": 443}

_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]++)*+")


def is_loopback(host: str | None) -> bool:
    """Return whether *host* is this machine, without asking a name server."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def normal_host(host: str) -> str:
    """Return *host* in ASCII and lower case, without a dot at the end; an empty text if it is not a host."""
    try:
        name = host.encode("idna").decode().lower().removesuffix(".")
        return str(ip_address(name)) if ":" in name else name if _NAME.fullmatch(name) else ""
    except ValueError:
        return ""


def host_of(url: str) -> str:
    """Return the normal host of *url*; an empty text if *url* has no host or can be read in two ways."""
    try:
        return "" if _AMBIGUOUS.search(url) else normal_host(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def base_url_faults(url: str) -> list[str]:
    """Return every fault of *url* as an API address. The faults never repeat the address, which may hold a key."""
    host = host_of(url)
    try:
        parts = urlsplit(url)
        has_login, _ = "@" in parts.netloc, parts.port
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


def receiver_address(url: str) -> str:
    """Return *url* if events may be posted there. It is used as it is written: a receiver may need its final slash.

    Raises:
        ValueError: *url* is not such an address; the error does not repeat it.
    """
    try:
        parts = urlsplit(url)
        has_login, _ = "@" in parts.netloc, parts.port
    except ValueError:
        raise ValueError("an address like https://hooks.example.com/tradewire is expected") from None
    if parts.scheme not in {"http", "https"} or not host_of(url):
        raise ValueError("an address like https://hooks.example.com/tradewire is expected")
    if has_login or parts.query or parts.fragment:
        raise ValueError("an address without login, ? and # is expected; the receiver checks the signature")
    if parts.scheme == "http" and not is_loopback(host_of(url)):
        raise ValueError("http:// sends the events unencrypted and is allowed for this machine only; use https://")
    return url


def normal_address(url: str) -> str:
    """Return *url* with its normal host, without the default port of its scheme, and without a final slash.

    Raises:
        ValueError: *url* is not an API address; the error lists its faults.
    """
    faults = base_url_faults(url)
    if faults:
        raise ValueError("; ".join(faults))
    parts, host = urlsplit(url), host_of(url)
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{name}{port}{parts.path}".rstrip("/")


def host_names(value: object) -> object:
    """Return the normal hosts of a text in which they are separated by commas. Other values are returned unchanged.

    Raises:
        ValueError: one of the parts is not a host.
    """
    if not isinstance(value, str):
        return value
    names = {name.strip(): normal_host(name.strip().strip("[]")) for name in value.split(",") if name.strip()}
    wrong = [name for name, host in names.items() if not host]
    if wrong:
        raise ValueError(f"names like tunnel.example.org, separated by commas, are expected, not {', '.join(wrong)}")
    return tuple(names.values())


def networks(value: object) -> object:
    """Return the addresses and networks of a text in which they are separated by commas; `none` is none of them.

    Other values are returned unchanged.

    Raises:
        ValueError: one of the parts is neither an address nor a network.
    """
    if not isinstance(value, str):
        return value
    if value.strip() == "none":
        return ()
    given = tuple(part.strip() for part in value.split(",") if part.strip())
    for part in given:
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(f"addresses like 10.0.0.7 or networks like 10.0.0.0/8 are expected, not {part}") from None
    return given
