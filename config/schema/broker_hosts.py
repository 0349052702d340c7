"""Decide to which hosts an executor of each mode may send its keys and its orders."""

from config.schema.addresses import host_of, is_loopback, normal_host

LIVE_HOST = "api.alpaca.markets"

PAPER_HOST = "paper-api.alpaca.markets"

#: The broker's address for each mode that needs a broker.
URL_FOR = {"paper": f"https://{PAPER_HOST}", "live": f"https://{LIVE_HOST}"}

#: The secret of every account of the paper exchange, which opens an account for any key that it has not seen.
EXCHANGE_SECRET = "paper-exchange"  # noqa: S105 -- it opens nothing but play money

_DOMAIN = ".alpaca.markets"
_SANDBOX = ".sandbox.alpaca.markets"


def is_alpacas(url: str) -> bool:
    """Return whether *url* is at a host of Alpaca's."""
    return f".{host_of(url)}".endswith(_DOMAIN)


def host_fault(mode: str, url: str, allowed: str | None) -> str | None:
    """Return why an executor in *mode* may not use *url*; None when it may. *allowed* is its `base_url_allowed`.

    A host that tradewire does not know must be named by `base_url_allowed`, which never admits a host of another mode.
    Each host of Alpaca's that is not for practice counts as one for real money.
    """
    host = host_of(url)
    practice = host == PAPER_HOST or host.endswith(_SANDBOX)
    if mode == "live" and practice:
        return f'is for paper trading; mode live needs "{URL_FOR["live"]}"'
    if mode == "live" and is_loopback(host):
        return f'is this machine; mode live needs "{URL_FOR["live"]}"'
    if mode == "exchange" and is_alpacas(url):
        return "is a broker's address; mode exchange is only for tradewire's paper exchange"
    if mode == "paper" and is_alpacas(url) and not practice:
        return f'is for real money; mode paper needs "{URL_FOR["paper"]}"'
    known = is_loopback(host) or f"https://{host}" == URL_FOR.get(mode)
    if host and (known or host == normal_host(allowed or "")):
        return None
    return f"is at a host that mode {mode} does not know: correct it, or name exactly this host in base_url_allowed"


def gets_keys(mode: str, secret: str) -> bool:
    """Return whether an executor in *mode* sends its API key and *secret*.

    Mode exchange sends none that could be a broker's, because any user of the machine can listen at the exchange's
    address while the exchange is down. A key whose secret is `EXCHANGE_SECRET` only names an account of the exchange.
    """
    return mode != "exchange" or secret == EXCHANGE_SECRET
