"""Import alpaca-py's trading client without pandas: that saves a quarter of a worker's start, and 40 MB of its memory.

The client needs pandas for requests about corporate announcements only, and tradewire makes none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_PANDAS = "pandas"


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Let an empty module take the place of pandas, unless pandas is imported; later imports get the real one."""
    if _PANDAS in sys.modules:
        yield
        return
    sys.modules[_PANDAS] = ModuleType(_PANDAS)
    try:
        yield
    finally:
        del sys.modules[_PANDAS]


with _without_pandas():
    from alpaca.common.rest import RESTClient
    from alpaca.trading.client import TradingClient

__all__ = ["RESTClient", "TradingClient"]
