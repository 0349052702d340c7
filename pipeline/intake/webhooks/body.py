"""Read the body of a delivery, JSON or text: take the secrets out, and compute its digest."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

from config.logs import without_secrets
from pipeline.intake.sources.strict_json import NotJson, decode
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.model.errors import InvalidSignal
from pipeline.model.masking import bounded
from pipeline.model.reasons import storable

#: The keys under which a sender may write the secret into the body. They are never part of a signal or of the record.
SECRET_KEYS = ("secret", "webhook_secret", "passphrase", "password", "token", "api_token", "auth", "auth_key", "key")

_IN_TEXT = re.compile(rf"""["']?\b(?:{"|".join(SECRET_KEYS)})["']?\s*[=:]\s*["']?([^\s,;"'}}]+)["']?""", re.IGNORECASE)
_MASK = "***"
_LONGEST = 4096
# As many secrets as a JSON object can have under these keys. A text could have thousands.
_MOST_SECRETS = len(SECRET_KEYS)


@dataclass(frozen=True, kw_only=True)
class WebhookBody:
    """A delivered body without its secrets."""

    #: A JSON object, or text.
    content: dict[str, Any] | str
    #: At most nine different ones; the content has no others either.
    secrets: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return a hash of the content. Two bodies that differ only in their secrets have the same hash."""
        if isinstance(self.content, str):
            plain = " ".join(self.content.split())
        else:
            plain = json.dumps(self.content, sort_keys=True, default=str)
        return sha256(plain.encode()).hexdigest()


def read_body(raw: bytes) -> WebhookBody:
    """Read a body. The content type is ignored, since many senders set a wrong one.

    Raises:
        InvalidSignal: the body is empty, is not UTF-8, or is JSON other than one object.
    """
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidSignal(RefusalCode.UNREADABLE, "the body is not UTF-8") from None
    if not text:
        raise InvalidSignal(RefusalCode.UNREADABLE, "the body is empty: write a message for the alert")
    if not text.startswith(("{", "[", '"')):
        return WebhookBody(content=_IN_TEXT.sub("", text).strip(" ,;\n\r\t"), secrets=_secrets_in(text))
    value = _object(text)
    secrets = tuple(str(value[key]) for key in SECRET_KEYS if isinstance(value.get(key), str | int))
    content = {key: held for key, held in value.items() if key not in SECRET_KEYS}
    return WebhookBody(content=content, secrets=secrets)


def kept(content: dict[str, Any] | str | bytes, *, secrets: Collection[str] = ()) -> str:
    """Return the text of a body (read, or bytes) that may be recorded: secrets masked, at most 4,096 characters.

    The secrets of this process are masked wherever they are: the main token is the secret of some webhooks, and a
    sender may misspell the key or leave it out.
    """
    if isinstance(content, bytes):
        content = _IN_TEXT.sub(_MASK, content[: 2 * _LONGEST].decode("utf-8", "replace"))
    for secret in secrets:
        content = _without(content, secret)
    text: str = storable(bounded(content, mask=without_secrets))
    return text[:_LONGEST]


def _secrets_in(text: str) -> tuple[str, ...]:
    found = dict.fromkeys(match[1] for match in _IN_TEXT.finditer(text))
    return tuple(islice(found, _MOST_SECRETS))


def _without(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, _MASK)
    if isinstance(value, dict):
        return {_without(key, secret): _without(inner, secret) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, secret) for inner in value]
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        elements = decode(text)
    except NotJson as error:
        hint = "; it contains typographic quotes: write straight ones" if re.search("[“”„]", text) else ""
        raise InvalidSignal(RefusalCode.UNREADABLE, f"{error} (at character {error.offset + 1}){hint}") from None
    if len(elements) != 1 or elements[0].value is None:
        message = elements[0].error if len(elements) == 1 else None
        raise InvalidSignal(RefusalCode.UNREADABLE, message or "one delivery carries one JSON object")
    return elements[0].value
