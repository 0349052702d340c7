"""`tradewire exchange`: run the paper exchange, and make it go wrong for practice."""

from typing import Annotated, Any

import httpx
import typer

from config.schema.settings import Settings
from pipeline.entrypoints.cli.options import AsJson, finite
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem
from pipeline.startup.arguments import executor_of
from pipeline.startup.context import executors_for, settings_for, settings_for_a_person
from workers.exchange.faults import OF_EVENTS, Fault, FaultKind, FaultPlan, FaultTarget

app = typer.Typer(help="Run the paper exchange, or make it go wrong for practice.")

#: The name that ends all faults.
_NONE = "none"
_TIMEOUT_S = 5.0


@app.callback(invoke_without_command=True)
def exchange(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(help="The port to listen on; 0 chooses a free one.")] = 8100,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    clock: Annotated[str, typer.Option(help="The market's clock: always_open or real.")] = "always_open",
    bars: Annotated[bool, typer.Option(help="Play the price bars.")] = True,
    listed_only: Annotated[bool, typer.Option("--listed-only", help="Answer 404 for unknown tickers.")] = False,
) -> None:
    """Run the paper exchange: a server with Alpaca's trading API and play money."""
    if context.invoked_subcommand is not None:
        return
    from workers.exchange.admin_token import admin_token  # noqa: PLC0415
    from workers.exchange.server import serve as serve_exchange  # noqa: PLC0415

    settings = settings_for("exchange")
    token, made = admin_token(settings)
    serve_exchange(
        host=host,
        port=port,
        home=settings.home,
        token=token,
        hosts=settings.allowed_hosts,
        cadence_s=settings.cadence_s,
        clock="real" if clock == "real" else "always_open",
        bars=bars,
        listed_only=listed_only,
        on_ready=lambda url: echo(f"exchange listening on {url}", *made),
    )


@app.command()
def fault(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"{', '.join(FaultKind)}; or {_NONE}, which ends all of them.")
    ],
    *,
    on: Annotated[FaultTarget | None, typer.Option(help="The requests that it hits; by default orders.")] = None,
    probability: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="The part of the requests that it hits.")
    ] = 1.0,
    for_s: Annotated[
        float, typer.Option("--for", metavar="SECONDS", min=1, callback=finite, help="Until it ends by itself.")
    ] = 60.0,
    executor: Annotated[str | None, typer.Option(help="Only the account of this executor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a fault to the running paper exchange; active faults stay. `none` ends all of them."""
    if name not in (_NONE, *FaultKind):
        message = f"there is no fault {name!r}: {', '.join(FaultKind)}, or {_NONE}"
        raise ConfigInvalid([Problem(key="NAME", message=message)])
    settings = settings_for_a_person("exchange fault")
    if executor is not None:
        executor_of(executors_for(settings), executor)
    with _admin(settings) as client:
        plan = FaultPlan.model_validate(_asked(client, "GET"))
        ended = len(plan.faults)
        if name == _NONE:
            plan = FaultPlan()
        else:
            kind = FaultKind(name)
            target = on or (FaultTarget.STREAM if kind in OF_EVENTS else FaultTarget.SUBMIT)
            plan.faults.append(Fault(on=target, kind=kind, probability=probability, for_s=for_s, key=executor))
        active = _asked(client, "POST", plan.to_json())
    if as_json:
        echo_json(active)
        return
    for each in active["faults"]:
        account = f" of {each['key']}" if "key" in each else ""
        left = f" for {each['for_s']:.0f} s" if "for_s" in each else ""
        echo(f"{each['kind']} on {each['on']}{account}, probability {each['probability']}{left}")
    if not active["faults"]:
        echo(f"ended {ended} fault{'' if ended == 1 else 's'}; no fault is active")


def _admin(settings: Settings) -> httpx.Client:
    if settings.exchange_url is None or settings.exchange_token is None:
        message = f"no paper exchange is known in {settings.home.absolute()}: run `tradewire up`"
        raise ConfigInvalid([Problem(key="TRADEWIRE_EXCHANGE_URL", message=message)])
    login = {"Authorization": f"Bearer {settings.exchange_token.get_secret_value()}"}
    # No proxies: the exchange is on this machine.
    return httpx.Client(base_url=settings.exchange_url, headers=login, timeout=_TIMEOUT_S, trust_env=False)


def _asked(client: httpx.Client, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = client.request(method, "/admin/faults", json=body)
    except httpx.HTTPError as error:
        raise NotPossible(f"the paper exchange at {client.base_url} does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        raise NotPossible(f"the paper exchange at {client.base_url} answered {answer.status_code}: {answer.text[:200]}")
    plan: dict[str, Any] = answer.json()
    return plan
