"""The dashboard, the alert rules and the page about metrics name only what exists, and all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.monitoring.metrics.families import FAMILIES, MetricKind

FOLDER = Path(__file__).parents[2] / "pipeline"
DASHBOARD = json.loads((FOLDER / "observability/grafana-dashboard.json").read_text("utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "observability/alert-rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
#: What Prometheus itself adds.
FOREIGN = {"up": {"job", "instance"}}
METRIC = re.compile(r"\b(tradewire_\w+|up)\b(?:\{([^}]*)\})?")


def labels_of(name: str) -> set[str] | None:
    """Return the labels of what a query may name; None when there is no such series."""
    if name in FOREIGN:
        return FOREIGN[name]
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    family = FAMILIES.get(name) or FAMILIES.get(base)
    if family is None or (family.kind is MetricKind.HISTOGRAM) != (name != base and base in FAMILIES):
        return None
    return {*family.labels, *(["le"] if name.endswith("_bucket") else [])}


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert found is not None
            yield variable["name"], f"sum by ({found[2]}) ({found[1]})"


ALL = list(queries())


@pytest.mark.parametrize(("where", "query"), ALL, ids=[where for where, _ in ALL])
def test_a_query_names_metrics_and_labels_that_exist(where: str, query: str) -> None:
    found = list(METRIC.finditer(query))
    known: set[str] = set()

    assert found
    for match in found:
        labels = labels_of(match[1])
        assert labels is not None, match[1]
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", match[2] or ""))
        assert used <= labels
        known |= labels
    grouped = {name for names in re.findall(r"\bby \(([^)]*)\)", query) for name in re.split(r",\s*", names)}
    assert grouped <= known
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing)


@pytest.mark.parametrize(("where", "query"), ALL, ids=[where for where, _ in ALL])
def test_a_state_or_mode_or_kind_in_a_query_is_one_of_ours(where: str, query: str) -> None:
    from pipeline.model.states import State
    from pipeline.model.switches import SwitchKind

    words = {
        "state": set(State),
        "outcome": {"order", "no_order", "skipped"},
        "step": {"recorded_to_taken", "taken_to_sent", "sent_to_answered", "recorded_to_order_id"},
        "kind": {*SwitchKind, "keeper", "worker", "web", "producer"},
    }
    for label, text in re.findall(r'(\w+)\s*=~?\s*"([^"$]*)"', query):
        if label in words:
            assert set(text.split("|")) <= words[label]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    known = {label for match in METRIC.finditer(rule["expr"]) for label in labels_of(match[1]) or ()}
    text = " ".join(rule["annotations"].values())

    assert set(rule["annotations"]) == {"summary", "remedy"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= known


def test_panels_do_not_overlap_and_legends_name_labels() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
        for target in panel["targets"]:
            known = {label for match in METRIC.finditer(target["expr"]) for label in labels_of(match[1]) or ()}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known


def test_the_page_lists_every_metric_as_it_is() -> None:
    page = (FOLDER / "docs/metrics.md").read_text("utf-8")
    rows = [
        f"| `{name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels) or '-'} | {family.help} |"
        for name, family in FAMILIES.items()
    ]

    assert re.findall(r"^\| `tradewire.*", page, re.MULTILINE) == rows
