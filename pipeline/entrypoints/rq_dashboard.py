"""Run rq-dashboard 0.9.0 with workarounds for its faults.

The faults, and where they are worked around:

- it has no login of its own in the blueprint, and its own server binds to every address: `_require_login`, `main`;
- it accepts a POST from any page that the user has open, and requeues a whole queue on a GET: `make_server`,
  `_refuse_mistakes`;
- it writes descriptions, exceptions, results and names into its pages and scripts unescaped: `rq_dashboard_pages.py`;
- with JSON jobs, its pages of a busy worker and of a job with dependencies fail: `_Worker`, `_Job`;
- compacting loses jobs when it is interrupted, and fails on an empty queue: `_Queue.compact`;
- a missing job, a key that RQ did not write or an unreachable Redis is an error 500 or a page with status 200:
  `_answer_errors`, `_Queue.all`, `_Worker.find_by_key`;
- it opens a Redis connection per request, with redis-py's retries of almost a minute: `_connection`;
- it imports `six` without depending on it: tradewire depends on it.

uvicorn serves it on a port of its own, so its scripts never have the page's origin.
"""

import argparse
import hmac
import signal
import sys
from collections.abc import Iterable
from typing import Any

import structlog
import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request
from redis import Redis, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.serializers import JSONSerializer
from rq_dashboard import web
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from config.logs import configure_logs
from config.places import located_settings
from config.schema.settings import Settings
from config.services import effective
from pipeline.entrypoints.rq_dashboard_pages import protect_pages
from pipeline.entrypoints.supervisor.lifeline import watch_lifeline
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem
from pipeline.model.texts import printable
from pipeline.operations.guesses import Guesses
from pipeline.queues.jobs import BoundedJob, text_of
from pipeline.startup.http_server import server_settings
from pipeline.startup.listening import listening_socket
from pipeline.startup.request_origin import OwnRequestsOnly

log = structlog.get_logger(__name__)

USER = "tradewire"
PORT = 9181

_REDIS_TIMEOUT_S, _THREADS = 2.0, 4
# rq-dashboard and RQ raise these for keys that RQ did not write, and for a page of no jobs.
_UNREADABLE = (ResponseError, ValueError, TypeError, LookupError, AttributeError, NameError, ArithmeticError)


class _Id(str):
    """A job's id with a `decode` method: the dashboard expects bytes."""

    __slots__ = ()

    def decode(self, *_: str) -> str:
        return str(self)


class _Job(BoundedJob):
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

    @classmethod
    def find_by_key(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().find_by_key(*args, **kwargs)
        except _UNREADABLE:
            return None  # This worker is left out, and the others are shown.

    def get_current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            # The job ended between the two requests to Redis.
            return None


class _Queue(Queue):
    """A queue of JSON jobs."""

    job_class = _Job

    @classmethod
    def all(cls, connection: Redis, *_: Any, **__: Any) -> Any:
        keys: Any = connection.smembers(cls.redis_queues_keys)
        parts = [text_of(key).partition(cls.redis_queue_namespace_prefix) for key in keys]
        names = sorted(name for before, _, name in parts if name and not before)
        return [cls(name, connection=connection, serializer=JSONSerializer) for name in names]

    def compact(self) -> None:
        """Remove the ids without a job; leave the others in place."""
        for job_id in self.get_job_ids():
            if not _Job.exists(job_id, connection=self.connection):
                self.connection.lrem(self.key, 1, job_id)


class _NeverRaised(Exception):
    """Replaces the exception that the dashboard catches to answer 200 when Redis is away."""


def make_app(redis_url: str, token: str) -> Flask:
    """Return the dashboard of the Redis at *redis_url*, behind the user `tradewire` and *token* as the password."""
    _patch_dashboard(_connection(redis_url))
    app = Flask("rq_dashboard", static_folder=None)
    app.config["RQ_DASHBOARD_REDIS_URL"] = redis_url
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = 2500
    guesses = Guesses()
    app.before_request(lambda: _require_login(token, guesses))
    app.before_request(_refuse_mistakes)
    protect_pages(app)
    _answer_errors(app)
    app.add_url_rule("/static/favicon.ico", endpoint="static", view_func=lambda: Response(status=204))
    web.setup_rq_connection(app)
    app.register_blueprint(web.blueprint)
    return app


def make_server(app: Flask, allowed_hosts: Iterable[str]) -> ASGIApp:
    """Return *app* for uvicorn, behind the check of Host and Origin."""

    def refuse(sentence: str) -> ASGIApp:
        return PlainTextResponse(f"{sentence}\n", 403)

    # Flask's type of an application is looser than the bridge's.
    bridge: Any = WSGIMiddleware(app, workers=_THREADS)  # type: ignore[arg-type]
    return OwnRequestsOnly(bridge, hosts=allowed_hosts, refuse=refuse)


def _patch_dashboard(connection: Redis) -> None:
    """Replace the dashboard's parts that do not work with JSON jobs, or open connections of their own."""
    web.config.serializer = JSONSerializer
    web.Job, web.Worker, web.Queue = _Job, _Worker, _Queue
    web.RedisConnectionError = _NeverRaised
    web.from_url = lambda *_, **__: (None, connection)
    web.requeue_job = lambda job_id, connection: requeue_job(job_id, connection, serializer=JSONSerializer)


def main(arguments: list[str] | None = None) -> int:
    """Serve the dashboard until SIGTERM; return 2 when the settings do not allow it or the port is taken."""
    parser = argparse.ArgumentParser("python -P -m pipeline.entrypoints.rq_dashboard", description="Serve rq-dashboard")
    parser.add_argument("--port", type=int, help=f"default: $PORT, else {PORT}")
    options = parser.parse_args(arguments)
    try:
        watch_lifeline()
        settings = effective(located_settings())
        redis_url, token = _required(settings)
        port = options.port or settings.port or PORT
        listener = listening_socket(LOOPBACK, port)
    except (ConfigInvalid, NotPossible) as error:
        sys.stderr.writelines(f"{printable(str(each))}\n" for each in getattr(error, "problems", (error,)))
        return 2
    configure_logs(settings.log, process="rq_dashboard")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = make_server(make_app(redis_url, token), settings.allowed_hosts)
    log.info("dashboard.started", url=f"http://{LOOPBACK}:{port}", user=USER)
    uvicorn.Server(uvicorn.Config(server, lifespan="off", **server_settings())).run(sockets=[listener])
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


def _require_login(token: str, guesses: Guesses) -> Response | None:
    if (login := request.authorization) is None:
        return _ask_for_login()
    user, password = login.username or "", login.password or ""
    with guesses.trying(request.remote_addr, f"{user}:{password}") as guess:
        if guess.wait_s is not None:
            headers = {"Retry-After": str(round(guess.wait_s) + 1)}
            return Response("There were too many wrong passwords: wait.\n", 429, headers)
        # Always compare both the user and the password, so that the time does not show which one is wrong.
        known = hmac.compare_digest(user.encode(), USER.encode())
        guess.right = hmac.compare_digest(password.encode(), token.encode()) and known
    return None if guess.right else _ask_for_login()


def _ask_for_login() -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="tradewire", charset="UTF-8"'}
    return Response(f"The user is {USER}, the password is the api_token.\n", 401, headers)


def _refuse_mistakes() -> Response | None:
    if (request.view_args or {}).get("instance_number", 0) != 0:
        return Response("There is only one Redis.\n", 404)
    if request.method in ("GET", "HEAD", "OPTIONS") and request.endpoint == "rq_dashboard.requeue_all":
        return Response("Requeue with POST.\n", 405, {"Allow": "POST"})
    return None


def _answer_errors(app: Flask) -> None:
    app.register_error_handler(NoSuchJobError, lambda _: ("There is no such job.\n", 404))
    app.register_error_handler(InvalidJobOperation, lambda _: ("This job has not failed.\n", 409))
    app.register_error_handler(RedisError, lambda _: ("Redis cannot be reached.\n", 503))
    for kind in _UNREADABLE:
        app.register_error_handler(kind, _unreadable)


def _unreadable(error: Exception) -> tuple[str, int]:
    log.warning("dashboard.unreadable", path=request.path, error=type(error).__name__)
    return "The address, or a key of RQ in Redis, has a value that cannot be read.\n", 422


if __name__ == "__main__":
    sys.exit(main())
