# SPDX-License-Identifier: MIT
"""As much of Grafana's dashboard JSON as the boards use (schema of Grafana 10; 9 to 12 read it).

Boards name no data source and have no uid of their own: the variable ``datasource`` picks one, and
provisioning or import gives the uid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """One expression; ``legend`` in Grafana's {{label}} form. ``instant``: only the last value is wanted."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"

    def as_json(self, ref: str) -> dict[str, Any]:
        return {
            "datasource": _SOURCE,
            "editorMode": "code",
            "expr": self.expr,
            "format": self.format,
            "instant": self.instant,
            "legendFormat": self.legend or "__auto",
            "range": not self.instant,
            "refId": ref,
        }


@dataclass(frozen=True)
class Panel:
    """``kind`` is Grafana's panel type; ``unit`` one of its unit ids (bytes, s, ops, short, percentunit)."""

    kind: str
    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    options: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    transformations: tuple[dict[str, Any], ...] = ()

    def as_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        return {
            "datasource": _SOURCE,
            "description": self.about,
            "fieldConfig": {"defaults": {"unit": self.unit, "custom": self.custom, **self.defaults}, "overrides": []},
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "id": number,
            "options": self.options,
            "targets": [query.as_json(chr(ord("A") + index)) for index, query in enumerate(self.queries)],
            "title": self.title,
            "transformations": list(self.transformations),
            "type": self.kind,
        }


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    stack: bool = False,
    below_zero: bool = False,
) -> Panel:
    """Lines over time; ``stack`` for parts of a whole."""
    custom: dict[str, Any] = {"lineWidth": 1, "fillOpacity": 30 if stack else 0, "showPoints": "never"}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, about, queries, unit, width, 8, options, custom, {} if below_zero else {"min": 0})


def number(title: str, about: str, query: Query, unit: str = "short", width: int = 4) -> Panel:
    """One number, the last."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "none",
        "graphMode": "area",
        "textMode": "auto",
    }
    return Panel("stat", title, about, (query,), unit, width, 4, options)


def heatmap(title: str, about: str, query: Query, unit: str = "s", width: int = 12) -> Panel:
    """Counts by bucket (label ``le``) over time. ``expr`` is a sum by (le) of bucket rates."""
    query = Query(query.expr, "{{le}}", query.instant, "heatmap")
    options = {
        "calculate": False,
        "yAxis": {"unit": unit},
        "rowsFrame": {"layout": "le"},
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 64},
        "cellGap": 1,
        "tooltip": {"show": True, "yHistogram": True},
    }
    return Panel("heatmap", title, about, (query,), unit, width, 8, options)


def table(title: str, about: str, *queries: Query, unit: str = "short", width: int = 24) -> Panel:
    """One row for each label set, one column for each query."""
    asked = tuple(Query(query.expr, query.legend, True, "table") for query in queries)
    renamed = {f"Value #{chr(ord('A') + index)}": query.legend for index, query in enumerate(asked)}
    hidden = {"Time": True, **{f"Time {index + 1}": True for index in range(len(asked))}}
    transformations = (
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed}},
    )
    return Panel("table", title, about, asked, unit, width, 8, {"showHeader": True}, {}, {}, transformations)


@dataclass(frozen=True)
class Row:
    title: str


@dataclass
class Variable:
    """A choice from the values of ``label`` in ``series``. ``many``: several, or all."""

    name: str
    label: str
    series: str
    shown: str = ""
    many: bool = False

    def as_json(self) -> dict[str, Any]:
        query = f"label_values({self.series}, {self.label})"
        everything = {"text": ["All"], "value": ["$__all"]}
        return {
            "allValue": ".+" if self.many else None,
            "current": everything if self.many else {},
            "datasource": _SOURCE,
            "definition": query,
            "hide": 0,
            "includeAll": self.many,
            "label": self.shown or self.name,
            "multi": self.many,
            "name": self.name,
            "options": [],
            "query": {"query": query, "refId": "variable"},
            "refresh": 2,
            "regex": "",
            "sort": 1,
            "type": "query",
        }


@dataclass
class Board:
    """Panels flow from the left to the right, a row when the line is full."""

    title: str
    about: str
    variables: list[Variable]
    items: list[Row | Panel]
    since: str = "now-6h"

    def as_json(self) -> dict[str, Any]:
        return {
            "annotations": {"list": []},
            "description": self.about,
            "editable": True,
            "graphTooltip": 1,
            "links": [],
            "panels": self._panels(),
            "refresh": "1m",
            "schemaVersion": 39,
            "tags": ["lazyobs"],
            "templating": {"list": [_datasource(), *(variable.as_json() for variable in self.variables)]},
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "title": self.title,
        }

    def _panels(self) -> list[dict[str, Any]]:
        found, x, y, tallest = [], 0, 0, 0
        for index, item in enumerate(self.items):
            width = _WIDTH if isinstance(item, Row) else item.width
            if x + width > _WIDTH:  # a Row is as wide as the board: it always begins a line
                x, y, tallest = 0, y + tallest, 0
            if isinstance(item, Row):
                found.append(_row(item, index + 1, y))
                y += 1
                continue
            found.append(item.as_json(index + 1, x, y))
            x, tallest = x + width, max(tallest, item.height)
        return found


def _row(row: Row, number_: int, y: int) -> dict[str, Any]:
    position = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
    return {"collapsed": False, "gridPos": position, "id": number_, "panels": [], "title": row.title, "type": "row"}


def _datasource() -> dict[str, Any]:
    return {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }
