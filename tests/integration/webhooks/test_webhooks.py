"""Webhooks check the sender, recognise an alert that is sent again, and store refused deliveries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from config.executors import load_executors
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid
from pipeline.store.record import Record
from pipeline.views.history import signal_history
from tests.command import app
from tests.integration.execution_states import Rows
from tests.integration.record_clock import shift_clock
from tests.integration.webhooks.webhook_stage import SECRET, Stage, webhook_stage
from tests.web import LOAD, TOKEN

AN_ALERT = json.dumps({"ticker": "AAPL", "action": "buy", "price": "190.10"})
FILE = """
[webhooks.tradingview]
executors = ["argo"]
strategy = "breakout"
confidence = 90

[webhooks.nowhere]
addresses = ["52.89.214.238"]

[webhooks.open]

[webhooks.screener]
dialect = "template"
[webhooks.screener.template]
symbol = "{event.instrument}"
action = "{event.kind}"
price = "{event.prices.0.last}"
confidence = 77.5
source_id = "{event.uuid}"
words = { ENTER_LONG = "buy" }
"""


@pytest.fixture
def stage(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name in ("TRADINGVIEW", "NOWHERE", "SCREENER"):
        monkeypatch.setenv(f"WEBHOOK_{name}_SECRET", SECRET)
    file = tmp_path / "webhooks.toml"
    file.write_text(FILE)
    with webhook_stage(database_url, redis_url, file) as served:
        yield served


def test_a_signal_is_recorded_under_the_webhooks_name_for_its_executors_and_enqueued(
    stage: Stage, redis_url: str
) -> None:
    body = json.loads(AN_ALERT) | {"source": "somebody else"}

    answer = stage.alert(json.dumps(body))

    assert answer.status_code == 201
    (row,) = stage.rows("SELECT * FROM signal")
    assert (row["source"], row["strategy"], row["confidence"], row["executors"]) == (
        "tradingview",
        "breakout",
        90,
        ["argo"],
    )
    assert {each["executor_id"]: each["reason_code"] for each in answer.json()["executions"]} == {
        "argo": None,
        "prop_firm": "not_addressed",
    }
    assert redis.Redis.from_url(redis_url).llen("rq:queue:executor-argo") == 1


@pytest.mark.parametrize(("key", "status"), [("tra\x00iling_stop", 422), ("col\x00our", 201)])
def test_a_key_that_postgresql_cannot_store_is_answered_and_kept(stage: Stage, key: str, status: int) -> None:
    answer = stage.alert(json.dumps(json.loads(AN_ALERT) | {key: "5"}))

    assert answer.status_code == status
    (row,) = stage.rows("SELECT message FROM delivery")
    assert key.partition("\x00")[0] + "\ufffd" in row["message"]


def test_the_secret_may_be_in_the_path_the_body_or_a_header(stage: Stage) -> None:
    with_secret = json.dumps(json.loads(AN_ALERT) | {"passphrase": SECRET})
    path = "/webhooks/tradingview"
    answers = [
        stage.post(f"{path}/{SECRET}", "buy AAPL at 1"),
        stage.post(f"{path}/{SECRET}/", "buy AAPL at 2"),
        stage.post(path, "buy AAPL at 3", authorization=f"Bearer {SECRET}"),
        stage.post(path, with_secret),
        stage.post(path, f"buy AAPL at 5 secret={SECRET}"),
        stage.post("/webhooks/open", f"buy AAPL at 6 secret={TOKEN}"),
    ]

    assert [answer.status_code for answer in answers] == [201] * 6
    kept = str(stage.rows("SELECT * FROM delivery")) + str(stage.rows("SELECT * FROM signal"))
    assert SECRET not in kept
    assert TOKEN not in kept


@pytest.mark.parametrize("given", ["", "wrong-wrong-wrong-wrong", TOKEN, f"{SECRET}x"])
def test_a_wrong_secret_is_401_and_kept_without_that_secret(stage: Stage, given: str) -> None:
    answer = stage.post(f"/webhooks/tradingview/{given}" if given else "/webhooks/tradingview", AN_ALERT)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    (row,) = stage.wait_for(1)
    assert (row["webhook"], row["code"], row["times"]) == ("tradingview", "unauthorized", 1)
    assert given == "" or given not in json.dumps(row)
    assert stage.rows("SELECT * FROM signal") == []


def test_unauthenticated_deliveries_are_counted_and_do_not_fill_the_record(stage: Stage) -> None:
    statuses = [stage.post(f"/webhooks/tradingview/{uuid.uuid4()}", AN_ALERT).status_code for _ in range(60)]

    assert set(statuses) == {401, 503}
    items = stage.wait_for(60)
    # Refusals are counted per code and minute, and a minute may end during the test.
    assert len(items) <= 4
    assert sum(item["times"] for item in items) == 60


def test_secrets_are_guessed_slowly_and_the_right_one_of_before_still_delivers(stage: Stage) -> None:
    def guess(number: int) -> int:
        path, forged = f"/webhooks/tradingview/wrong-secret-{number}", {"X-Forwarded-For": f"10.0.0.{number}"}
        return stage.post(path, AN_ALERT, **forged).status_code

    assert stage.alert(AN_ALERT).status_code == 201

    assert [guess(number) for number in range(25)] == [401] * 20 + [503] * 5
    assert stage.alert("sell MSFT at 1").status_code == 201
    assert {item["code"] for item in stage.wait_for(25)} == {"unauthorized", "too_many_requests"}


def test_a_delivery_with_thousands_of_secrets_tries_a_few_of_them(stage: Stage) -> None:
    def text(secrets: list[str]) -> str:
        return " ".join(["close AAPL", *(f"key={secret}" for secret in secrets)])

    guesses = [f"wrong-secret-{number}" for number in range(2900)]
    answers = [stage.post("/webhooks/tradingview", text([*guesses, SECRET])) for _ in range(4)]

    # Each tries nine secrets, so the third has two left, and the fourth has none.
    assert [answer.status_code for answer in answers] == [401, 401, 503, 503]
    assert SECRET not in json.dumps(stage.wait_for(4))
    assert stage.alert_once(AN_ALERT).status_code == 503


def test_a_secret_that_is_guessed_at_last_is_not_told_from_a_wrong_one(stage: Stage) -> None:
    for number in range(20):
        stage.post(f"/webhooks/tradingview/wrong-secret-{number}", AN_ALERT)

    wrong, right = stage.post("/webhooks/tradingview/wrong-again", AN_ALERT), stage.alert_once(AN_ALERT)

    assert (wrong.status_code, right.status_code) == (503, 503)
    assert wrong.json() == right.json()
    assert int(right.headers["Retry-After"]) > 0
    assert stage.rows("SELECT 1 FROM signal") == []


def test_a_wrong_secret_beside_the_right_one_is_not_counted(stage: Stage) -> None:
    body = json.dumps(json.loads(AN_ALERT) | {"token": "of another service"})

    assert {stage.alert(body).status_code for _ in range(25)} == {201, 200}
    assert stage.post("/webhooks/tradingview/wrong-secret", AN_ALERT).status_code == 401


def test_another_address_is_403_and_another_name_404(stage: Stage) -> None:
    answers = [stage.post(f"/webhooks/{name}/{SECRET}", AN_ALERT) for name in ("nowhere", "tradingveiw", SECRET)]

    assert [answer.status_code for answer in answers] == [403, 404, 404]
    items = stage.wait_for(3)
    assert {(item["webhook"], item["code"]) for item in items} == {
        ("nowhere", "address_refused"),
        ("?", "unknown_webhook"),
    }
    assert "127.0.0.1" in str(items)
    assert SECRET not in str(items)


def test_the_sender_of_a_trusted_proxy_is_its_forwarded_address(stage: Stage) -> None:
    sender = {"X-Forwarded-For": "10.9.9.9, 52.89.214.238"}

    assert stage.post(f"/webhooks/nowhere/{SECRET}", AN_ALERT, **sender).status_code == 201


def test_without_a_trusted_proxy_the_forwarded_address_is_not_read(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "webhooks.toml").write_text(FILE)
    with webhook_stage(database_url, redis_url, tmp_path / "webhooks.toml", trusted_proxies=("10.0.0.0/8",)) as stage:
        answer = stage.post(f"/webhooks/nowhere/{SECRET}", AN_ALERT, **{"X-Forwarded-For": "52.89.214.238"})

    assert answer.status_code == 403


def test_a_mistyped_webhook_name_is_listed(stage: Stage) -> None:
    stage.post("/webhooks/tradingveiw", AN_ALERT)

    (item,) = stage.wait_for(1)
    assert item["message"] == "there is no such webhook: tradingveiw"


def test_a_body_that_is_too_long_is_413_and_kept(stage: Stage) -> None:
    assert stage.alert(b"x" * 70_000).status_code == 413
    assert stage.wait_for(1)[0]["code"] == "too_large"


def test_a_refused_delivery_of_a_known_sender_is_kept_masked_with_its_reason(stage: Stage) -> None:
    answer = stage.alert(json.dumps({"ticker": "AAPL", "action": "buy", "secret": SECRET, "api_key": "k" * 20}))

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_price")
    (item,) = stage.deliveries(refused=True)
    assert (item["code"], item["outcome"], item["webhook"]) == ("no_price", "refused", "tradingview")
    assert json.loads(item["payload"]) == {"ticker": "AAPL", "action": "buy", "api_key": "***"}
    (refusal,) = stage.rows("SELECT * FROM refusal")
    assert (refusal["source"], refusal["code"]) == ("tradingview", "no_price")
    assert SECRET not in str(refusal)


def test_a_refused_delivery_that_reads_as_an_exit_is_marked_for_an_alert(stage: Stage) -> None:
    bodies = [
        '{"ticker": "AAPL", "action": "buy", "orderType": "stop"}',
        '{"ticker": "AAPL", "action": "close", "orderType": "stop"}',
        '{"ticker": "AAPL", "action": "close",}',
        "closelong,AAPL,risk=1",
    ]
    assert [stage.alert(body).status_code for body in bodies] == [422] * 4

    marked = stage.rows("SELECT reads_as_exit FROM refusal ORDER BY at, refusal_id")
    assert sorted(row["reads_as_exit"] for row in marked) == [False, True, True, True]


def test_an_id_of_the_sender_makes_one_signal_of_two_bodies_and_a_conflict_of_two_orders(stage: Stage) -> None:
    body = json.loads(AN_ALERT) | {"alert_id": "7"}
    again = body | {"comment": "sent again by hand"}
    other = body | {"price": "200"}

    answers = [stage.alert(json.dumps(each)) for each in (body, again, other)]

    assert [answer.status_code for answer in answers] == [201, 200, 409]
    refused, resend, accepted = stage.deliveries()
    assert (refused["code"], resend["outcome"], accepted["outcome"]) == ("source_id_conflict", "resend", "accepted")
    assert resend["resend_of"] == accepted["delivery_id"]


def test_the_same_body_is_a_re_send_for_35_seconds_and_then_a_new_signal(stage: Stage) -> None:
    assert [stage.alert(AN_ALERT).status_code for _ in range(2)] == [201, 200]
    stage.change("UPDATE delivery SET at = at - interval '36 seconds'")

    # The 35 seconds count from the first delivery, so the repeated one did not extend them.
    assert [stage.alert(AN_ALERT).status_code for _ in range(2)] == [201, 200]
    assert stage.rows("SELECT count(*) AS n FROM signal") == [{"n": 2}]


def test_a_body_with_its_time_of_firing_is_the_same_signal_for_ever(stage: Stage) -> None:
    body = json.dumps(json.loads(AN_ALERT) | {"timenow": "2026-01-30T14:31:07Z"})
    assert stage.alert(body).status_code == 201
    stage.change("UPDATE delivery SET at = at - interval '1 day'")

    assert stage.alert(body).status_code == 200


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)])
def test_a_time_of_firing_is_judged_by_the_records_clock(stage: Stage, rows: Rows, ahead: timedelta) -> None:
    shift_clock(rows, ahead)
    now = datetime.now(UTC) + ahead
    bar = (now - timedelta(minutes=2)).isoformat()

    fired = stage.alert(json.dumps(json.loads(AN_ALERT) | {"time": now.isoformat()}))
    of_bar = stage.alert(json.dumps(json.loads(AN_ALERT) | {"time": bar}))
    future = stage.alert(json.dumps(json.loads(AN_ALERT) | {"timenow": (now + timedelta(minutes=1)).isoformat()}))

    assert (fired.status_code, of_bar.status_code, future.status_code) == (201, 201, 422)
    assert future.json()["error"]["code"] == "invalid_signal"
    assert [item["identity"] for item in stage.deliveries()] == ["fired", "body", "fired"]
    assert next(item["code"] for item in stage.deliveries()) == "invalid_signal"


def test_why_shows_how_a_signal_was_delivered_and_the_rule_of_each_re_send(stage: Stage) -> None:
    signal_id = stage.alert(AN_ALERT).json()["signal_id"]
    stage.alert(AN_ALERT)

    executors = load_executors(LOAD, settings=Settings(executors=LOAD))
    told = signal_history(stage.record, uuid.UUID(signal_id), executors=executors).to_json()["deliveries"]

    assert [each["resend_of"] for each in told] == [None, told[0]["delivery_id"]]
    assert "the same body within 35 s is a re-send" in told[1]["identity_says"]


def test_other_json_is_read_by_a_template(stage: Stage) -> None:
    event = {"kind": "ENTER_LONG", "instrument": "NASDAQ:MSFT", "prices": [{"last": 410.25}], "uuid": "e-1"}
    answer = stage.alert(json.dumps({"event": event}), name="screener")
    gone = stage.alert(json.dumps({"event": {"kind": "ENTER_LONG"}}), name="screener")

    assert answer.status_code == 201
    (row,) = stage.rows("SELECT * FROM signal")
    assert (row["symbol"], row["action"], str(row["entry_price"])) == ("MSFT", "BUY", "410.25")
    assert (row["source"], row["source_id"], str(row["confidence"])) == ("screener", "e-1", "77.5")
    assert gone.json()["error"]["message"] == "symbol: there is nothing at {event.instrument}"


def test_without_postgresql_it_is_503_and_an_unauthenticated_sender_is_still_401(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_TRADINGVIEW_SECRET", SECRET)
    (tmp_path / "webhooks.toml").write_text("")
    with webhook_stage("postgresql://nobody@127.0.0.1:1/nothing", redis_url, tmp_path / "webhooks.toml") as stage:
        answers = [stage.alert_once(AN_ALERT), stage.alert_once("nonsense")]
        unauthenticated = stage.post("/webhooks/tradingview/who-am-i-to-say-that", AN_ALERT)

    assert [answer.status_code for answer in answers] == [503, 503]
    assert unauthenticated.status_code == 401
    assert SECRET not in "".join(answer.text for answer in answers)


def test_refused_deliveries_are_kept_up_to_a_number(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.intake.webhooks.deliveries.KEEP_REFUSED", 5)
    for number in range(9):
        stage.alert(f"nonsense {number}")
    stage.alert(AN_ALERT)

    assert [item["payload"] for item in stage.deliveries(refused=True)] == [f"nonsense {n}" for n in (8, 7, 6, 5, 4)]


def test_deliveries_are_listed_page_by_page(stage: Stage) -> None:
    for number in range(5):
        stage.alert(f"buy AAPL at {number + 1}")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    seen, cursor = [], {}
    while True:
        page = stage.client.get("/api/v1/webhooks/deliveries", params={"limit": 2} | cursor, headers=bearer).json()
        seen += [item["payload"] for item in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == [f"buy AAPL at {number + 1}" for number in (4, 3, 2, 1, 0)]
    assert stage.client.get("/api/v1/webhooks/deliveries").status_code == 401


def test_the_commands_deliveries_and_why_show_deliveries(
    stage: Stage, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(LOAD))
    signal_id = stage.alert("close AAPL").json()["signal_id"]
    stage.alert("close AAPL")
    stage.alert("moon \x1b[2J AAPL")
    run = CliRunner()

    said = run.invoke(app, ["webhook", "deliveries", "--since", "1h"]).stdout.splitlines()
    refused = json.loads(run.invoke(app, ["webhook", "deliveries", "--refused", "--json"]).stdout)
    why = run.invoke(app, ["why", signal_id]).stdout

    assert [line.split()[2] for line in said] == ["refused", "resend", "accepted"]
    assert "\x1b" not in said[0]
    assert signal_id in said[2]
    assert [item["code"] for item in refused["deliveries"]] == ["not_understood"]
    assert "re-sent " in why
    assert "the alert does not name the side to close; it closes a long position" in why


def test_a_file_that_names_an_unknown_executor_ends_the_start(
    redis_url: str, tmp_path: Path, database_url: str
) -> None:
    file = tmp_path / "webhooks.toml"
    file.write_text('[webhooks.mine]\nexecutors = ["agro"]\n')

    with (
        pytest.raises(ConfigInvalid, match='there is no executor "agro"; did you mean "argo"'),
        webhook_stage(database_url, redis_url, file),
    ):
        pass


def test_the_record_needs_no_webhook(database_url: str) -> None:
    with Record(database_url) as record:
        assert record.run(lambda connection: connection.execute("SELECT * FROM delivery").fetchall()) == []
