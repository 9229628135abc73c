# SPDX-License-Identifier: MIT
"""A board of its variables, rows and panels.

Boards name no data source and have no uid of their own: the variable ``datasource`` picks one, and provisioning or
import gives the uid.
"""

from __future__ import annotations

from collections.abc import Iterable

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import TimeZoneBrowser

from dashboards.panels import SOURCE, Panel


def variable(name: str, label: str, series: str, shown: str = "", many: bool = False) -> QueryVariable:
    """A choice from the values of ``label`` in ``series``. ``many``: several, or all."""
    choice = (
        QueryVariable(name)
        .label(shown or name)
        .datasource(SOURCE)
        .query({"query": f"label_values({series}, {label})", "refId": "variable"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(many)
        .include_all(many)
    )
    if many:
        choice.all_value(".+").current(models.VariableOption(text=["All"], value=["$__all"]))
    return choice


def board(
    title: str,
    about: str,
    variables: Iterable[QueryVariable],
    items: Iterable[Row | Panel],
    since: str = "now-6h",
) -> models.Dashboard:
    """The SDK lays panels from left to right; a new line begins where one is full, and with each Row."""
    builder = (
        Dashboard(title)
        .description(about)
        .tags(["lazyobs"])
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh("1m")
        .time(since, "now")
        .timezone(TimeZoneBrowser)
        .variables([DatasourceVariable("datasource").label("data source").type("prometheus"), *variables])
    )
    for number, item in enumerate(items, 1):
        item.id(number)
        if isinstance(item, Row):
            builder.with_row(item)
        else:
            builder.with_panel(item)
    return builder.build()
