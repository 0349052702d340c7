"""The dashboard, the alert rules and the page about metrics name all existing metrics and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.model.states import State
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.metrics.families import FAMILIES, MetricKind
from tests.faults import assert_none

FOLDER = Path(__file__).parents[3] / "pipeline"
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
    """Return the labels of a series that a query may name, or None when there is no such series."""
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


def test_every_query_names_metrics_and_labels_that_exist() -> None:
    assert ALL
    assert_none(f"{where}: {fault} in {query}" for where, query in ALL for fault in faults_of(query))


def faults_of(query: str) -> Iterator[str]:
    """Yield the metrics and labels of a query that do not exist, and brackets that do not close."""
    found = list(METRIC.finditer(query))
    if not found:
        yield "no metric"
    known: set[str] = set()
    for match in found:
        labels = labels_of(match[1])
        if labels is None:
            yield f"the unknown metric {match[1]}"
            continue
        known |= labels
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", match[2] or ""))
        yield from (f"the unknown label {label} of {match[1]}" for label in sorted(used - labels))
    grouped = {name for names in re.findall(r"\bby \(([^)]*)\)", query) for name in re.split(r",\s*", names)}
    yield from (f"the unknown label {label} in a grouping" for label in sorted(grouped - known))
    yield from (f"an open {pair}" for pair in ("()", "{}", "[]") if query.count(pair[0]) != query.count(pair[1]))


def test_every_state_mode_or_kind_in_a_query_is_one_of_ours() -> None:
    words = {
        "state": set(State),
        "outcome": {"order", "no_order", "skipped"},
        "step": {"recorded_to_taken", "taken_to_sent", "sent_to_answered", "recorded_to_order_id"},
        "kind": {*SwitchKind, "keeper", "worker", "web", "producer"},
    }

    assert_none(
        f"{where}: {label} is never {sorted(set(text.split('|')) - words[label])}"
        for where, query in ALL
        for label, text in re.findall(r'(\w+)\s*=~?\s*"([^"$]*)"', query)
        if label in words and not set(text.split("|")) <= words[label]
    )


def test_every_alert_rule_has_a_summary_a_remedy_and_a_severity() -> None:
    assert RULES
    assert_none(f"{rule['alert']}: {fault}" for rule in RULES for fault in faults_of_rule(rule))


def faults_of_rule(rule: dict[str, Any]) -> Iterator[str]:
    known = {label for match in METRIC.finditer(rule["expr"]) for label in labels_of(match[1]) or ()}
    text = " ".join(rule["annotations"].values())
    if set(rule["annotations"]) != {"summary", "remedy"}:
        yield f"its annotations are {sorted(rule['annotations'])}"
    if rule["labels"]["severity"] not in {"warning", "critical"}:
        yield f"its severity is {rule['labels']['severity']}"
    yield from (f"its text names the label {name}" for name in set(re.findall(r"\$labels\.(\w+)", text)) - known)


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
