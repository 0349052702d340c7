"""Choose the token of the exchange's admin routes."""

import secrets

from config.schema.settings import Settings


def admin_token(settings: Settings) -> tuple[str, list[str]]:
    """Return the token in *settings* and no lines, or a new token and the lines that show it to a person."""
    if settings.exchange_token is not None:
        return settings.exchange_token.get_secret_value(), []
    made = secrets.token_urlsafe(32)
    return made, [f"admin token {made} (TRADEWIRE_EXCHANGE_TOKEN sets another)"]
