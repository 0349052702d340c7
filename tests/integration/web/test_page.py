"""The page checks who may see it and act on it, and shows foreign text only as text."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from config.login_link import make_login_link
from config.services import Services, write_services
from pipeline.entrypoints.web.page.actions import LETTERS, SWITCHES
from pipeline.entrypoints.web.page.rendering import status
from pipeline.operations.tokens import Scope, make_token, revoke_token
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import ExecutionStates, Rows
from tests.web import BEARER, TOKEN, serving, web_context

WEBSOCKET = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
PARTS = ("executors", "signals", "letters", "charts", "processes", "refusals")


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as made:
        yield made


def csrf(client: httpx.Client, path: str = "/login") -> str:
    found = re.search(r'name="csrf" value="(\w+)"', client.get(path).text)
    assert found
    return found[1]


def login(client: httpx.Client, token: str = TOKEN) -> httpx.Response:
    return client.post("/login", data={"token": token, "csrf": csrf(client)})


def act(client: httpx.Client, verb: str, **fields: str) -> httpx.Response:
    """Send the form for *verb* as the page does."""
    said = {"who": "ann", "why": "news", "confirmed": "yes", "csrf": csrf(client, "/")}
    return client.post(f"/act/{verb}", data=said | fields)


@pytest.mark.parametrize("path", ["/", *(f"/parts/{name}" for name in PARTS), "/act/halt?executor=argo", "/rq/"])
def test_without_a_session_there_is_only_the_login(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")


def test_a_wrong_token_opens_nothing(client: httpx.Client) -> None:
    answer = login(client, "wrong")

    assert answer.status_code == 403
    assert "unknown or revoked" in answer.text
    assert client.get("/").status_code == 303


def test_the_cookie_holds_no_token_and_is_for_this_site_alone(client: httpx.Client) -> None:
    answer = login(client)

    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200


def test_a_cookie_that_was_kept_opens_nothing_after_the_logout(
    client: httpx.Client, record: Record, redis_url: str
) -> None:
    login(client)
    kept = {"Cookie": f"tradewire_session={client.cookies['tradewire_session']}"}
    token = csrf(client, "/")
    assert client.post("/logout", data={"csrf": token}).status_code == 303
    client.cookies.clear()

    assert client.get("/", headers=kept).status_code == 303
    assert client.get("/api/v1/signals", headers=kept).status_code == 401
    assert client.post("/act/halt", headers=kept, data={"csrf": token}).status_code == 303
    with serving(web_context(record, redis_url)) as another:
        assert another.get("/", headers=kept).status_code == 303
    login(client)
    assert client.get("/").status_code == 200


def test_a_link_on_another_site_does_not_log_out(client: httpx.Client) -> None:
    login(client)
    kept = client.cookies["tradewire_session"]
    # For a link on another site, a browser sends none of our cookies, but it stores the cookies of our answers.
    with httpx.Client(base_url=client.base_url, headers={"Sec-Fetch-Site": "cross-site"}) as browser:
        first = browser.get("/?window=1h")
        arrived = browser.get(first.headers["location"])
        browser.get("/login", headers={"Sec-Fetch-Site": "same-origin"})
        set_by_then = dict(browser.cookies)

    assert "tradewire_session" not in set_by_then
    assert 'http-equiv="refresh" content="0; url=/"' in arrived.text
    client.cookies.update(set_by_then)
    assert client.cookies["tradewire_session"] == kept
    assert client.get("/").status_code == 200


def test_a_forwarded_address_does_not_lift_the_limit_at_the_login(client: httpx.Client) -> None:
    def status(number: int) -> int:
        client.headers["X-Forwarded-For"] = f"10.0.0.{number}"
        return login(client, f"guess-{number}").status_code

    assert [status(number) for number in range(25)] == [403] * 20 + [429] * 5


def test_tokens_are_guessed_slowly_at_the_login(client: httpx.Client) -> None:
    statuses = [login(client, f"guess-{number}").status_code for number in range(25)]

    assert statuses == [403] * 20 + [429] * 5


def test_a_cookie_that_was_changed_is_no_session(client: httpx.Client) -> None:
    login(client)
    cookie = client.cookies["tradewire_session"]
    client.cookies.clear()

    client.cookies["tradewire_session"] = ("A" if cookie[0] != "A" else "B") + cookie[1:]

    assert client.get("/").status_code == 303


def test_a_login_does_not_redirect_to_another_site(client: httpx.Client) -> None:
    for wanted in ("https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"):
        answer = client.post("/login", data={"token": TOKEN, "next": wanted, "csrf": csrf(client)})
        assert answer.headers["location"] == "/"


def test_a_logout_ends_the_session(client: httpx.Client) -> None:
    login(client)

    client.post("/logout", data={"csrf": csrf(client, "/")})

    assert client.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/login", "/logout", "/act/halt", "/act/requeue"])
def test_a_form_from_another_site_changes_nothing(client: httpx.Client, path: str, rows: Rows) -> None:
    login(client)
    other = {"token": TOKEN, "executor": "argo", "who": "eve", "why": "evil", "confirmed": "yes"}

    without = client.post(path, data=other)
    foreign = client.post(path, data=other | {"csrf": "0" * 64})

    assert (without.status_code, foreign.status_code) == (403, 403)
    assert rows("SELECT kind FROM switch") == []
    assert client.get("/").status_code == 200


def test_the_token_of_another_session_is_not_this_ones(client: httpx.Client) -> None:
    login(client)
    stolen = csrf(client, "/")
    login(client)

    assert client.post("/act/halt", data={"csrf": stolen, "executor": "argo", "who": "eve"}).status_code == 403


def test_every_page_forbids_what_is_not_of_this_host(client: httpx.Client) -> None:
    login(client)

    for path in ("/login", "/", "/parts/signals", "/act/halt?executor=argo", "/act/nothing", "/static/page.js"):
        answer = client.get(path)
        policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[kind] for kind in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


class Seen(HTMLParser):
    """Collects every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_no_page_has_script_or_style_in_its_text_or_names_another_host(
    client: httpx.Client, execution_states: ExecutionStates
) -> None:
    login(client)
    execution_id = execution_states.reached("dead", "attempts_used_up")

    for path in ("/", f"/lives/{execution_id}", f"/act/requeue?execution={execution_id}", "/login"):
        tags = Seen(client.get(path).text).tags
        assert [each for each in tags if each[0] == "style" or (each[0] == "script" and "src" not in each[1])] == []
        names = [name for _, attributes in tags for name in attributes]
        assert [name for name in names if name.startswith("on") or name == "style"] == []
        addresses = [each[name] for _, each in tags for name in ("src", "href", "action") if name in each]
        assert [one for one in addresses if not (one or "").startswith(("/", "#", "?")) or "//" in (one or "")] == []


def test_markup_in_what_came_in_is_shown_and_not_obeyed(
    client: httpx.Client, execution_states: ExecutionStates, rows: Rows
) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    execution_id = execution_states.recorded(strategy=evil, source_id=evil)
    execution_states.claimed(execution_id)
    execution_states.moved(execution_id, "dead", "attempts_used_up", message=evil)
    rows("UPDATE execution SET moved_why = %s WHERE execution_id = %s", [evil, execution_id])
    client.post("/api/v1/signals", content=evil.encode(), headers=BEARER)
    rows(
        "INSERT INTO switch (switch_id, holder, kind, cause, facts, flatten, set_by, why) "
        "VALUES (gen_random_uuid(), 'executor:argo', 'paused', 'person', '{}', false, %s, %s)",
        [evil, evil],
    )
    rows(
        "INSERT INTO heartbeat (process_id, kind, name, host, pid, facts) "
        "VALUES (gen_random_uuid(), 'worker', %s, %s, 1, json_build_object('x', %s::text))",
        [evil, evil, evil],
    )
    login(client)

    for path in ("/", f"/lives/{execution_id}", f"/act/discard?execution={execution_id}", "/?done=" + evil):
        text = client.get(path).text
        assert [tag for tag, attributes in Seen(text).tags if tag == "img" or "onerror" in attributes] == []
        assert "<script>" not in text
    assert html.escape(evil, quote=False)[:20] in client.get("/").text


def test_who_may_only_read_sees_no_button_and_cannot_act(
    client: httpx.Client, record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_id = execution_states.reached("dead", "attempts_used_up")
    login(client, make_token(record, "watcher", [Scope.READ], by="test"))

    pages = [client.get(path).text for path in ("/", f"/lives/{execution_id}")]
    answers = {
        verb: act(client, verb, executor="argo", execution=str(execution_id)) for verb in {**SWITCHES, **LETTERS}
    }

    assert "/act/" not in "".join(pages)
    assert {answer.status_code for answer in answers.values()} == {403}
    assert rows("SELECT kind FROM switch") == []
    assert rows("SELECT state FROM execution WHERE execution_id = %s", [execution_id]) == [{"state": "dead"}]


def test_who_may_not_read_does_not_get_in(client: httpx.Client, record: Record) -> None:
    answer = login(client, make_token(record, "sender", [Scope.SIGNAL], by="test"))

    assert (answer.status_code, client.get("/").status_code) == (403, 303)


def test_a_token_that_is_revoked_ends_its_sessions(client: httpx.Client, record: Record) -> None:
    login(client, make_token(record, "guest", [Scope.READ], by="test"))
    assert client.get("/").status_code == 200

    revoke_token(record, "guest", by="test")

    until(lambda: client.get("/").status_code == 303)


@pytest.mark.parametrize(
    ("verb", "kind", "flatten"),
    [("pause", "paused", False), ("reduce", "reducing", False), ("halt", "halted", False), ("flatten", "halted", True)],
)
def test_a_switch_is_turned_with_who_and_why(
    client: httpx.Client, rows: Rows, verb: str, kind: str, *, flatten: bool
) -> None:
    login(client)

    answer = act(client, verb, executor="argo")

    assert answer.headers["location"] == f"/?done={verb}"
    assert rows("SELECT holder, kind, flatten, set_by, why FROM switch") == [
        {"holder": "executor:argo", "kind": kind, "flatten": flatten, "set_by": "ann (api@page)", "why": "news"}
    ]
    shown = client.get("/").text
    assert status(kind) in shown
    assert "ann (api@page): news" in shown


def test_resume_lifts_every_switch_of_all(client: httpx.Client, rows: Rows) -> None:
    login(client)
    act(client, "pause", executor="all")
    assert len(rows("SELECT holder FROM switch")) == 2

    act(client, "resume", executor="all")

    assert rows("SELECT holder FROM switch") == []


@pytest.mark.parametrize("missing", ["who", "why", "confirmed"])
def test_nothing_is_done_without_who_why_and_the_tick(client: httpx.Client, rows: Rows, missing: str) -> None:
    login(client)

    form = {"csrf": csrf(client, "/"), "executor": "argo", "who": "ann", "why": "news", "confirmed": "yes"}
    del form[missing]

    answer = client.post("/act/halt", data=form)

    assert answer.status_code == 422
    assert rows("SELECT kind FROM switch") == []


def test_a_dead_letter_is_requeued_and_discarded(
    client: httpx.Client, execution_states: ExecutionStates, rows: Rows
) -> None:
    login(client)
    again, over = (
        execution_states.reached("dead", "attempts_used_up"),
        execution_states.reached("dead", "attempts_used_up"),
    )

    act(client, "requeue", execution=str(again))
    act(client, "discard", execution=str(over))

    states = {row["execution_id"]: row["state"] for row in rows("SELECT execution_id, state FROM execution")}
    assert (states[again], states[over]) == ("queued", "discarded")
    closed = rows("SELECT closed_by, closed_why FROM dead_letter")
    assert closed == [{"closed_by": "ann (api@page)", "closed_why": "news"}] * 2


def test_what_is_not_dead_is_not_requeued(client: httpx.Client, execution_states: ExecutionStates) -> None:
    login(client)

    answer = act(client, "requeue", execution=str(execution_states.recorded()))

    assert answer.status_code == 409
    assert "not dead" in answer.text


def test_what_is_not_there_is_a_page_that_says_so(client: httpx.Client) -> None:
    login(client)

    paths = {
        "/parts/nothing": 404,
        "/act/nothing?executor=argo": 404,
        "/act/halt?executor=nobody": 404,
        "/lives/no-id": 422,
        f"/lives/{UUID(int=1)}": 409,
        "/?window=1y": 422,
        "/?cursor=nonsense": 422,
        "/?symbol=%3Cb%3E": 422,
        "/static/..%2fpage.html": 404,
    }

    assert {path: client.get(path).status_code for path in paths} == paths


def test_the_grid_shows_order_ids_reasons_and_the_next_page(
    client: httpx.Client, execution_states: ExecutionStates
) -> None:
    login(client)
    ordered = execution_states.reached("accepted", order_id="order-4711")
    execution_states.reached("skipped", "no_position")
    for _ in range(40):
        execution_states.recorded()

    first = client.get("/").text
    older = re.search(r'href="(/\?[^"]*cursor[^"]*)#signals"', first)
    assert older
    second = client.get(html.unescape(older[1])).text

    assert "order-4711" not in first
    assert "order-4711" in second
    assert f'id="e-{ordered}"' in second
    assert "no_position" in second


def test_a_history_shows_milliseconds(client: httpx.Client, execution_states: ExecutionStates) -> None:
    login(client)
    execution_id = execution_states.reached("accepted", order_id="order-4711")

    text = client.get(f"/lives/{execution_id}").text

    steps = re.findall(r'<span class="number after">\+[\d.,]+ ms</span>', text)
    assert len(steps) >= 4
    assert text.index("submitting") < text.index("accepted</b>")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ({"quantity": "3"}, "<dt>quantity</dt><dd>3</dd>"),
        ({"notional": "1500.5"}, "<dt>notional</dt><dd>1500.5</dd>"),
        ({"equity_percent": "2.5"}, "<dt>equity percent</dt><dd>2.5</dd>"),
        ({"close_percent": "40", "intent": "close"}, "<dt>close percent</dt><dd>40</dd>"),
    ],
)
def test_a_history_shows_the_size_that_the_signal_asks_for(
    client: httpx.Client, execution_states: ExecutionStates, size: dict[str, str], shown: str
) -> None:
    login(client)
    execution_id = execution_states.recorded(**size)

    text = client.get(f"/lives/{execution_id}").text

    assert shown in text
    named = ("quantity", "notional", "equity percent", "close percent")
    assert [name for name in named if f"<dt>{name}</dt>" in text] == [next(iter(size)).replace("_", " ")]


def test_a_history_shows_the_brokers_ids_of_its_requests(
    client: httpx.Client, execution_states: ExecutionStates
) -> None:
    login(client)
    execution_id = execution_states.recorded()
    execution_states.claimed(execution_id)
    execution_states.attempted(execution_id, "req-of-the-order")
    execution_states.moved(execution_id, "unknown", "no_answer")
    # A look-up found the order, so the execution has no reason any more.
    execution_states.moved(execution_id, "accepted", request_id="req-of-the-look-up")

    text = client.get(f"/lives/{execution_id}").text

    assert "request_id=req-of-the-order insufficient" in text
    assert "request_id=req-of-the-look-up" in text


def test_charts_count_the_outcomes_of_a_window(client: httpx.Client, execution_states: ExecutionStates) -> None:
    login(client)
    execution_states.reached("filled", order_id="order-1", after_ms=30)
    execution_states.reached("filled", order_id="order-2", after_ms=30)
    execution_states.reached("dead", "attempts_used_up")

    text = until(lambda: said if "66.6" in (said := client.get("/parts/charts?window=1h").text) else None)

    assert "66.6 %" in text
    assert re.search(r'20 ms to 50 ms</th>.*?<td class="number">2</td>', text)
    assert re.search(r'attempts_used_up</th><td class="number">1</td>', text)


def test_with_redis_away_the_page_says_so_and_shows_the_rest(record: Record, execution_states: ExecutionStates) -> None:
    execution_states.reached("accepted", order_id="order-4711")
    with serving(web_context(record, "redis://127.0.0.1:1/0")) as client:
        login(client)
        text = client.get("/").text

    assert "Redis does not answer" in text
    assert "order-4711" in text


def test_with_postgresql_away_the_page_says_so(redis_url: str) -> None:
    with (
        Record("postgresql://nobody@127.0.0.1:1/nothing", retry_for_s=0.2) as away,
        serving(web_context(away, redis_url)) as client,
    ):
        login(client)
        answer = client.get("/")

    assert answer.status_code == 503
    assert "PostgreSQL cannot be reached: try again. Nothing works until it is back." in answer.text
    assert "127.0.0.1" not in answer.text


def test_a_session_may_read_the_api_and_act_with_its_token_against_forgery(client: httpx.Client) -> None:
    login(client)
    body = {"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 100}

    assert client.get("/api/v1/signals").status_code == 200
    assert client.post("/api/v1/signals", json=body).status_code == 403
    assert client.post("/api/v1/signals", json=body, headers={"X-CSRF-Token": csrf(client, "/")}).status_code == 201


def test_rq_leads_to_the_dashboard_wherever_it_listens(record: Record, redis_url: str, tmp_path: Path) -> None:
    context = web_context(record, redis_url)
    settings = context.settings.model_copy(update={"home": tmp_path})
    with serving(replace(context, settings=settings)) as client:
        assert client.get("/rq/").headers["location"].startswith("/login")
        login(client)
        usual = client.get("/rq/").headers["location"]
        write_services(tmp_path, Services(rq_dashboard_url="http://127.0.0.1:9999", pids={"up": os.getpid()}))
        of_up = [client.get(path) for path in ("/rq", "/rq/", "/rq/0/view/workers")]
        refused = client.post("/rq/queue/executor-argo/empty/queued")
        upgrade = client.get("/rq/", headers={"Connection": "Upgrade", "Upgrade": "websocket"} | WEBSOCKET)

    assert usual == "http://127.0.0.1:9181"
    assert {(answer.status_code, answer.headers["location"]) for answer in of_up} == {(303, "http://127.0.0.1:9999")}
    assert refused.status_code == 405
    assert upgrade.status_code == 403


def test_a_live_account_is_marked_in_words(record: Record, redis_url: str) -> None:
    context = web_context(record, redis_url)
    live = {name: each.model_copy(update={"mode": "live"}) for name, each in context.executors.items()}
    with serving(replace(context, executors=live)) as client:
        login(client)
        text = client.get("/").text
        form = client.get("/act/flatten?executor=argo").text

    assert text.count("LIVE: real money") == 2
    assert "LIVE: real money at argo" in form


def test_the_link_of_up_logs_in_once(record: Record, redis_url: str, tmp_path: Path) -> None:
    context = web_context(record, redis_url)
    context = replace(context, settings=context.settings.model_copy(update={"home": tmp_path}))
    with serving(context) as client:
        path = make_login_link(tmp_path, "")

        first = client.get(path)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert "its password is the API token" in client.get("/").text

        client.cookies.clear()
        again = client.get(path)
        assert again.status_code == 403
        assert "used before" in again.text
        assert "tradewire config env" in again.text
        assert client.get("/").status_code == 303
