"""The door for deliveries: who may come in, what it becomes, and what is kept of it either way."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from config.webhooks import Webhook, Webhooks
from pipeline.intake.intake import Intake, Recorded
from pipeline.intake.webhooks.body import WebhookBody, kept, read_body
from pipeline.intake.webhooks.deliveries import (
    NOBODY,
    Arrival,
    DeliveryClaim,
    claim,
    count_strangers,
    keep_refused,
    refuse_claimed,
)
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.translate import translate
from pipeline.intake.webhooks.unauthenticated import Stranger, Strangers
from pipeline.model.errors import InvalidSignal
from pipeline.store.record import Record

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """One request to a webhook."""

    name: str
    #: None: it was longer than an alert can be.
    body: bytes | None
    #: The secrets that came beside the body: in the path, as bearer token.
    secrets: tuple[str, ...]
    address: str | None


@dataclass(frozen=True, kw_only=True)
class RecordedDelivery:
    """A delivery whose signal is recorded."""

    claim: DeliveryClaim
    recorded: Recorded


class WebhookReceiver:
    """Takes deliveries for all webhooks. Thread-safe."""

    def __init__(
        self,
        record: Record,
        intake: Intake,
        webhooks: Webhooks,
        *,
        is_main: Callable[[str], bool],
        busy: Callable[[str], bool],
    ) -> None:
        """Open the door.

        Args:
            record: Where deliveries are kept.
            intake: Where signals are recorded.
            webhooks: Those that there are.
            is_main: Whether this is the main token, which opens webhooks that have no secret.
            busy: Whether this webhook has had its deliveries of the minute; asking counts.
        """
        self._record = record
        self._intake = intake
        self._webhooks = webhooks
        self._is_main = is_main
        self._busy = busy
        self._strangers = Strangers(self._count)

    def receive(self, delivery: WebhookRequest) -> RecordedDelivery:
        """Record the signal that is delivered.

        Raises:
            InvalidSignal: it is refused, and that is kept; the code says how, as one of `Code` or a signal's own.
            RecordUnavailable: nothing is sure to be recorded; the sender must send it again.
        """
        webhook = self._webhooks.get(delivery.name)
        if webhook is None:
            raise self._stranger(delivery, RefusalCode.UNKNOWN_WEBHOOK, "there is no such webhook", asked=delivery.name)
        if not webhook.takes_from(delivery.address):
            message = f"{(delivery.address or 'an unknown address')[:64]} is not among the webhook's addresses"
            raise self._stranger(delivery, RefusalCode.ADDRESS_REFUSED, message)
        if delivery.body is None:
            raise self._stranger(delivery, RefusalCode.TOO_LARGE, "the body is longer than an alert can be")
        body, problem = _read(delivery.body)
        if not self._opens(webhook, delivery.secrets + (() if body is None else body.secrets)):
            message = 'the secret is missing or wrong: it belongs at the end of the address, or in the body as "secret"'
            raise self._stranger(delivery, RefusalCode.UNAUTHORIZED, message)
        if self._busy(webhook.name):
            raise self._stranger(
                delivery, RefusalCode.TOO_MANY, "too many deliveries in a minute; it is to be sent again"
            )
        if body is None:
            raise self._refused(webhook, delivery, problem)
        return self._take(webhook, delivery, body)

    def close(self) -> None:
        """Write what is counted and not written yet."""
        self._strangers.close()

    def _take(self, webhook: Webhook, delivery: WebhookRequest, body: WebhookBody) -> RecordedDelivery:
        arrival = self._arrival(delivery, body)
        try:
            translation = translate(body, webhook.settings, now=datetime.now(UTC))
        except InvalidSignal as error:
            raise self._refused(webhook, delivery, error, body) from None
        claimed = claim(self._record, arrival, translation, digest=body.digest)
        raw = translation.signal | {"source": webhook.name, "source_id": claimed.source_id}
        try:
            recorded = self._intake.record(raw, source=webhook.name)
        except InvalidSignal as error:
            refuse_claimed(self._record, claimed, code=error.code, message=str(error))
            raise
        return RecordedDelivery(claim=claimed, recorded=recorded)

    def _opens(self, webhook: Webhook, given: tuple[str, ...]) -> bool:
        """Compare in constant time: how long it takes tells nothing of the secret."""
        if webhook.secret is None:
            return any([self._is_main(secret) for secret in given])  # noqa: C419 -- all are looked at
        right = webhook.secret.get_secret_value().encode()
        return any([secrets.compare_digest(secret.encode("utf-8", "replace"), right) for secret in given])  # noqa: C419

    def _stranger(self, delivery: WebhookRequest, code: RefusalCode, message: str, *, asked: str = "") -> InvalidSignal:
        # A name that was asked for helps whoever mistyped it; but a secret may stand in its place.
        told = f"{message}: {asked}" if _NAME.fullmatch(asked) and not self._is_secret(asked) else message
        self._strangers.seen(Stranger(arrival=self._arrival(delivery), code=code, message=told))
        return InvalidSignal(code, message)

    def _is_secret(self, text: str) -> bool:
        return self._is_main(text) or any(self._opens(webhook, (text,)) for webhook in self._webhooks.values())

    def _refused(
        self, webhook: Webhook, delivery: WebhookRequest, error: InvalidSignal | None, body: WebhookBody | None = None
    ) -> InvalidSignal:
        """Keep a refusal of a known sender, as a delivery and among all input that was no signal."""
        assert error is not None
        arrival = self._arrival(delivery, body)
        keep_refused(self._record, arrival, code=error.code, message=str(error))
        self._intake.refuse(arrival.payload, source=webhook.name, code=error.code, message=str(error))
        return error

    def _arrival(self, delivery: WebhookRequest, body: WebhookBody | None = None) -> Arrival:
        """Return what may be kept of a delivery: nothing that opens a door, whatever it was written as."""
        known = [webhook.secret.get_secret_value() for webhook in self._webhooks.values() if webhook.secret is not None]
        given = [*delivery.secrets, *(() if body is None else body.secrets)]
        hide = [secret for secret in (*known, *given) if secret]
        content = (delivery.body or b"") if body is None else body.content
        return Arrival(
            webhook=delivery.name if delivery.name in self._webhooks else NOBODY,
            address=delivery.address,
            payload=kept(content, secrets=hide),
        )

    def _count(self, stranger: Stranger, times: int) -> None:
        count_strangers(self._record, stranger.arrival, code=stranger.code, message=stranger.message, times=times)


def _read(raw: bytes) -> tuple[WebhookBody | None, InvalidSignal | None]:
    try:
        return read_body(raw), None
    except InvalidSignal as error:
        return None, error
