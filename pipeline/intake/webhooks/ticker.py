"""Turn a sender's symbol into ours: `NASDAQ:AAPL` into AAPL, `BINANCE:BTCUSDT` into BTC/USD."""

import re

from config.webhooks import WebhookSettings
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.values import shown
from pipeline.model.errors import InvalidSignal
from pipeline.model.symbols import AssetClass, asset_class, canonical

# Where US shares are listed, by TradingView's names, and where crypto trades against dollars. The same letters at
# another exchange are another company: LSE:BP is not NYSE:BP.
_US = frozenset({"AMEX", "ARCA", "BATS", "BOATS", "CBOE", "IEX", "NASDAQ", "NYSE", "NYSEARCA", "OTC"})
_CRYPTO = frozenset(
    {
        "BINANCE", "BINANCEUS", "BITFINEX", "BITSTAMP", "BYBIT", "COINBASE", "CRYPTO", "CRYPTOCOM", "GEMINI",
        "INDEX", "KRAKEN", "KUCOIN", "OKX",
    }
)  # fmt: skip
# Currency pairs are written like pairs of crypto. They are recognised by these codes, and refused.
_MONEY = frozenset(
    {
        "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY", "KRW",
        "MXN", "NOK", "NZD", "PLN", "SEK", "SGD", "THB", "TRY", "TWD", "XAG", "XAU", "XPD", "XPT", "ZAR",
    }
)  # fmt: skip
_DELAYED = re.compile(r"_DLY?$")
_GLUED_STABLE = re.compile(r"^([A-Z0-9]{2,10})(USDT|USDC)$")
_OPTION = re.compile(r"^[A-Z.]{1,6}\s*\d{6}[CP]\d+(\.\d+)?$")
_FUTURE = re.compile(r"^[A-Z0-9]{1,4}(\d!|[FGHJKMNQUVXZ]\d{2,4})$")


def our_symbol(sent: str, webhook: WebhookSettings) -> str:
    """Return our symbol for a sender's symbol.

    The webhook's `symbols` are searched first, for the symbol with its exchange and then without it. The exchange is
    removed when it is a US or a crypto exchange, or one of the webhook's `exchanges`; any other is refused. `BTCUSDT`
    and `BTCUSDC`, without a slash, become BTC/USD unless the webhook keeps stablecoins.

    Raises:
        InvalidSignal: the symbol is not a share or a pair that can be traded here.
    """
    whole = sent.strip().upper()
    exchange, _, bare = whole.rpartition(":")
    named = {name.upper(): symbol for name, symbol in webhook.symbols.items()}
    for name in (whole, bare):
        if name in named:
            return named[name]
    exchange = _DELAYED.sub("", exchange)
    if exchange and exchange not in _US | _CRYPTO | {extra.upper() for extra in webhook.exchanges}:
        message = (
            f"{shown(sent)}: {exchange[:20]} is not an exchange whose symbols are ours; name the symbol in "
            f"webhooks.{webhook.name}.symbols, or the exchange in webhooks.{webhook.name}.exchanges"
        )
        raise InvalidSignal(RefusalCode.BAD_SYMBOL, message)
    _refuse_other_classes(bare, sent)
    if webhook.stablecoins == "usd" and (match := _GLUED_STABLE.match(bare)):
        bare = f"{match[1]}/USD"
    try:
        # Upper case turns some letters of other alphabets into A to Z, which would name another symbol.
        symbol = canonical(bare if sent.isascii() else sent)
    except ValueError as error:
        raise InvalidSignal(RefusalCode.BAD_SYMBOL, str(error)) from None
    if symbol.partition("/")[0] in _MONEY and "/" in symbol:
        raise InvalidSignal(
            RefusalCode.NOT_SUPPORTED, f"{shown(sent)} is a pair of currencies, and not a share or crypto"
        )
    _refuse_another_class(exchange, symbol, sent)
    return symbol


def _refuse_another_class(exchange: str, symbol: str, sent: str) -> None:
    """Refuse a share at an exchange for crypto, and the reverse: BINANCE:BTC is not the share BTC."""
    traded = {AssetClass.CRYPTO: _CRYPTO, AssetClass.US_EQUITY: _US}
    if exchange in _US | _CRYPTO and exchange not in traded[asset_class(symbol)]:
        message = f"{shown(sent)}: {symbol} is {asset_class(symbol)}, which {exchange} does not trade"
        raise InvalidSignal(RefusalCode.BAD_SYMBOL, message)


def _refuse_other_classes(bare: str, sent: str) -> None:
    if _OPTION.match(bare):
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{shown(sent)} is an option; only shares and crypto are traded")
    if _FUTURE.match(bare) or bare.endswith(("USD.P", "USDT.P", "USDC.P", "PERP")):
        raise InvalidSignal(RefusalCode.NOT_SUPPORTED, f"{shown(sent)} is a future; only shares and crypto are traded")
