"""A signal that is sent twice or tried again leads to one order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.entrypoints.doctor.examine import examine
from pipeline.intake.intake import Intake
from pipeline.intake.sources.replay import ReplaySource
from pipeline.model.errors import NotPossible
from tests.exchange_fixtures import ExchangeProcess
from tests.factories import Core, signal, until
from tests.integration.execution_states import Rows
from tests.integration.limited_stage import changed_toml, filled

Make = Callable[..., Core]


def test_a_signal_that_is_sent_again_is_not_traded_again(core: Core) -> None:
    first = core.intake.record(signal(source_id="1"), source="a")
    for execution in first.executions:
        core.run(execution.execution_id)

    for _ in range(3):
        again = core.intake.record(signal(source_id="1"), source="a")
        assert (again.duplicate, again.signal_id) == (True, first.signal_id)
        core.dispatcher.enqueue(again.executions)
        core.run(again.executions[0].execution_id)

    assert len(core.orders()) == 1


@pytest.mark.parametrize("by", ["idea", "content"])
def test_a_near_copy_under_a_new_id_is_skipped_as_a_repeat_and_names_the_first(make_core: Make, by: str) -> None:
    core = make_core(changed_toml(repeat_window_s=f'60\nrepeat_by = "{by}"'))
    core.prices(AAPL=100)
    first = core.send(source_id="43")
    core.run(first)

    copy = core.run(core.send(source_id="46"))
    other = core.run(core.send("MSFT", source_id="47"))

    assert (copy["state"], copy["reason_code"]) == ("skipped", f"repeated_{by}")
    assert copy["reason_facts"]["of"] == str(first)
    assert other["order_id"] is not None


def test_a_position_is_not_added_to_unless_the_settings_allow_it(make_core: Make) -> None:
    core = make_core(changed_toml(pyramiding="1"))
    core.prices(AAPL=100)
    filled(core, strategy="one")

    again = core.run(core.send(strategy="two"))

    assert (again["reason_code"], again["reason_facts"]["limit"]) == ("pyramiding_limit", 1)
    assert len(core.orders()) == 1


@pytest.mark.parametrize("order", ["", "allow_short = true"])
def test_a_sell_that_comes_again_closes_nothing_more_and_opens_no_short(make_core: Make, order: str) -> None:
    core = make_core(changed_toml(factory={"order": order}, repeat_window_s="60"))
    core.prices(AAPL=100)
    filled(core, quantity=5)
    filled(core, "AAPL", "SELL")

    again = core.run(core.send("AAPL", "SELL"))

    assert again["state"] == "skipped"
    assert again["reason_code"] == ("repeated_idea" if order else "no_position")
    assert core.runtimes["argo"].broker.position("AAPL") is None


@pytest.mark.parametrize("kind", ["silence_after", "drop_after", "5xx_after"])
def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(core: Core, kind: str) -> None:
    core.faults({"on": "submit", "kind": kind, "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "unknown"

    for _ in range(3):
        core.run(execution_id)
    until(lambda: core.unknowns.run_once() or core.execution(execution_id)["order_id"])

    assert [order["id"] for order in core.orders()] == [core.execution(execution_id)["order_id"]]


def test_two_workers_with_the_same_execution_send_one_order(core: Core) -> None:
    core.faults({"on": "submit", "kind": "latency", "seconds": 0.2})
    execution_id = core.send()
    recipes = [core.recipe(worker=f"worker {number}") for number in range(8)]
    together = threading.Barrier(len(recipes))

    def run(number: int) -> None:
        together.wait(10)
        recipes[number].run(execution_id)

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(recipes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)

    assert len(core.orders()) == 1
    assert core.execution(execution_id)["attempts"] == 1


def test_an_executed_signal_cannot_be_put_back_to_work(core: Core) -> None:
    execution_id = filled(core)

    with pytest.raises(NotPossible):
        core.dead_letters.requeue(execution_id, by="test", why="again")
    with pytest.raises(Exception, match="may not move"):
        core.rows("UPDATE execution SET state = 'queued', moved_by = 'test' WHERE execution_id = %s", [execution_id])
    core.run(execution_id)

    assert core.moves(execution_id)[-1] == "filled"
    assert len(core.orders()) == 1


def test_two_sources_at_one_market_make_one_signal_of_each_bar(
    start_exchange: Callable[..., ExchangeProcess], intake: Intake, rows: Rows
) -> None:
    exchange = start_exchange("--cadence", "600")
    never = threading.Event()

    def opinions(source: ReplaySource) -> list[Any]:
        return until(lambda: exchange.admin("bars", {"turn": 0}) and list(source.poll(never)))

    sources = [ReplaySource(exchange_url=exchange.url, cadence_s=0.05) for _ in range(2)]
    with closing(sources[0]), closing(sources[1]):
        one, two = (opinions(source) for source in sources)

    recorded = [intake.record(raw, source="replay") for raw in (*one, *two)]

    assert [each.duplicate for each in recorded] == [False] * len(one) + [True] * len(two)
    assert rows("SELECT count(*) AS n FROM signal") == [{"n": len(one)}]


def test_a_diagnosis_sends_no_order_and_records_no_signal(core: Core) -> None:
    known = {"database_url": SecretStr(core.database_url), "redis_url": SecretStr(core.redis_url)}

    examine(core.settings.model_copy(update=known), core.executors)

    asked = core.exchange.admin("requests?key=argo")
    assert core.orders() == []
    assert core.rows("SELECT signal_id FROM signal") == []
    assert asked["requests"] > 0
    assert [route for route in asked["routes"] if not route.startswith("GET ")] == []
