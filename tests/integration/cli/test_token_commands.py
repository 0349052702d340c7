"""`tradewire token` shows a token only once, lists tokens without their secret, and revokes them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from pipeline.model.errors import ConfigInvalid, NotPossible
from pipeline.operations.tokens import Scope, holder_of
from pipeline.store.record import Record
from tests.command import app

READ = ["token", "add", "grafana", "--scope", "read"]


@pytest.fixture(autouse=True)
def _beside_this_record(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_token_opens_what_it_was_made_for(record: Record) -> None:
    made = run("token", "add", "desk", "--scope", "signal,read", "--json")

    body = json.loads(made.stdout)
    holder = holder_of(record, body["token"])
    assert (made.exit_code, body["name"], body["scopes"]) == (0, "desk", ["read", "signal"])
    assert holder is not None
    assert (holder.name, holder.scopes) == ("desk", {Scope.READ, Scope.SIGNAL})


def test_it_is_the_only_line_on_standard_output(record: Record) -> None:
    made = run(*READ)

    assert holder_of(record, made.stdout.strip()) is not None
    assert "not shown again" in made.stderr


def test_the_list_says_who_and_never_the_token(record: Record) -> None:
    token = run(*READ, "--by", "ann").stdout.strip()
    run("token", "revoke", "grafana", "--by", "bob")

    told, listed = run("token", "list").stdout, run("token", "list", "--json").stdout

    assert token not in told + listed
    assert "by ann" in told
    assert "by bob" in told
    (body,) = json.loads(listed)
    assert (body["name"], body["scopes"], body["made_by"], body["revoked_by"]) == ("grafana", ["read"], "ann", "bob")


def test_a_revoked_token_opens_nothing_and_its_name_is_not_used_again(record: Record) -> None:
    token = run(*READ).stdout.strip()

    assert json.loads(run("token", "revoke", "grafana", "--json").stdout) == {"name": "grafana", "revoked": True}
    assert holder_of(record, token) is None
    assert isinstance(run("token", "revoke", "grafana").exception, NotPossible)
    assert isinstance(run(*READ).exception, NotPossible)


@pytest.mark.parametrize("scope", ["", "write", "read,write", ","])
def test_a_scope_that_is_none_is_a_mistake_of_usage(scope: str) -> None:
    assert isinstance(run("token", "add", "desk", "--scope", scope).exception, ConfigInvalid)


@pytest.mark.parametrize("name", ["api", "Desk", "a b", "-desk"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert isinstance(run("token", "add", "--scope", "read", "--", name).exception, NotPossible)
