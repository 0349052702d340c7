"""`tradewire token`: make, list and revoke tokens for programs that speak HTTP."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipeline.model.errors import ConfigInvalid, NotPossible, Problem
from pipeline.model.json_values import time_json
from pipeline.operations.tokens import Scope, make_token, revoke_token, tokens
from pipeline.startup.context import open_record, settings_for_a_person
from pipeline.startup.executor_names import me

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens for programs that speak HTTP.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The program; it is the source of the signals it sends.")]
By = Annotated[str | None, typer.Option(help="Who; the login name and machine by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: Name,
    *,
    scope: Annotated[str, typer.Option(help="What it opens: read, signal, operate; several with commas.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it. It is shown this once: only its hash is kept."""
    scopes = _scopes(scope)
    with open_record(settings_for_a_person("token")) as record:
        token = make_token(record, name, scopes, by=by or me())
    if as_json:
        typer.echo(json.dumps({"name": name, "scopes": [each.value for each in scopes], "token": token}, indent=2))
        return
    typer.echo(token)
    typer.echo("This is the only time that it is shown.", err=True)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the tokens that were made, by name; the main one, TRADEWIRE_API_TOKEN, is not among them."""
    with open_record(settings_for_a_person("token")) as record:
        rows = tokens(record)
    bodies = [row | {"made_at": time_json(row["made_at"]), "revoked_at": time_json(row["revoked_at"])} for row in rows]
    if as_json:
        typer.echo(json.dumps(bodies, indent=2))
        return
    for body in bodies:
        revoked = f"  revoked {body['revoked_at'][:19]}Z by {body['revoked_by']}" if body["revoked_at"] else ""
        made = f"made {body['made_at'][:19]}Z by {body['made_by']}"
        typer.echo(f"{body['name']:<24} {','.join(body['scopes']):<20} {made}{revoked}")
    if not bodies:
        typer.echo("no tokens")


@app.command()
def revoke(name: Name, *, by: By = None, as_json: AsJson = False) -> None:
    """Revoke a token: within seconds it opens nothing any more, and its name is not used again."""
    with open_record(settings_for_a_person("token")) as record:
        if not revoke_token(record, name, by=by or me()):
            raise NotPossible(f"there is no token {name!r} that opens anything")
    typer.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"revoked {name}")


def _scopes(text: str) -> list[Scope]:
    """Read `read,signal`.

    Raises:
        ConfigInvalid: a word is no scope, or there is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = sorted(set(words) - set(Scope))
    if unknown or not words:
        message = f"{', '.join(unknown) or 'nothing'} is no scope; there is {', '.join(Scope)}"
        raise ConfigInvalid([Problem(key="--scope", message=message)])
    return sorted(map(Scope, set(words)))
