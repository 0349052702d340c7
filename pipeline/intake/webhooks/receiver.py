"""Receive webhook deliveries: authenticate the sender, record the signal, and keep refused deliveries."""

import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from config.webhooks import Webhook, Webhooks
from pipeline.intake.intake import Intake, Recorded
from pipeline.intake.webhooks.body import WebhookBody, kept, read_body
from pipeline.intake.webhooks.deliveries import (
    NO_WEBHOOK,
    Arrival,
    DeliveryClaim,
    claim,
    count_unauthenticated,
    keep_refused,
    refuse_claimed,
)
from pipeline.intake.webhooks.message import RefusalCode
from pipeline.intake.webhooks.translate import translate
from pipeline.intake.webhooks.unauthenticated import UnauthenticatedCounter, UnauthenticatedDelivery
from pipeline.model.errors import InvalidSignal
from pipeline.store.record import Record
from pipeline.store.statements import sql

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """One request to a webhook."""

    name: str
    #: None when the body was longer than 64 KiB.
    body: bytes | None
    #: The secrets that came outside the body: in the path, or as a bearer token.
    secrets: tuple[str, ...]
    #: The address that sent it. Behind a proxy, a program on this machine may have invented it.
    address: str | None
    #: The address at the other end of the connection.
    peer: str | None


@dataclass(frozen=True, kw_only=True)
class RecordedDelivery:
    """A delivery whose signal is recorded."""

    claim: DeliveryClaim
    recorded: Recorded


class GuessLimit(Protocol):
    """Counts wrong secrets by address, as `Guesses` does."""

    def allowed(self, address: str | None, tokens: Sequence[str], /) -> tuple[str, ...]:
        """Return the *tokens* that *address* may try now."""

    def record(self, address: str | None, token: str, /, *, right: bool) -> None:
        """Remember whether *token*, which *address* sent, was right."""


class WebhookReceiver:
    """Receives the deliveries of all webhooks. Thread-safe."""

    def __init__(
        self,
        record: Record,
        intake: Intake,
        webhooks: Webhooks,
        *,
        is_main: Callable[[str], bool],
        busy: Callable[[str], bool],
        guesses: GuessLimit,
    ) -> None:
        """Receive deliveries for *webhooks*.

        *is_main* returns whether a token is the main token, which is the secret of webhooks without a secret of their
        own. *busy* counts one delivery to the webhook of a name, and returns whether that webhook gets too many in a
        minute. *guesses* limits the wrong secrets of an address.
        """
        self._record = record
        self._intake = intake
        self._webhooks = webhooks
        self._is_main = is_main
        self._busy = busy
        self._guesses = guesses
        self._trying = threading.Lock()
        self._unauthenticated = UnauthenticatedCounter(self._write_count)

    def receive(self, delivery: WebhookRequest) -> RecordedDelivery:
        """Record the signal that is delivered.

        Raises:
            InvalidSignal: the delivery was refused. That is recorded, or only counted if the secret or the address is
                wrong, there is no such webhook, or the body is too long or one of too many.
                The code is a `RefusalCode`, or the one by which the intake refuses a signal, like `invalid_signal`.
            RecordUnavailable: the signal is perhaps not recorded; the sender must send it again.
        """
        webhook = self._webhook_of(delivery)
        body, problem = _read(delivery.body or b"")
        self._check_secrets(webhook, delivery, delivery.secrets + (() if body is None else body.secrets))
        if self._busy(webhook.name):
            message = "too many deliveries in a minute; send it again later"
            raise self._refuse_sender(delivery, RefusalCode.TOO_MANY, message)
        if body is None:
            raise self._refused(webhook, delivery, problem)
        return self._record_signal(webhook, delivery, body)

    def close(self) -> None:
        """Write the counts of unauthenticated deliveries that are not written yet."""
        self._unauthenticated.close()

    def _webhook_of(self, delivery: WebhookRequest) -> Webhook:
        webhook = self._webhooks.get(delivery.name)
        if webhook is None:
            message = "there is no such webhook"
            raise self._refuse_sender(delivery, RefusalCode.UNKNOWN_WEBHOOK, message, asked=delivery.name)
        if not webhook.takes_from(delivery.address):
            message = f"{(delivery.address or 'an unknown address')[:64]} is not in the webhook's `addresses`"
            raise self._refuse_sender(delivery, RefusalCode.ADDRESS_REFUSED, message)
        if delivery.body is None:
            raise self._refuse_sender(delivery, RefusalCode.TOO_LARGE, "the body is longer than 64 KiB")
        return webhook

    def _record_signal(self, webhook: Webhook, delivery: WebhookRequest, body: WebhookBody) -> RecordedDelivery:
        arrival = self._arrival(delivery, body)
        now = self._record.one(datetime, sql("accounts", "now"))
        try:
            translation = translate(body, webhook.settings, now=now)
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

    # Raises InvalidSignal. Every wrong secret of a delivery is counted, unless the right one is among them.
    def _check_secrets(self, webhook: Webhook, delivery: WebhookRequest, given: tuple[str, ...]) -> None:
        # A secret belongs to its webhook: that of another one is wrong here, and stays right there.
        named = {secret: f"{webhook.name}:{secret}" for secret in given}
        # Without the lock, deliveries at the same time would all try their secrets before the first is counted.
        with self._trying:
            allowed = self._guesses.allowed(delivery.peer, list(named.values()))
            tried = [secret for secret in named if named[secret] in allowed]
            right = [secret for secret in tried if self._authenticates(webhook, (secret,))]
            for secret in right or tried:
                self._guesses.record(delivery.peer, named[secret], right=bool(right))
        if right:
            return
        if len(tried) < len(named):
            message = "too many wrong secrets came from this address in a minute; send it again later"
            raise self._refuse_sender(delivery, RefusalCode.TOO_MANY, message)
        message = 'the secret is missing or wrong: write it at the end of the address, or in the body as "secret"'
        raise self._refuse_sender(delivery, RefusalCode.UNAUTHORIZED, message)

    # The time that this takes must not depend on the secret.
    def _authenticates(self, webhook: Webhook, given: tuple[str, ...]) -> bool:
        if webhook.secret is None:
            return any([self._is_main(secret) for secret in given])  # noqa: C419 -- all are compared
        right = webhook.secret.get_secret_value().encode()
        return any([secrets.compare_digest(secret.encode("utf-8", "replace"), right) for secret in given])  # noqa: C419

    def _refuse_sender(
        self, delivery: WebhookRequest, code: RefusalCode, message: str, *, asked: str = ""
    ) -> InvalidSignal:
        # The recorded message repeats a mistyped name, unless a secret was sent in its place.
        kept_message = f"{message}: {asked}" if _NAME.fullmatch(asked) and not self._is_secret(asked) else message
        refused = UnauthenticatedDelivery(arrival=self._arrival(delivery), code=code, message=kept_message)
        self._unauthenticated.count(refused)
        return InvalidSignal(code, message)

    def _is_secret(self, text: str) -> bool:
        return self._is_main(text) or any(self._authenticates(webhook, (text,)) for webhook in self._webhooks.values())

    # The delivery is recorded twice: as a refused delivery, and as refused input like that of any other source.
    def _refused(
        self, webhook: Webhook, delivery: WebhookRequest, error: InvalidSignal | None, body: WebhookBody | None = None
    ) -> InvalidSignal:
        assert error is not None
        arrival = self._arrival(delivery, body)
        keep_refused(self._record, arrival, code=error.code, message=str(error))
        self._intake.refuse(arrival.payload, source=webhook.name, code=error.code, message=str(error))
        return error

    # All secrets are masked, wherever the sender wrote them, because people read the recorded deliveries.
    def _arrival(self, delivery: WebhookRequest, body: WebhookBody | None = None) -> Arrival:
        known = [webhook.secret.get_secret_value() for webhook in self._webhooks.values() if webhook.secret is not None]
        given = [*delivery.secrets, *(() if body is None else body.secrets)]
        hide = [secret for secret in (*known, *given) if secret]
        content = (delivery.body or b"") if body is None else body.content
        return Arrival(
            webhook=delivery.name if delivery.name in self._webhooks else NO_WEBHOOK,
            address=delivery.address,
            payload=kept(content, secrets=hide),
        )

    def _write_count(self, refused: UnauthenticatedDelivery, times: int) -> None:
        count_unauthenticated(self._record, refused.arrival, code=refused.code, message=refused.message, times=times)


def _read(raw: bytes) -> tuple[WebhookBody | None, InvalidSignal | None]:
    try:
        return read_body(raw), None
    except InvalidSignal as error:
        return None, error
