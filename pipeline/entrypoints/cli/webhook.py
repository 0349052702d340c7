"""`tradewire webhook`: test a body, and list what was delivered."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from config.webhooks import DEFAULT, Webhook, load_webhooks
from pipeline.entrypoints.cli.options import AsJson, Since, standard_input
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.intake.webhooks.body import read_body
from pipeline.intake.webhooks.translate import IDENTITY_TEXTS, translate
from pipeline.model.errors import ConfigInvalid, InvalidSignal, Problem
from pipeline.model.json_values import object_json
from pipeline.model.texts import json_text
from pipeline.startup.context import executors_for, open_record, settings_for_a_person, since
from pipeline.views.lists import deliveries

app = typer.Typer(no_args_is_help=True, help="Test webhooks, and list what was delivered to them.")


@app.command("test")
def try_body(
    file: Annotated[str, typer.Argument(help="The body of a delivery; - for standard input.")],
    *,
    name: Annotated[str, typer.Option(help="The name of the webhook.")] = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show the signal that a body becomes, or why it is refused (exit 1). Nothing is recorded."""
    settings = settings_for_a_person("webhook", anywhere=True)
    webhooks = load_webhooks(settings, executors=tuple(executors_for(settings)))
    if name not in webhooks:
        message = f"there is no webhook {name!r}; there is {', '.join(webhooks)}"
        raise ConfigInvalid([Problem(key="--name", message=message)])
    shown = _tested(_content(file), webhooks[name])
    if as_json:
        echo_json(shown)
    else:
        echo(*_lines(shown))
    raise typer.Exit(1 if "error" in shown else 0)


@app.command("deliveries")
def list_deliveries(
    *,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that were refused.")] = False,
    since_: Since = None,
    name: Annotated[str | None, typer.Option(help="Only of this webhook.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="List at most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the deliveries, newest first, each with its signal or the reason why it was refused."""
    with open_record(settings_for_a_person("webhook", anywhere=True)) as record:
        page = deliveries(record, refused=refused, webhook=name, since=since(since_), limit=limit)
    items = page.to_json()["items"]
    if as_json:
        echo_json({"deliveries": items, "more": page.has_more})
        return
    for item in items:
        echo(_line(item))
    if not items:
        echo("nothing was delivered" if not refused else "nothing was refused")


def _tested(raw: bytes, webhook: Webhook) -> dict[str, Any]:
    try:
        body = read_body(raw)
        translation = translate(body, webhook.settings, now=datetime.now(UTC))
    except InvalidSignal as error:
        return {"webhook": webhook.name, "error": {"code": str(error.code), "message": str(error)}}
    # Without an id in the body, the source_id ends in the delivery's id, and only a recorded delivery has one.
    source_id = translation.source_id or f"body-{body.digest[:16]}-<the first delivery's id>"
    signal = {"source": webhook.name, "source_id": source_id} | translation.signal
    return {
        "webhook": webhook.name,
        "dialect": translation.dialect,
        "identity": translation.identity.value,
        "identity_says": IDENTITY_TEXTS[translation.identity],
        "notes": list(translation.notes),
        "signal": object_json(signal),
    }


def _lines(shown: dict[str, Any]) -> list[str]:
    if "error" in shown:
        return [f"refused: {shown['error']['code']}", shown["error"]["message"]]
    return [
        f"dialect    {shown['dialect']}",
        f"source_id  {shown['signal']['source_id']}",
        f"           {shown['identity_says']}",
        *(f"note       {note}" for note in shown["notes"]),
        *json_text(shown["signal"], indent=2).split("\n"),
    ]


def _line(item: dict[str, Any]) -> str:
    times = f", {item['times']} times" if item["times"] > 1 else ""
    head = f"{item['at']}  {item['webhook']:<14} {item['outcome']}{times}"
    body = " ".join(item["payload"].split())[:100]
    if item["code"] is not None:
        return f"{head}  {item['code']}: {item['message']}  from {item['address']}  {body}"
    return f"{head}  {item['dialect']}  signal {item['signal_id']}  {body}"


def _content(file: str) -> bytes:
    if file == "-":
        return standard_input().read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigInvalid([Problem(key="FILE", message=f"{file} cannot be read: {error.strerror}")]) from None
