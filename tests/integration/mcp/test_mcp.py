"""The MCP server as a process with a real record, called by the client of the MCP SDK."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.factories import Core
from tests.integration.accounts.fill_rows import FillRows
from tests.integration.execution_states import ExecutionStates
from tests.unit.accounts.books.fills import fill

Call = tuple[str, dict[str, Any]]
READING = [
    "day", "dead_letter", "dead_letters", "doctor", "executions", "findings", "headroom", "orders", "pnl", "positions",
    "report", "switches", "trades", "why",
]  # fmt: skip
OPERATING = ["cancel_order", "close_position", "discard", "halt", "pause", "requeue", "resume"]
WORD = {"who": "ann", "why": "the news"}
BY = f"ann through mcp of {getpass.getuser()}@{socket.gethostname()}"


class Assistant:
    """Starts `tradewire mcp` with a core's servers for each conversation."""

    def __init__(self, core: Core) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": core.database_url,
            "TRADEWIRE_EXECUTORS": str(core.executors_path),
            "TRADEWIRE_EXCHANGE_URL": core.exchange.url,
            "TRADEWIRE_HOME": str(core.settings.home),
        }

    def asks(self, *calls: Call, flags: tuple[str, ...] = ()) -> list[Any]:
        """Return the answer to each call: its structured content, or the text of its error."""
        return self._talk(flags, lambda client: _ask(client, calls))

    def tools(self, *flags: str) -> dict[str, Any]:
        """Return the tools that the server offers, by name."""

        async def listed(client: Client) -> dict[str, Any]:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

        found: dict[str, Any] = self._talk(flags, listed)
        return found

    def _talk(self, flags: tuple[str, ...], conversation: Callable[[Client], Any]) -> Any:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "pipeline.entrypoints.cli", "mcp", *flags], env=self.environment
        )

        async def talk() -> Any:
            with anyio.fail_after(60):
                async with Client(stdio_client(server)) as client:
                    return await conversation(client)

        return anyio.run(talk)


async def _ask(client: Client, calls: tuple[Call, ...]) -> list[Any]:
    answers = []
    for name, arguments in calls:
        result = await client.call_tool(name, arguments)
        text = getattr(result.content[0], "text", "")
        answers.append(text if result.is_error else result.structured_content)
        # The text has the same content, for clients that do not read structured content.
        assert result.is_error or json.loads(text) == result.structured_content
    return answers


@pytest.fixture
def assistant(core: Core) -> Assistant:
    return Assistant(core)


def dead(core: Core) -> str:
    """Return the id of a dead execution whose attempts are used up."""
    return str(ExecutionStates(core.intake, core.rows).reached("dead", "attempts_used_up"))


def test_what_is_offered_reads_only_unless_it_was_started_otherwise(assistant: Assistant) -> None:
    reading, all_of_it = assistant.tools(), assistant.tools("--allow-operate")

    assert sorted(reading) == READING
    assert {tool.annotations.read_only_hint for tool in reading.values()} == {True}
    assert sorted(all_of_it) == sorted(READING + OPERATING)
    assert {all_of_it[name].annotations.destructive_hint for name in OPERATING} == {True}
    for name in OPERATING:
        assert {"who", "why"} <= set(all_of_it[name].input_schema["required"])


def test_one_conversation_explains_a_signal_and_counts_results(core: Core, assistant: Assistant) -> None:
    bought = core.run(core.send("AAPL"))
    core.run(core.send("AAPL", confidence=60))

    why, report, filled, skipped, rooms, stands = assistant.asks(
        ("why", {"of": str(bought["signal_id"])}),
        ("report", {"after": "1h"}),
        ("executions", {"executor": "argo", "status": "accepted"}),
        ("executions", {"status": "skipped", "limit": 1}),
        ("headroom", {}),
        ("switches", {}),
    )

    assert why["executions"][0]["order_id"] == bought["order_id"]
    assert [move["to"] for move in why["executions"][0]["moves"]] == ["queued", "submitting", "accepted"]
    assert (report["signals"], report["executions"], report["execution_rate"]) == (2, 2, 1.0)
    assert [each["order_id"] for each in filled["executions"]] == [bought["order_id"]]
    assert skipped["executions"][0]["reason"] == "confidence_below_minimum minimum=75 was=60"
    assert rooms == {"headroom": []}
    assert [(each["executor_id"], each["switches"]) for each in stands["switches"]] == [("argo", [])]


def test_for_a_symbol_it_returns_the_newest_histories_or_what_was_refused(core: Core, assistant: Assistant) -> None:
    for _ in range(4):
        core.send("AAPL")
    newest = core.send("AAPL", confidence=60)
    core.intake.refuse({"ticker": "GME"}, source="tv", code="invalid_signal", message="symbol: is missing")

    fills = FillRows(core.record, core.database_url)
    fills.add(fill(0, "a x entry buy 3 100"), fill(1, "b x exit sell 2 101"), symbol="MSFT")

    known, unknown, listed, held, closed, earned, today = assistant.asks(
        ("why", {"of": "aapl"}),
        ("why", {"of": "GME", "at": "1m"}),
        ("executions", {"symbol": "AAPL", "limit": 2}),
        ("positions", {"executor": "argo"}),
        ("trades", {"symbol": "msft", "limit": 1}),
        ("pnl", {"by": "strategy"}),
        ("day", {"executor": "argo"}),
    )

    assert (known["symbol"], len(known["signals"]), known["silence"]) == ("AAPL", 3, None)
    assert known["signals"][0]["executions"][0]["execution_id"] == str(newest)
    assert unknown["signals"] == []
    assert "no signal for GME" in unknown["silence"]
    assert [each["message"] for each in unknown["refused"]] == ["symbol: is missing"]
    assert ([each["symbol"] for each in listed["executions"]], listed["has_more"]) == (["AAPL", "AAPL"], True)
    # The account was never read, so its positions are not known, and neither are those of its strategies.
    assert held == {"positions": []}
    assert ([each["realised"] for each in closed["trades"]], closed["has_more"]) == (["2"], False)
    assert [(each["key"], each["realised"], each["unrealised"]) for each in earned["pnl"]] == [("x", "2", None)]
    [of_argo] = today["day"]
    assert (of_argo["outcomes"]["queued"], of_argo["unexplained"]) == (4, None)
    assert of_argo["signals"] == sum(of_argo["outcomes"].values()) + of_argo["elsewhere"]


def test_doctor_names_what_is_away(assistant: Assistant) -> None:
    [body] = assistant.asks(("doctor", {}))

    checks = {check["name"]: check for check in body["checks"]}
    assert (body["status"], checks["postgresql"]["status"]) == ("critical", "ok")
    assert checks["redis"]["remedy"]


def test_a_missing_or_unreadable_thing_is_reported_as_a_sentence(assistant: Assistant) -> None:
    nobody = str(uuid4())

    answers = assistant.asks(
        ("why", {"of": nobody}),
        ("why", {"of": "???"}),
        ("report", {"after": "yesterday"}),
        ("executions", {"status": "gone"}),
        ("halt", {"executor": "argo", **WORD}),
    )

    for said, answer in zip(
        (f"there is no signal and no execution {nobody}", "'???' is not an id", "2h, 3d", "'queued'", "Unknown tool"),
        answers,
        strict=True,
    ):
        assert said.lower() in answer.lower()


def test_while_postgresql_is_away_it_says_so_and_goes_on(core: Core, assistant: Assistant) -> None:
    assistant.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"

    [report, executions] = assistant.asks(("report", {}), ("executions", {}))

    assert "PostgreSQL cannot be reached" in report
    assert "PostgreSQL cannot be reached" in executions


def test_switches_are_turned_with_who_and_why(core: Core, assistant: Assistant) -> None:
    paused, stands, not_in_file, nameless, pointless, resumed = assistant.asks(
        ("pause", {"executor": "argo", **WORD}),
        ("switches", {}),
        ("halt", {"executor": "nobody", **WORD}),
        ("halt", {"executor": "all", "who": "", "why": "the news"}),
        ("resume", {"executor": "all", "who": "ann", "why": " "}),
        ("resume", {"executor": "all", **WORD}),
        flags=("--allow-operate",),
    )

    [switch] = paused["switches"][0]["switches"]
    assert (switch["kind"], switch["set_by"], switch["why"]) == ("paused", BY, "the news")
    assert stands["switches"][0]["switches"] == [switch]
    assert "there is argo" in not_in_file
    assert "who" in nameless
    assert "why" in pointless
    assert (resumed["switches"][0]["switches"], len(resumed["switches"][0]["lifted"])) == ([], 1)


def test_an_account_of_the_record_is_stopped_without_its_file_as_by_the_command(
    core: Core, assistant: Assistant
) -> None:
    core.send("AAPL")
    core.executors_path.unlink()

    halted, paused, unknown, everyone = assistant.asks(
        ("halt", {"executor": "argo", **WORD}),
        ("pause", {"executor": "argo", **WORD}),
        ("halt", {"executor": "nobody", **WORD}),
        ("halt", {"executor": "all", **WORD}),
        flags=("--allow-operate",),
    )

    assert [switch["kind"] for switch in halted["switches"][0]["switches"]] == ["halted"]
    assert {switch["kind"] for switch in paused["switches"][0]["switches"]} == {"halted", "paused"}
    # The record cannot say which accounts are meant by `all`.
    assert all(str(core.executors_path) in refusal for refusal in (unknown, everyone))


def test_dead_letters_are_listed_shown_requeued_and_discarded(core: Core, assistant: Assistant) -> None:
    first, second = dead(core), dead(core)

    letters, shown, requeued, discarded, again = assistant.asks(
        ("dead_letters", {}),
        ("dead_letter", {"execution_id": first}),
        ("requeue", {"execution_id": first, **WORD}),
        ("discard", {"execution_id": second, **WORD}),
        ("discard", {"execution_id": second, **WORD}),
        flags=("--allow-operate",),
    )

    assert [letter["execution_id"] for letter in letters["dead_letters"]] == [first, second]
    assert shown["executions"][0]["reason"] == "attempts_used_up"
    assert (requeued, discarded) == ({"requeued": first}, {"discarded": second})
    assert "is discarded, not dead" in again
    assert (core.state(UUID(first)), core.state(UUID(second))) == ("queued", "discarded")
    moved = core.rows("SELECT moved_by, moved_why FROM execution WHERE execution_id = %s", [first])
    assert moved == [{"moved_by": BY, "moved_why": "the news"}]


def test_an_order_is_canceled_and_a_position_closed_with_who_and_why(core: Core, assistant: Assistant) -> None:
    entry = core.run(core.send("AAPL", entry_price=90))

    close = {"executor": "argo", "symbol": "MSFT", "percent": 50, **WORD}
    listed, canceled, nothing, half, same, too_much, underscored, full_width = assistant.asks(
        ("orders", {"executor": "argo"}),
        ("cancel_order", {"order": entry["order_id"], **WORD}),
        ("cancel_order", {"order": "nonsense", **WORD}),
        ("close_position", close | {"source_id": "1"}),
        ("close_position", close | {"source_id": "1"}),
        ("close_position", close | {"percent": 101}),
        ("close_position", close | {"percent": "1_0"}),
        ("close_position", close | {"limit": "\uff11"}),
        flags=("--allow-operate",),
    )

    assert [each["order_id"] for each in listed["orders"]] == [entry["order_id"]]
    assert (canceled["order"]["requested_by"], canceled["order"]["why"]) == (BY, "the news")
    assert "there is no order and no execution 'nonsense'" in nothing
    assert "100" in too_much
    assert "digits 0 to 9" in underscored
    assert "digits 0 to 9" in full_width
    assert (half["duplicate"], same["duplicate"], same["signal_id"]) == (False, True, half["signal_id"])
    [execution] = half["executions"]
    assert core.rows(
        "SELECT moved_by, moved_why FROM execution WHERE execution_id = %s", [execution["execution_id"]]
    ) == [{"moved_by": BY, "moved_why": "the news"}]
