"""`tradewire token`: make, list and revoke tokens for programs that speak HTTP."""

from typing import Annotated

import typer

from pipeline.entrypoints.cli.options import AsJson, ByMachine
from pipeline.entrypoints.cli.output import echo, echo_json
from pipeline.model.errors import ConfigInvalid, NotPossible, Problem
from pipeline.model.json_values import object_json
from pipeline.operations.tokens import Scope, make_token, revoke_token, tokens
from pipeline.startup.arguments import me
from pipeline.startup.context import open_record, open_to_change, settings_for_a_person

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens for programs that speak HTTP.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The program's name; it is the source of the signals that it sends.")
]
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@app.command()
def add(
    name: Name,
    *,
    scope: Annotated[str, typer.Option(help="Its rights: read, signal, operate; several with commas.")],
    by: ByMachine = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it. It is shown only this once: only its hash is kept."""
    scopes = _scopes(scope)
    with open_to_change(settings_for_a_person("token")) as record:
        token = make_token(record, name, scopes, by=by or me())
    if as_json:
        echo_json({"name": name, "scopes": [each.value for each in scopes], "token": token})
        return
    # Only the token goes to standard output, so that a script can store it.
    echo(token)
    echo("The token is not shown again.", err=True)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the tokens by name. The main token, TRADEWIRE_API_TOKEN, is not listed."""
    with open_record(settings_for_a_person("token", anywhere=True)) as record:
        found = tokens(record)
    if as_json:
        echo_json([object_json(vars(token)) for token in found])
        return
    for token in found:
        revoked = f"  revoked {token.revoked_at:{_TIME}} by {token.revoked_by}" if token.revoked_at else ""
        made = f"made {token.made_at:{_TIME}} by {token.made_by}"
        echo(f"{token.name:<24} {','.join(token.scopes):<20} {made}{revoked}")
    if not found:
        echo("no tokens")


@app.command()
def revoke(name: Name, *, by: ByMachine = None, as_json: AsJson = False) -> None:
    """Revoke a token: within seconds it is refused everywhere. Its name cannot be used again."""
    with open_to_change(settings_for_a_person("token")) as record:
        if not revoke_token(record, name, by=by or me()):
            raise NotPossible(f"there is no valid token {name!r}")
    if as_json:
        echo_json({"name": name, "revoked": True}, indent=None)
    else:
        echo(f"revoked {name}")


def _scopes(text: str) -> list[Scope]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = sorted(set(words) - set(Scope))
    if unknown or not words:
        message = f"{', '.join(unknown) or 'nothing'} is not a scope; there is {', '.join(Scope)}"
        raise ConfigInvalid([Problem(key="--scope", message=message)])
    return sorted(map(Scope, set(words)))  # In a fixed order, however they were typed.
