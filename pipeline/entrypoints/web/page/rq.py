"""`/rq`: lead to rq-dashboard, which has a port and a login of its own."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Response

from config.schema.settings import Settings
from config.services import running_services
from pipeline.entrypoints.supervisor.plan import DASHBOARD_PORT
from pipeline.entrypoints.supervisor.servers.addresses import LOOPBACK
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.page.access import PageRoute, go_to, visited_by
from pipeline.model.errors import ConfigInvalid
from pipeline.operations.tokens import Scope

PATH = "/rq"


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        route_class=PageRoute, include_in_schema=False, dependencies=[visited_by(context.gate, Scope.READ)]
    )

    @routes.get(PATH)
    @routes.get(PATH + "/{_:path}")
    def dashboard(_: Any = None) -> Response:
        return go_to(_address(context.settings))

    return routes


def _address(settings: Settings) -> str:
    # The address can change while this process runs: a new `up` chooses another port when the usual one is taken.
    with suppress(ConfigInvalid):
        services = running_services(settings.home)
        if services is not None and services.rq_dashboard_url is not None:
            return services.rq_dashboard_url
    return f"http://{LOOPBACK}:{DASHBOARD_PORT}"
