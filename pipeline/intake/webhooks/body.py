"""Read the body of a delivery: JSON or text, the secrets in it taken out, and what tells two bodies apart."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipeline.intake.sources.strict_json import NotJson, decode
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.model.errors import InvalidSignal
from pipeline.model.masking import bounded
from pipeline.model.reasons import storable

#: Where a sender without headers may write the secret; these never become part of a signal or of what is kept.
SECRET_KEYS = ("secret", "webhook_secret", "passphrase", "password", "token", "api_token", "auth", "auth_key", "key")

_IN_TEXT = re.compile(rf"""["']?\b(?:{"|".join(SECRET_KEYS)})["']?\s*[=:]\s*["']?([^\s,;"'}}]+)["']?""", re.IGNORECASE)
_MASK = "***"
_LONGEST = 4096


@dataclass(frozen=True, kw_only=True)
class WebhookBody:
    """What was delivered, without its secrets."""

    #: A JSON object, or text.
    content: dict[str, Any] | str
    secrets: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what is the same for the same body, and for no other."""
        if isinstance(self.content, str):
            plain = " ".join(self.content.split())
        else:
            plain = json.dumps(self.content, sort_keys=True, default=str)
        return sha256(plain.encode()).hexdigest()


def read_body(raw: bytes) -> WebhookBody:
    """Read a body; its content type is not asked, since senders get it wrong.

    Raises:
        InvalidSignal: it is neither text nor one JSON object.
    """
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidSignal(RefusalCode.UNREADABLE, "the body is not UTF-8") from None
    if not text:
        raise InvalidSignal(RefusalCode.UNREADABLE, "the body is empty: write the alert's message")
    if not text.startswith(("{", "[", '"')):
        return WebhookBody(content=_IN_TEXT.sub("", text).strip(" ,;\n\r\t"), secrets=tuple(_IN_TEXT.findall(text)))
    value = _object(text)
    secrets = tuple(str(value[key]) for key in SECRET_KEYS if isinstance(value.get(key), str | int))
    content = {key: held for key, held in value.items() if key not in SECRET_KEYS}
    return WebhookBody(content=content, secrets=secrets)


def kept(content: dict[str, Any] | str | bytes, *, secrets: Collection[str] = ()) -> str:
    """Return what may be kept of a body: without secrets, at most 4,096 characters.

    Args:
        content: What was read, or the bytes when they could not be read.
        secrets: What is masked wherever it stands.
    """
    if isinstance(content, bytes):
        content = _IN_TEXT.sub(_MASK, content[: 2 * _LONGEST].decode("utf-8", "replace"))
    for secret in secrets:
        content = _without(content, secret)
    text: str = storable(bounded(content))
    return text[:_LONGEST]


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
        hint = "; it has typographic quotes: write straight ones" if re.search("[“”„]", text) else ""
        raise InvalidSignal(RefusalCode.UNREADABLE, f"{error} (at character {error.offset + 1}){hint}") from None
    if len(elements) != 1 or elements[0].value is None:
        message = elements[0].error if len(elements) == 1 else None
        raise InvalidSignal(RefusalCode.UNREADABLE, message or "one delivery carries one JSON object")
    return elements[0].value
