"""Check single values of the settings."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from config.schema.addresses import normal_address
from config.schema.broker_hosts import is_alpacas

#: The fewest characters of the main token, with which a program may do everything.
SHORTEST_TOKEN = 16


def database_address(value: SecretStr) -> SecretStr:
    """Return an address of PostgreSQL. Raises ValueError: it is none."""
    if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("an address that begins with postgresql:// is expected")
    return value


def redis_address(value: SecretStr) -> SecretStr:
    """Return an address of Redis. Raises ValueError: it is none."""
    if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("an address that begins with redis://, rediss:// or unix:// is expected")
    return value


def token(value: SecretStr) -> SecretStr:
    """Return a token. Raises ValueError: it is too short, or an HTTP header cannot carry it."""
    if len(value.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"at least {SHORTEST_TOKEN} characters are expected, since anybody may try to guess it")
    # It is sent in an HTTP header, which cannot carry other characters.
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("printable ASCII characters without spaces are expected")
    return value


# Python itself also reads 1_000, and the digits of other alphabets.
def plain_number(value: object) -> object:
    """Return a number or its text. Raises ValueError: the text is not a number in plain digits."""
    if isinstance(value, str) and not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value.strip()):
        raise ValueError("a number in digits is expected, like 5 or 0.5")
    return value


def exchange_address(value: str) -> str:
    """Return the address of a paper exchange in its normal form.

    Raises:
        ValueError: it is not an API address, or it is a broker's.
    """
    if is_alpacas(value):
        raise ValueError("a broker's address is never tradewire's paper exchange; use one like http://127.0.0.1:8100")
    return normal_address(value)


def delay(value: float) -> float:
    """Return a number of seconds. Raises ValueError: it is not above 0 and finite."""
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0 is expected")
    return value
