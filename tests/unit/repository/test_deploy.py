"""The files for operators can be parsed, and every command, option and variable in them exists."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from config.executors import load_executors
from config.schema.settings import Settings, key_names, load_settings, variable
from tests.pages import DOCS, ROOT, leaf, options

DEPLOY = DOCS / "deploy"
EXECUTORS = load_executors(ROOT / "config" / "executors.toml", settings=load_settings(env_file=None))
VARIABLES = {variable(field) for field in Settings.model_fields} | {
    name for executor in EXECUTORS for name in key_names(executor)
}


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))["services"]
    return services


def ours() -> dict[str, Any]:
    return {name: service for name, service in compose().items() if service["image"] == "tradewire"}


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text("utf-8")))


def containers() -> Iterator[dict[str, Any]]:
    for manifest in manifests():
        if "template" in manifest["spec"]:
            yield from manifest["spec"]["template"]["spec"]["containers"]


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / name).read_text("utf-8"))
    return parser


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def commands() -> Iterator[list[str]]:
    """Yield every command line of ours, without the program."""
    for service in ours().values():
        yield service["command"]
    for container in containers():
        yield container["args"]
    for instance in ("keep", "track", "serve", "produce"):
        yield started(unit("tradewire@.service"), instance)
    yield started(unit("tradewire-worker@.service"), "argo")
    for page in DEPLOY.iterdir():
        # The instances that the comments name.
        yield from ([name] for name in re.findall(r"\btradewire@(\w+)", page.read_text("utf-8")))


def started(parsed: configparser.ConfigParser, instance: str) -> list[str]:
    program, *arguments = shlex.split(parsed["Service"]["ExecStart"].replace("%i", instance))
    assert program.endswith("/bin/tradewire")
    return arguments


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_and_its_options_exist(words: list[str]) -> None:
    command, rest = leaf(words)

    assert {word for word in rest if word.startswith("-")} <= options(command)
    if words[0] == "work":
        assert rest == [rest[0]]
        assert rest[0] in EXECUTORS


def test_every_variable_exists() -> None:
    named = {name for service in ours().values() for name in service["environment"]}
    named |= {each["name"] for container in containers() for each in container.get("env", [])}
    for name in ("tradewire@.service", "tradewire-worker@.service"):
        named |= {pair.partition("=")[0] for pair in shlex.split(unit(name)["Service"]["Environment"])}
    for instruction, arguments in instructions():
        if instruction == "ENV":
            named |= {pair.partition("=")[0] for pair in shlex.split(arguments)}
    for page in DEPLOY.iterdir():
        named |= set(re.findall(r"\bTRADEWIRE_\w+|\b[A-Z]+_API_(?:KEY|SECRET)\b", page.read_text("utf-8")))

    assert named - VARIABLES == set()
    assert {"DATABASE_URL", "REDIS_URL", "TRADEWIRE_API_TOKEN", "TRADEWIRE_HOME"} <= named


def test_the_compose_file_runs_every_process_that_can_be_reached_in_a_container() -> None:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    processes = {line.partition(":")[0] for line in lines if not line.startswith("#")}

    # rq-dashboard listens on the loopback address alone.
    assert ours().keys() == (processes - {"rq_dashboard"}) | {"migrate"}
    for service in ours().values():
        assert service.get("network_mode", "service:exchange").removeprefix("service:") in compose()


def test_the_image_copies_files_that_exist_and_runs_as_an_ordinary_user() -> None:
    copied = [name for word, arguments in instructions() if word == "COPY" for name in arguments.split()[:-1]]
    words = [word for word, _ in instructions()]

    assert words[0] == "FROM"
    assert all((ROOT / name).exists() for name in copied)
    assert {"config", "pipeline", "workers", "requirements.lock", "pyproject.toml"} <= set(copied)
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert json.loads(dict(instructions())["ENTRYPOINT"]) == ["tradewire"]


def test_every_manifest_selects_what_it_names() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in manifests() if each["kind"] == "Deployment"]

    for each in manifests():
        assert {"apiVersion", "kind", "metadata", "spec"} == each.keys()
        if each["kind"] == "Deployment":
            assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
        if each["kind"] == "Service":
            assert each["spec"]["selector"] in labels


@pytest.mark.parametrize("name", ["tradewire@.service", "tradewire-worker@.service"])
def test_a_unit_restarts_what_ends_but_not_a_wrong_configuration(name: str) -> None:
    parsed = unit(name)

    assert set(parsed.sections()) == {"Unit", "Service", "Install"}
    assert parsed["Service"]["Restart"] == "always"
    assert parsed["Service"]["RestartPreventExitStatus"] == "2"


def test_the_page_names_every_file() -> None:
    page = (DOCS / "deploying.md").read_text("utf-8")

    assert [path.name for path in sorted(DEPLOY.iterdir()) if f"(deploy/{path.name})" not in page] == []
