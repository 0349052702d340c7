"""The paper exchange: a server that speaks the trading API of Alpaca."""
