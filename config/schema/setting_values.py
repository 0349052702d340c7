"""Check single values of the settings."""

import re
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from config.schema.addresses import normal_address
from config.schema.broker_hosts import is_alpacas

#: The shortest length of a token. With the main token a program may do everything.
SHORTEST_TOKEN = 16


# One `@` at most, and no `@` in a query: a parser that found another end of the login would take a part of the password
# for the host. Its error would then print that part.
_DATABASE = re.compile(r"postgres(?:ql)?://(?:[^@/\[\]\s]*@)?[^@?\s]*(?:\?[^@\s]*)?")
_REDIS = re.compile(r"(?:rediss?|unix)://(?:[^@/?#\[\]\s]*@)?[^@?#\s]*(?:\?[^@#\s]*)?")
_BAD_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED = "with the special characters of the login percent-encoded: % as %25, @ as %40, / as %2F, # as %23"


def database_address(value: SecretStr) -> SecretStr:
    """Return *value* if PostgreSQL's client takes it for an address; else raise ValueError without a part of it."""
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("an address that begins with postgresql:// is expected")
    if not _is_database(value.get_secret_value()):
        raise ValueError(f"an address like postgresql://user:password@host:port/name is expected, {_ENCODED}")
    return value


def _is_database(address: str) -> bool:
    try:
        # The ports of several hosts are separated by commas.
        port = str(conninfo_to_dict(address).get("port") or "")
    except psycopg.ProgrammingError:
        return False
    return _DATABASE.fullmatch(address) is not None and re.fullmatch(r"[0-9,]*", port) is not None


def redis_address(value: SecretStr) -> SecretStr:
    """Return *value* if it is an address of Redis; else raise ValueError, without a part of it."""
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("an address that begins with redis://, rediss:// or unix:// is expected")
    if not _is_redis(value.get_secret_value()):
        raise ValueError(f"an address like redis://:password@host:port/number is expected, {_ENCODED}")
    return value


def _is_redis(address: str) -> bool:
    if _REDIS.fullmatch(address) is None or _BAD_CODE.search(address):
        return False
    try:
        return (urlsplit(address).port or 0) >= 0
    except ValueError:
        return False


def token(value: SecretStr) -> SecretStr:
    """Return *value* if it is a token. Raise ValueError if it is too short or an HTTP header cannot carry it."""
    if len(value.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"at least {SHORTEST_TOKEN} characters are expected, since anybody may try to guess it")
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("printable ASCII characters without spaces are expected")
    return value


# Python's own conversion also accepts 1_000, and the digits of other alphabets.
def plain_number(value: object) -> object:
    """Return *value* unchanged. Raise ValueError if it is text that is not a number in plain digits."""
    if isinstance(value, str) and not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value.strip()):
        raise ValueError("a number in digits is expected, like 5 or 0.5")
    return value


def exchange_address(value: str) -> str:
    """Return the address of a paper exchange in its normal form.

    Raises:
        ValueError: *value* is not an API address, or it is a broker's.
    """
    if is_alpacas(value):
        raise ValueError("this is a broker's address, not a paper exchange's; use one like http://127.0.0.1:8100")
    return normal_address(value)


def delay(value: float) -> float:
    """Return *value* if it is a number of seconds above 0 and finite; else raise ValueError."""
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0 is expected")
    return value
