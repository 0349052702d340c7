"""Run the web process."""

from contextlib import closing

import uvicorn

from config.alerts import load_alerts
from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.entrypoints.web.api.auth import Gate
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.keeper_watch import KeeperWatch
from pipeline.entrypoints.web.api.readiness import Readiness
from pipeline.entrypoints.web.app import make_app
from pipeline.intake.intake import Intake
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.startup.http_server import server_settings
from pipeline.startup.listening import listening_socket
from pipeline.store.record import Record

# Seconds that open requests get when the process ends: some wait for an outcome, and event streams never end.
_LEAVE_WITHIN_S = 3


def serve(settings: Settings, executors: Executors, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: an address or the API token is missing, or alerts.toml or webhooks.toml is wrong.
        NotPossible: the port is taken, or *host* is not an address of this machine.
    """
    if settings.database_url is None or settings.redis_url is None or settings.api_token is None:
        message = "the web process needs DATABASE_URL, REDIS_URL and TRADEWIRE_API_TOKEN; `tradewire up` sets all three"
        raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)])
    database_url = settings.database_url.get_secret_value()
    keeper_watch = KeeperWatch(database_url, load_alerts(settings))
    record = Record(database_url, connections=4, retry_for_s=0.5)
    readiness = Readiness(
        record, redis_url=settings.redis_url.get_secret_value(), settings=settings, executors=executors
    )
    heartbeat = Heartbeat(database_url, kind="web", name="web", executors=executors)
    context = WebContext(
        settings=settings,
        executors=executors,
        record=record,
        intake=Intake(record, executors, by="web"),
        dispatcher=Dispatcher(ExecutionQueue(connect(settings.redis_url.get_secret_value()))),
        dead_letters=DeadLetters(record),
        readiness=readiness,
        gate=Gate(record, settings.api_token, per_minute=settings.api_rate),
    )
    keeper_watch.start()
    try:
        with closing(listening_socket(host, port)) as listener:
            app = make_app(context, host=host)
            config = uvicorn.Config(app, timeout_graceful_shutdown=_LEAVE_WITHIN_S, **server_settings())
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        keeper_watch.close()
        readiness.close()
        heartbeat.close()
        record.close()
