"""A real browser at rq-dashboard, with hostile names in Redis and a login at tradewire's page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import uvicorn
from playwright.sync_api import Browser, Page
from redis import Redis
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from pipeline.accounts.switches import Switches
from pipeline.entrypoints.rq_dashboard import make_app, make_server
from pipeline.startup.http_server import server_settings
from pipeline.store.record import Record
from tests.acceptance.browsing import chromium
from tests.waiting import patience, until
from tests.web import TOKEN, serving, web_context

HOSTILE = [
    "');window.hostile=1;('",
    "</script><script>window.hostile=1</script>",
    "<img src=x onerror=window.hostile=1>",
    '"><svg onload=window.hostile=1>',
    "<%= window.hostile=1 %>",
    "${window.hostile=1}",
]
#: Cookies are shared by all ports of a host, so a script at another port sends the visitor's session along. The content
#: policy of rq-dashboard would stop the script, so the test's page has no policy.
WRITES = """async (page) => {
    const form = new URLSearchParams({who: "x", why: "x", executor: "argo", confirmed: "yes"});
    const send = (path, options) => fetch(page + path, {method: "POST", credentials: "include", mode: "no-cors", ...options});
    await send("/act/halt", {body: form});
    await send("/logout", {body: form});
    await send("/api/v1/executors/argo/halt", {body: '{"why": "x"}'});
    try {
        return await (await fetch(page + "/", {credentials: "include"})).text();
    } catch (error) {
        return "refused";
    }
}"""  # noqa: E501


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", **server_settings()))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, 5)
    try:
        yield "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    finally:
        server.should_exit = True
        thread.join(patience(5))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(http_credentials={"username": "tradewire", "password": TOKEN})
    yield context.new_page()
    context.close()


def test_no_name_of_a_queue_runs_as_a_script(page: Page, redis_url: str, redis_client: Redis) -> None:
    for name in HOSTILE:
        redis_client.sadd("rq:queues", f"rq:queue:{name}")
    views = [f"view/jobs/{quote(name, safe='')}/queued/8/asc/1" for name in HOSTILE if "/" not in name]
    with listening(make_server(make_app(redis_url, TOKEN), ())) as url:
        for view in ("view/queues", "view/jobs", "view/workers", *views):
            page.goto(f"{url}/0/{view}")
            # Wait until the dashboard's own scripts have written the rows, or the note that there are none.
            page.wait_for_function("typeof api === 'object' && !document.querySelector('.loading:not([style])')")
            field = page.locator("#select-queue")
            if field.count():
                field.click()
                page.mouse.move(0, 0)
                page.wait_for_function("document.querySelector('#select-queue').value !== ''")

            assert page.evaluate("window.hostile") is None, view
        page.goto(f"{url}/0/view/queues")
        page.get_by_text(HOSTILE[1], exact=True).wait_for()
        assert page.evaluate("window.hostile") is None


def test_a_script_at_another_port_cannot_act_or_read_with_the_visitors_session(
    page: Page, record: Record, redis_url: str
) -> None:
    context = web_context(record, redis_url)
    with serving(context) as client, listening(HTMLResponse("<p>")) as url:
        own = str(client.base_url).rstrip("/")
        page.goto(f"{own}/login")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{own}/")
        statuses: list[int] = []
        page.context.on(
            "response", lambda answer: statuses.append(answer.status) if answer.request.method == "POST" else None
        )
        other = page.context.new_page()
        other.goto(url)

        read = other.evaluate(WRITES, own)
        page.reload()

        assert statuses == [403, 403, 403]
        assert read == "refused"
        assert Switches(record).active_switches("argo").switches == ()
        assert page.get_by_role("button", name="Log out").count() == 1
