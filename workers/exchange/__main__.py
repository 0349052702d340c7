"""Start the paper exchange from the shell: `python -P -m workers.exchange --home DIR`."""

import argparse
import sys
from pathlib import Path

from config.logs import configure_logs
from config.schema.settings import load_settings
from workers.exchange.admin_token import admin_token
from workers.exchange.server import serve


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="workers.exchange", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100, help="0 chooses a free port")
    parser.add_argument("--home", type=Path, default=Path(".tradewire"))
    parser.add_argument("--cadence", type=float, default=5.0, help="seconds per bar")
    parser.add_argument("--clock", choices=["always_open", "real"], default="always_open")
    parser.add_argument("--no-bars", action="store_true", help="do not play price bars")
    parser.add_argument("--listed-only", action="store_true", help="answer 404 for tickers that are not listed")
    given = parser.parse_args()
    token, made = admin_token(load_settings())
    # Standard output has only the URL in its first line and, if there is a new token, the token in its second line.
    configure_logs("console", process="exchange")
    serve(
        host=given.host,
        port=given.port,
        home=given.home,
        token=token,
        cadence_s=given.cadence,
        clock=given.clock,
        bars=not given.no_bars,
        listed_only=given.listed_only,
        on_ready=lambda url: _print(f"exchange listening on {url}", *made),
    )


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
