"""Decide whether an execution becomes an order. Decision, reservation and intent are one transaction."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.intake.routing import always_refused, may_be_exit
from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.reasons import Code, Reason, with_request_id
from pipeline.model.sources import PROTECT
from pipeline.model.states import State
from pipeline.model.symbols import AssetClass
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution, OrderRow, Role, SignalRow
from pipeline.store.statements import sql
from workers.account.calendar import seems_open
from workers.account.refusals import AccountRefused
from workers.account.runtime import ExecutorRuntime
from workers.execution.blocking_orders import BlockingOrders
from workers.execution.broker_inputs import BrokerInputs, InputSnapshot, KnownBefore
from workers.execution.cancels import ask_to_cancel, cancel_foreign
from workers.execution.entries_refused import send_probe
from workers.execution.order_intents import Intended, pay_again, prior_order, write_intent
from workers.execution.record_inputs import read_before, read_case
from workers.execution.transitions import held, skipped, unread
from workers.rules.case import Case, Go, Hold, Skip
from workers.rules.decide import decide, still_go, wait_for_symbol
from workers.rules.exits import may_enter
from workers.rules.market_hours import Market
from workers.rules.retry_policy import Transition, broker_hold, may_resend

# The pauses before the broker is read again for an entry, after an answer that makes no sense.
_UNREADABLE = Backoff(first_s=0.5, longest_s=16.0)


@dataclass(frozen=True, kw_only=True)
class PreTradeCheck:
    """Decides on the executions of one executor."""

    record: Record
    runtime: ExecutorRuntime
    inputs: BrokerInputs
    blocking: BlockingOrders

    def decide(self, claimed: ClaimedExecution) -> Intended | Transition:
        """Return the recorded intent to send, or the new state of the execution if nothing is sent."""
        known = self.record.run(lambda connection: read_before(connection, claimed, self.runtime.executor))
        signal, prior = known.signal, known.prior
        sent = prior is not None and (prior.order_id is not None or claimed.from_state is not State.HELD)
        if prior is not None and prior.may_exist and sent:
            # The execution was requeued or interrupted, or its order was found after a restore: look it up first.
            return _look_up(prior, Code.REQUEUED if claimed.from_state is State.QUEUED else Code.NO_ANSWER)
        waits = self._wait_for_symbol(known)
        if waits is not None:
            exits_again = prior is not None and prior.role is not Role.ENTRY
            urgent = exits_again or known.has_to_close or not may_enter(signal, self.runtime.executor)
            again = self.blocking.look_up(known.under_way, claimed, urgent=urgent)
            return self.decide(claimed) if again else self._hold_for_symbol(claimed, signal, waits)
        try:
            seen = self.inputs.read(claimed, known)
        except BrokerUnavailable as error:
            reason, wait = unread(error, age=claimed.now - claimed.created_at)
            return self._hold(claimed, signal, reason, wait, self.inputs.hours(signal, claimed.now))
        except BrokerUnreadable as error:
            return self._unreadable(claimed, signal, str(error))
        if isinstance(seen, AccountRefused):
            reason = Reason(code=Code.BROKER_REFUSES_ACCOUNT, facts={"says": seen.message})
            return self._hold(claimed, signal, reason, seen.probe_in, self.inputs.hours(signal, claimed.now))
        verdict = self.record.run(lambda connection: self._decide(connection, claimed, signal, seen))
        return self._wait(claimed, signal, verdict) if isinstance(verdict, Hold) else verdict

    def _wait(self, claimed: ClaimedExecution, signal: SignalRow, hold: Hold) -> Intended | Transition:
        """Look up the orders that the execution waits for; decide again if one has changed, and hold it if not."""
        again = bool(hold.waits_for) and self.blocking.look_up(hold.waits_for, claimed, urgent=True)
        return self.decide(claimed) if again else self._cancel_and_hold(claimed, signal, hold)

    def _wait_for_symbol(self, known: KnownBefore) -> Hold | None:
        """Return the hold for other orders of the symbol if the record alone shows them: the broker is not asked."""
        signal, executor, prior = known.signal, self.runtime.executor, known.prior
        if not known.under_way or always_refused(signal, executor) or signal.source == PROTECT:
            return None
        again = prior if prior is not None and prior.may_exist else None
        if again is not None and (again.role is Role.ENTRY or again.order_id is not None):
            return None
        exits_again = again is not None
        return wait_for_symbol(
            signal,
            executor,
            known.under_way,
            closes=exits_again or not may_enter(signal, executor),
            has_to_close=exits_again or known.has_to_close,
        )

    def _hold_for_symbol(self, claimed: ClaimedExecution, signal: SignalRow, waits: Hold) -> Transition:
        """Hold for other orders of the symbol. These may rest for a day, so an entry ends by its age meanwhile."""
        if waits.cancel or waits.replaces or waits.cancel_foreign:
            return self._cancel_and_hold(claimed, signal, waits)
        return self._hold(claimed, signal, waits.reason, waits.wait, self.inputs.hours(signal, claimed.now))

    def _decide(
        self, connection: Connection[DictRow], claimed: ClaimedExecution, signal: SignalRow, seen: InputSnapshot
    ) -> Intended | Transition | Hold:
        """Decide and write the intent under the executor's lock, so that reservations see each other."""
        execute(connection, sql("accounts", "lock_executor"), {"executor_id": claimed.executor_id})
        case = read_case(connection, claimed, signal, seen, self.runtime.executor)
        prior = prior_order(connection, claimed)
        if prior is not None and prior.may_exist:
            return self._again(connection, case, prior)
        match decide(case):
            case Skip(reasons=reasons):
                return skipped(reasons)
            case Hold() as hold:
                return hold
            case Go() as go:
                reached("worker.after_check")
                written = write_intent(
                    connection,
                    claimed,
                    signal,
                    go,
                    account_number=case.account.number,
                    per_minute=self.runtime.executor.limits.requests_per_minute,
                )
                if isinstance(written, Hold):
                    return self._hold(claimed, signal, written.reason, written.wait, case.calendar)
                _note_probe(connection, case, written)
                return written

    def _again(self, connection: Connection[DictRow], case: Case, prior: OrderRow) -> Intended | Transition | Hold:
        """Send the identical order once more, if the rules still allow it."""
        if prior.order_id is not None:
            # A late answer has shown that the broker holds the order.
            return _look_up(prior, Code.NO_ANSWER)
        if prior.account_number != case.account.number:
            facts = {"meant": prior.account_number, "is": case.account.number}
            return Transition(state=State.DEAD, reason=Reason(code=Code.ACCOUNT_CHANGED, facts=facts))
        no_go = still_go(case, prior)
        if isinstance(no_go, Hold):
            return no_go
        if no_go is not None:
            key = {"execution_id": prior.execution_id, "generation": prior.generation}
            execute(connection, sql("orders", "end"), key | {"order_status": None})
            return skipped(no_go.reasons)
        if not may_resend(since_first_sent=case.now - (prior.first_sent_at or prior.intended_at)):
            # The order was first sent too long ago to be sent again, so a look-up decides.
            return _look_up(prior, Code.NO_ANSWER)
        sent = pay_again(connection, prior, per_minute=self.runtime.executor.limits.requests_per_minute)
        if isinstance(sent, Intended):
            _note_probe(connection, case, sent)
        return sent

    def _cancel_and_hold(self, claimed: ClaimedExecution, signal: SignalRow, hold: Hold) -> Transition:
        """Ask for the cancels that an exit waits for. A poll or a look-up shows their end."""
        ids = [ask_to_cancel(self.record, self.runtime.urgent, order_id) for order_id in hold.cancel]
        if hold.replaces and self._may_trade_now(signal):
            replace = partial(ask_to_cancel, self.record, self.runtime.urgent, reason=Code.SUPERSEDED)
            ids += [replace(order_id) for order_id in hold.replaces]
        if hold.cancel_foreign:
            self.runtime.open_orders.forget()
        cancel = partial(
            cancel_foreign, self.record, self.runtime.urgent, executor_id=claimed.executor_id,
            execution_id=claimed.execution_id,
        )  # fmt: skip
        foreign = [cancel(order) for order in hold.cancel_foreign]
        ids += [each.request_id for each in foreign]
        reason = with_request_id(hold.reason, " ".join(filter(None, ids)))
        wait = min((each.wait for each in foreign), default=hold.wait)
        return Transition(state=State.HELD, reason=reason, due_in=wait)

    def _may_trade_now(self, signal: SignalRow) -> bool:
        """Return whether the market's hours let an exit trade now, so that it may replace a limit close."""
        if signal.asset_class == AssetClass.CRYPTO:
            return True
        out_of_hours = self.runtime.executor.hours.closed == "extended" and signal.entry_price is not None
        return out_of_hours or seems_open(self.record, self.runtime.snapshots)

    def _unreadable(self, claimed: ClaimedExecution, signal: SignalRow, says: str) -> Transition:
        """Decide again later, since an answer made no sense.

        After `retry.attempts` tries an entry becomes a dead letter. A possible exit is tried without limit.
        """
        attempts = claimed.attempts + 1
        reason = Reason(code=Code.ACCOUNT_UNREADABLE, facts={"says": says[:300], "attempts": attempts})
        if may_be_exit(signal, self.runtime.executor):
            return Transition(state=State.HELD, reason=reason, due_in=broker_hold(age=claimed.now - claimed.created_at))
        if attempts >= self.runtime.executor.retry.attempts:
            return Transition(state=State.DEAD, reason=reason, attempts=1)
        pause = timedelta(seconds=_UNREADABLE.after(attempts))
        return Transition(state=State.HELD, reason=reason, due_in=pause, attempts=1)

    def _hold(
        self, claimed: ClaimedExecution, signal: SignalRow, reason: Reason, wait: timedelta, market: Market | None
    ) -> Transition:
        return held(claimed, signal, self.runtime.executor, reason, wait, market=market)


def _note_probe(connection: Connection[DictRow], case: Case, sent: Intended) -> None:
    """If the broker refuses entries and *sent* is an entry, it is the probe: let the other entries wait."""
    if sent.order.role is Role.ENTRY and case.entries_refused is not None:
        send_probe(connection, case.executor.id)


def _look_up(prior: OrderRow, code: Code) -> Transition:
    facts = {"client_order_id": prior.client_order_id}
    return Transition(state=State.UNKNOWN, reason=Reason(code=code, facts=facts), due_in=timedelta(0))
