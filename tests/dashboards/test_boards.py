# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lazyobs.exporter.families import FAMILIES, HISTOGRAM, SUCCESS
from tests.harness import ROOT, skip

GRAFANA, PROMETHEUS = ROOT / "dashboards/grafana", ROOT / "dashboards/prometheus"
BOARDS = {path.name: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def expressions() -> list[tuple[str, str]]:
    """Every expression of boards, rules and alerts: (where, expression)."""
    found = [
        (f"{name}: {panel['title']} {target['refId']}", target["expr"])
        for name, board in BOARDS.items()
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    for file in ("lazyobs.rules.yml", "lazyobs.alerts.yml"):
        for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"]:
            found += [(f"{file}: {rule.get('record') or rule['alert']}", rule["expr"]) for rule in group["rules"]]
    return found


def test_the_committed_boards_are_what_the_code_builds() -> None:
    if sys.version_info < (3, 11):
        skip("boards", "grafana-foundation-sdk runs on Python 3.11 and later")
    from dashboards.boards import all_boards

    built = all_boards()
    assert set(built) == set(BOARDS) == {"host.json", "fleet.json", "kernel-ab.json"}
    for name, text in built.items():
        assert (GRAFANA / name).read_text() == text, "run python -m dashboards"


def _data_sources(part: Any) -> Iterator[dict[str, str]]:
    if isinstance(part, dict):
        if "datasource" in part:
            yield part["datasource"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from _data_sources(item)


@pytest.mark.parametrize("name", BOARDS)
def test_no_board_names_a_data_source_or_has_a_uid(name: str) -> None:
    board = BOARDS[name]
    assert "uid" not in board and "id" not in board
    assert board["templating"]["list"][0]["type"] == "datasource"
    assert {source["uid"] for source in _data_sources(board)} == {"${datasource}"}


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_side_by_side_within_the_width(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and all(0 <= x < 24 for x, _ in cells), panel["title"]
        taken |= cells
        assert panel["type"] == "row" or (panel["description"] and panel["targets"])


def test_expressions_only_use_metrics_and_rules_that_exist() -> None:
    known = {"up", "ALERTS", SUCCESS[0]}
    for family in FAMILIES:
        names = {family.full_name}
        if family.kind == HISTOGRAM:
            names = {family.full_name + suffix for suffix in ("_bucket", "_sum", "_count")}
        known |= names
    rules = yaml.safe_load((PROMETHEUS / "lazyobs.rules.yml").read_text())
    known |= {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    for where, expr in expressions():
        used = set(re.findall(r"\b(?:\w+:)?lazyobs_\w+(?::\w+)?\b", re.sub(r'"[^"]*"', "", expr)))
        assert used - known == set(), where


def test_every_alert_has_a_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    alerts = [
        rule
        for group in yaml.safe_load((PROMETHEUS / "lazyobs.alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert [rule["alert"] for rule in alerts] == headings
    for rule in alerts:
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_every_alert_has_a_test_that_it_fires() -> None:
    alerts = {
        rule["alert"]
        for group in yaml.safe_load((PROMETHEUS / "lazyobs.alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    tests = yaml.safe_load((PROMETHEUS / "lazyobs.tests.yml").read_text())["tests"]
    fires = {case["alertname"] for test in tests for case in test.get("alert_rule_test", ()) if case.get("exp_alerts")}
    assert fires == alerts


def test_provisioning_is_yaml_of_the_right_shape() -> None:
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/lazyobs.yml").read_text())
    assert providers["providers"][0]["type"] == "file"
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/lazyobs.yml").read_text())
    assert sources["datasources"][0]["type"] == "prometheus" and "uid" not in sources["datasources"][0]
