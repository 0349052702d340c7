"""Remember in a signed cookie who logged in to the page, and tie every form to that login."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import SecretStr
from starlette.responses import Response

COOKIE = "tradewire_session"
#: The form field and the header that carry the session's token against forged requests.
FIELD, HEADER = "csrf", "X-CSRF-Token"
# A working day: who comes back tomorrow logs in again.
_LASTS_S = 12 * 60 * 60
# A token against forgery has 64 characters; what is longer is none.
_LONGEST = 100


@dataclass(frozen=True, kw_only=True)
class BrowserSession:
    """One browser's visit. It holds no token, only the name of one: the scopes are asked for at each request."""

    #: The token's name; None: nobody has logged in yet.
    name: str | None
    nonce: str


class Sessions:
    """Signs and reads the cookie. The key comes from the main token: a new token ends every session."""

    def __init__(self, main: SecretStr) -> None:
        self._key = hmac.digest(main.get_secret_value().encode(), b"tradewire: session cookie", hashlib.sha256)
        self._signer = URLSafeTimedSerializer(self._key, salt="session")

    def new(self, name: str | None) -> BrowserSession:
        """Return a session under a fresh nonce: one from before a login is never one from after it."""
        return BrowserSession(name=name, nonce=secrets.token_urlsafe(16))

    def of(self, request: Request) -> BrowserSession | None:
        """Return the session that *request* carries; None: none, or not one of ours, or over."""
        try:
            held = self._signer.loads(request.cookies.get(COOKIE, ""), max_age=_LASTS_S)
        except BadSignature:
            return None
        return BrowserSession(name=held["name"], nonce=held["nonce"])

    def keep(self, response: Response, session: BrowserSession, *, secure: bool) -> None:
        """Put *session* into the answer; *secure* where the page is served over https."""
        value = self._signer.dumps({"name": session.name, "nonce": session.nonce})
        flags = {"httponly": True, "samesite": "strict", "secure": secure, "path": "/"}
        response.set_cookie(COOKIE, str(value), max_age=_LASTS_S, **flags)  # type: ignore[arg-type]

    def end(self, response: Response) -> None:
        """Take the cookie back."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    def token_of(self, session: BrowserSession) -> str:
        """Return what every form of *session* must carry."""
        return hmac.new(self._key, f"form {session.nonce}".encode(), hashlib.sha256).hexdigest()

    def is_from(self, session: BrowserSession, given: str | None) -> bool:
        """Say whether *given* is what a form of *session* carries."""
        return hmac.compare_digest(self.token_of(session).encode(), (given or "").encode()[:_LONGEST])
