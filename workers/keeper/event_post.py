"""Sign events and post them to their receiver. Only the status of its answer is read."""

import asyncio
import hmac
import time
from dataclasses import dataclass
from hashlib import sha256

import httpx
from pydantic import SecretStr

#: The headers with the time of the request, in seconds since 1970, and with the signature of that time and the body.
TIMESTAMP = "Tradewire-Timestamp"
SIGNATURE = "Tradewire-Signature"

#: A receiver answers within this time, however slowly it sends its answer.
ANSWERS_WITHIN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class EventPost:
    """Posts events to one address. Proxies and .netrc are not used, and redirects are not followed."""

    url: str
    secret: SecretStr
    limit_s: float = ANSWERS_WITHIN_S

    def __call__(self, body: bytes) -> str | None:
        """Post *body*; return None if the receiver took it, else why not. The text has no part of its answer."""
        try:
            status = asyncio.run(self._status(body))
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {self.limit_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The error's own text may have the address or a part of an answer.
            return f"the request failed ({type(error).__name__})"
        return None if 200 <= status < 300 else f"it answered with status {status}"  # noqa: PLR2004 -- HTTP's own

    async def _status(self, body: bytes) -> int:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tradewire",
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self.secret, timestamp, body),
        }
        # A client's own time limits count from byte to byte, so an answer that drips would never end.
        async with (
            asyncio.timeout(self.limit_s),
            httpx.AsyncClient(trust_env=False, timeout=self.limit_s) as client,
            client.stream("POST", self.url, content=body, headers=headers) as answer,
        ):
            return answer.status_code


def signature(secret: SecretStr, timestamp: str, body: bytes) -> str:
    """Return the signature of a request: `v1=`, and HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal digits."""
    message = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.get_secret_value().encode(), message, sha256).hexdigest()
