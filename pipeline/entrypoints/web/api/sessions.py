"""Keep the login to the page in a signed cookie, and protect forms against forged requests."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import SecretStr
from starlette.responses import Response

COOKIE = "tradewire_session"
#: The login form has a cookie of its own, so that it cannot replace the session of a person who is logged in: after a
#: link from another site, the browser does not send COOKIE, and the form may be shown.
LOGIN_COOKIE = "tradewire_login"
#: The form field and the header that carry the session's token against forged requests.
FIELD, HEADER = "csrf", "X-CSRF-Token"
#: Seconds that a login is valid: a working day.
LASTS_S = 12 * 60 * 60
# A token against forgery has 64 characters; longer input is cut before it is compared.
_LONGEST = 100


@dataclass(frozen=True, kw_only=True)
class BrowserSession:
    """One browser's session. It contains a token's name, not the token; each request looks up the token's scopes."""

    #: The token's name; None before the login.
    name: str | None
    nonce: str


class Sessions:
    """Signs and reads the cookie. The key is derived from the main token, so a new main token ends every session."""

    def __init__(self, main: SecretStr) -> None:
        self._key = hmac.digest(main.get_secret_value().encode(), b"tradewire: session cookie", hashlib.sha256)
        self._signer = URLSafeTimedSerializer(self._key, salt="session")

    def new(self, name: str | None) -> BrowserSession:
        """Return a session with a new nonce, so that the session from before a login gives no access afterwards."""
        return BrowserSession(name=name, nonce=secrets.token_urlsafe(16))

    def of(self, request: Request) -> BrowserSession | None:
        """Return the session of *request*; None when it has no valid cookie."""
        return self._held(request, COOKIE)

    def of_login(self, request: Request) -> BrowserSession | None:
        """Return the session in which the login's form was shown; None when there is none."""
        return self._held(request, LOGIN_COOKIE)

    def _held(self, request: Request, cookie: str) -> BrowserSession | None:
        try:
            held = self._signer.loads(request.cookies.get(cookie, ""), max_age=LASTS_S)
        except BadSignature:
            return None
        return BrowserSession(name=held["name"], nonce=held["nonce"])

    def keep(self, response: Response, session: BrowserSession, *, secure: bool) -> None:
        """Set the cookie of *session* in *response*. Set *secure* when the page is served over https."""
        value = self._signer.dumps({"name": session.name, "nonce": session.nonce})
        flags = {"httponly": True, "samesite": "strict", "secure": secure, "path": "/"}
        cookie = LOGIN_COOKIE if session.name is None else COOKIE
        response.set_cookie(cookie, str(value), max_age=LASTS_S, **flags)  # type: ignore[arg-type]

    def end(self, response: Response) -> None:
        """Delete the cookie."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    def token_of(self, session: BrowserSession) -> str:
        """Return the token against forgery that every form of *session* sends."""
        return hmac.new(self._key, f"form {session.nonce}".encode(), hashlib.sha256).hexdigest()

    def is_from(self, session: BrowserSession, given: str | None) -> bool:
        """Return whether *given* is the token against forgery of *session*."""
        return hmac.compare_digest(self.token_of(session).encode(), (given or "").encode()[:_LONGEST])
