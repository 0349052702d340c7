"""Read from Alpaca's message whether it refuses the account or one order, and why it refuses the order."""

import re
from collections.abc import Mapping
from typing import Final

from workers.brokers.protocol import RefusalKind

#: The messages of a 403 to an order that concern more than this order, with their meanings. They do not prove that the
#: account itself is refused; only a refused read does. Any other 403 concerns the one order: funds, held shares, a wash
#: trade, shorting, an asset.
ACCOUNT_REFUSALS: Final[Mapping[str, str]] = {
    "forbidden": "keys that do not exist, or of the other environment (paper or live)",
    "request is not authorized": "keys without the right to trade; usually with 401",
    "access key verification failed": "the same, in an older wording",
    "invalid_client": "the same, for OAuth",
    "account is not authorized to trade": "the broker has not opened, or has closed, the account for trading",
    "account is restricted to liquidation only": "no order may open a position, so entries wait",
    "new orders are rejected by user request": "the owner set suspend_trade at the broker",
}

#: Other wordings of the message that the account may only close positions.
_ONLY_CLOSES: Final = re.compile(
    r"liquidation[- ]only|restricted to (liquidat|clos|reduc)|(close|closing|reduce)[- ]only"
    r"|(account|you) (is|are) not (allowed|permitted|authorized) to open (?!(a )?short)",
    re.IGNORECASE,
)
#: Patterns for the messages of refused orders, and the kind of refusal that each shows. An exit reacts to the kind.
_REFUSALS: Final = (
    (re.compile(r"^insufficient (qty|balance)\b", re.IGNORECASE), RefusalKind.HELD),
    (re.compile(r"^potential wash trade", re.IGNORECASE), RefusalKind.OPPOSED),
    (re.compile(r"\bis not fractionable\b", re.IGNORECASE), RefusalKind.NOT_FRACTIONABLE),
    (re.compile(r"^cost basis must be >=|^minimal (qty|amount) of order", re.IGNORECASE), RefusalKind.TOO_SMALL),
)


def refuses_account(message: str) -> bool:
    """Return whether the message of a 403 concerns every order of the account, or every order that opens a position."""
    # A cause may follow: "access key verification failed : verification failure".
    said = message.lower().partition(" : ")[0].rstrip(". ")
    return said in ACCOUNT_REFUSALS or bool(_ONLY_CLOSES.search(message))


def refusal_kind(message: str) -> RefusalKind | None:
    """Return why the broker refuses the order; None if `RefusalKind` does not list the reason."""
    return next((kind for pattern, kind in _REFUSALS if pattern.search(message)), None)
