"""Neither the output of the web process nor what readers get contains a secret that a sender wrote anywhere."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.operations.tokens import Scope, make_token
from tests.core_fixtures import Processes
from tests.factories import Core
from tests.integration.webhooks.webhook_stage import SECRET
from tests.waiting import patience

WRONG = "nearly-the-secret-of-it"
ALERT = '{"ticker": "AAPL", "action": "buy", "price": "190.10"}'


def until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + patience(30)
    while True:
        try:
            client.get("/health")
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.05)
        else:
            return


def test_no_line_of_the_log_holds_a_secret_that_stood_in_the_path(
    core: Core, processes: Processes, tmp_path: Path
) -> None:
    port = free_port()
    file = tmp_path / "webhooks.toml"
    file.write_text("")
    process = processes.start(
        core,
        "serve",
        PORT=str(port),
        TRADEWIRE_API_TOKEN="open-sesame-open-sesame",
        TRADEWIRE_WEBHOOKS=str(file),
        WEBHOOK_TRADINGVIEW_SECRET=SECRET,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=patience(20)) as client:
        until_it_answers(client)
        paths = [f"/webhooks/tradingview/{secret}" for secret in (SECRET, WRONG)]
        statuses = [client.post(path, content=ALERT).status_code for path in paths]
        core.record.run(lambda connection: connection.execute("ALTER TABLE delivery RENAME COLUMN digest TO away"))
        statuses.append(client.post(f"/webhooks/tradingview/{SECRET}", content=ALERT).status_code)
    process.terminate()
    process.wait(15)

    said = processes.said(process)
    assert statuses == [201, 401, 500]
    assert "delivery.refused" in said
    assert "/webhooks/{name}/{secret}" in said
    assert SECRET not in said
    assert WRONG not in said


def test_no_delivery_shows_the_main_token_to_a_token_that_only_reads(
    core: Core, processes: Processes, tmp_path: Path
) -> None:
    port, main = free_port(), "open-sesame-open-sesame"
    file = tmp_path / "webhooks.toml"
    file.write_text("")
    processes.start(core, "serve", PORT=str(port), TRADEWIRE_API_TOKEN=main, TRADEWIRE_WEBHOOKS=str(file))
    reader = make_token(core.record, "reader", [Scope.READ], by="test")
    # Without a secret of its own, the main token opens the webhook. These senders write it in the wrong place.
    bodies = [f'{{"ticker": "AAPL", "action": "buy", "pass": "{main}"}}', f"{main} buy AAPL", f'{{"{main}": "AAPL",']
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=patience(20)) as client:
        until_it_answers(client)
        statuses = [client.post("/webhooks/tradingview", content=body).status_code for body in bodies]
        right = {"Authorization": f"Bearer {main}"}
        statuses += [client.post("/webhooks/tradingview", content=f"{main} x", headers=right).status_code]
        statuses += [client.post("/api/v1/signals", content=body, headers=right).status_code for body in bodies]
        paths = ("/api/v1/webhooks/deliveries", "/api/v1/refusals")
        reading = {"Authorization": f"Bearer {reader}"}
        read = [client.get(path, headers=reading) for path in paths]

    assert statuses == [401, 401, 401, 422, 422, 422, 422]
    assert [answer.status_code for answer in read] == [200, 200]
    assert all(answer.json()["items"] and main not in answer.text for answer in read)
