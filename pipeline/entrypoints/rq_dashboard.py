"""Run rq-dashboard 0.9.0 with workarounds for its faults.

The faults, and where they are worked around:

- it has no login of its own in the blueprint, and its own server binds to every address: `_require_login`, `main`,
  and `pipeline/entrypoints/web/page/rq.py` where the page shows it;
- it accepts a POST from any page that the user has open, and requeues a whole queue on a GET: `_refuse_foreign_posts`;
- it writes descriptions, exceptions, results and names into its pages unescaped: `_EscapingTemplates`, `_add_headers`;
- with JSON jobs its workers page fails while a worker is busy, as do jobs with dependencies: `_Worker`, `_Job`;
- compacting loses jobs when it is interrupted, and fails on an empty queue: `_Queue.compact`;
- a missing job or an unreachable Redis is an error 500, or a page with status 200: `_answer_errors`;
- it opens a Redis connection per request, with redis-py's retries of almost a minute: `_connection`;
- it imports `six` without depending on it: tradewire depends on it.

waitress serves it, since werkzeug's server is not made for production.
"""

import argparse
import hmac
import re
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rq_dashboard
import structlog
import waitress
from flask import Flask, Response, g, request
from jinja2 import Environment, FileSystemLoader
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.serializers import JSONSerializer
from rq_dashboard import web

from config.logs import configure_logs
from config.places import located_settings
from config.schema.settings import Settings
from config.services import effective
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.texts import printable

log = structlog.get_logger(__name__)

USER = "tradewire"
PORT = 9181

_REDIS_TIMEOUT_S = 2.0
# Underscore compiles its templates, which needs 'unsafe-eval'. All scripts need the nonce of the page.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class _Id(str):
    """A job's id with a `decode` method: the dashboard expects bytes."""

    __slots__ = ()

    def decode(self, *_: str) -> str:
        return str(self)


class _Job(Job):
    """A job whose payload is JSON unless another serializer is given."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:  # noqa: A002 - RQ's
        return super().fetch(id, connection, serializer or JSONSerializer)

    @property
    def dependency_ids(self) -> list[str]:
        return [_Id(one) for one in super().dependency_ids]


class _Worker(Worker):
    """A worker whose jobs are JSON."""

    @classmethod
    def all(cls, *args: Any, **kwargs: Any) -> Any:
        return super().all(*args, **{"job_class": _Job, "serializer": JSONSerializer, **kwargs})

    def get_current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            # The job ended between the two requests to Redis.
            return None


class _Queue(Queue):
    """A queue of JSON jobs."""

    @classmethod
    def all(cls, *args: Any, **kwargs: Any) -> Any:
        return super().all(*args, **{"serializer": JSONSerializer, **kwargs})

    def compact(self) -> None:
        """Remove the ids without a job; leave the others in place."""
        for job_id in self.get_job_ids():
            if not _Job.exists(job_id, connection=self.connection):
                self.connection.lrem(self.key, 1, job_id)


class _EscapingTemplates(FileSystemLoader):
    """The dashboard's templates, with every value escaped and the page's nonce on every script."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_current = super().get_source(environment, template)
        source = re.sub(r"<%= \$\('<div/>'\)\.text\(([^%\n]+?)\)\.html\(\) %>", r"<%- \1 %>", source)
        source = source.replace("<%=", "<%-").replace("<script ", '<script nonce="{{ g.nonce }}" ')
        return source, path, is_current


class _NeverRaised(Exception):
    """Replaces the exception that the dashboard catches to answer 200 when Redis is away."""


def make_app(redis_url: str, token: str | None) -> Flask:
    """Return the dashboard of the Redis at *redis_url*, behind the user `tradewire` and *token* as the password.

    Without a token it asks for no login: the caller must check the login itself.
    """
    _patch_dashboard(_connection(redis_url))
    app = Flask("rq_dashboard", static_folder=None)
    app.config["RQ_DASHBOARD_REDIS_URL"] = redis_url
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = 2500
    app.jinja_loader = _EscapingTemplates(Path(rq_dashboard.__file__).parent / "templates")
    if token is not None:
        app.before_request(lambda: _require_login(token))
    app.before_request(_refuse_foreign_posts)
    app.before_request(_make_nonce)
    app.after_request(_add_headers)
    _answer_errors(app)
    app.add_url_rule("/static/favicon.ico", endpoint="static", view_func=lambda: Response(status=204))
    web.setup_rq_connection(app)
    app.register_blueprint(web.blueprint)
    return app


def _patch_dashboard(connection: Redis) -> None:
    """Replace the dashboard's parts that do not work with JSON jobs, or open connections of their own."""
    web.config.serializer = JSONSerializer
    web.Job, web.Worker, web.Queue = _Job, _Worker, _Queue
    web.RedisConnectionError = _NeverRaised
    web.from_url = lambda *_, **__: (None, connection)
    web.requeue_job = lambda job_id, connection: requeue_job(job_id, connection, serializer=JSONSerializer)


def main(arguments: list[str] | None = None) -> int:
    """Serve the dashboard until SIGTERM; return 2 when the settings do not allow it."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.entrypoints.rq_dashboard", description="Serve rq-dashboard."
    )
    parser.add_argument("--port", type=int, help=f"default: $PORT, else {PORT}")
    options = parser.parse_args(arguments)
    watch_lifeline()
    try:
        settings = effective(located_settings())
        redis_url, token = _required(settings)
    except ConfigInvalid as error:
        sys.stderr.writelines(f"{printable(str(problem))}\n" for problem in error.problems)
        return 2
    configure_logs(settings.log, process="rq_dashboard")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = options.port or settings.port or PORT
    app = make_app(redis_url, token)
    log.info("dashboard.started", url=f"http://{LOOPBACK}:{port}", user=USER)
    waitress.serve(app, host=LOOPBACK, port=port, threads=4, ident=None)
    return 0


def _required(settings: Settings) -> tuple[str, str]:
    problems = []
    if settings.redis_url is None:
        problems.append(Problem(key="REDIS_URL", message="not set, and no `tradewire up` runs here"))
    if settings.api_token is None:
        message = "not set; it is the password of the dashboard, which does not start without one"
        problems.append(Problem(key="TRADEWIRE_API_TOKEN", message=message))
    if settings.redis_url is None or settings.api_token is None:
        raise ConfigInvalid(problems)
    return settings.redis_url.get_secret_value(), settings.api_token.get_secret_value()


def _connection(redis_url: str) -> Redis:
    return Redis.from_url(
        redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )


def _require_login(token: str) -> Response | None:
    login = request.authorization
    user, password = (login.username, login.password) if login is not None else (None, None)
    # Both are always compared, so that the time does not show which one is wrong.
    known = hmac.compare_digest((user or "").encode(), USER.encode())
    if hmac.compare_digest((password or "").encode(), token.encode()) and known:
        return None
    headers = {"WWW-Authenticate": 'Basic realm="tradewire", charset="UTF-8"'}
    return Response(f"The user is {USER}, the password is the api_token.\n", 401, headers)


def _refuse_foreign_posts() -> Response | None:
    if (request.view_args or {}).get("instance_number", 0) != 0:
        return Response("There is only one Redis.\n", 404)
    if request.method in ("GET", "HEAD", "OPTIONS"):
        if request.endpoint == "rq_dashboard.requeue_all":
            return Response("Requeue with POST.\n", 405, {"Allow": "POST"})
        return None
    # A browser sends the origin of a POST in one of these headers; other programs do not hold a user's login.
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "same-origin")
    if site == "same-origin" and (origin is None or urlsplit(origin).netloc == request.host):
        return None
    return Response("This request came from another page.\n", 403)


def _make_nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=g.get("nonce", "none"))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _answer_errors(app: Flask) -> None:
    app.register_error_handler(NoSuchJobError, lambda _: ("There is no such job.\n", 404))
    app.register_error_handler(InvalidJobOperation, lambda _: ("This job has not failed.\n", 409))
    app.register_error_handler(RedisError, lambda _: ("Redis cannot be reached.\n", 503))


if __name__ == "__main__":
    sys.exit(main())
