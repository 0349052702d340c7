"""Write the figures of the books as people and programs read them."""

from decimal import Decimal

from config.schema.fields import plain

# Brokers state prices with at most nine decimals.
_PLACES = 10


def trimmed(number: Decimal) -> Decimal:
    """Return *number* without trailing zeros."""
    return Decimal(plain(number))


def known(number: Decimal | None) -> Decimal | None:
    """Return *number* without trailing zeros; None stays None."""
    return None if number is None else trimmed(number)


def average(number: Decimal | None) -> Decimal | None:
    """Return an average price, which may have no end, with at most ten decimals; None stays None."""
    return None if number is None else trimmed(round(number, _PLACES))
