# SPDX-License-Identifier: MIT
"""The kinds of panel the boards use: grafana-foundation-sdk's builders, with our defaults set.

Units are Grafana's ids, from the SDK's ``units``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import heatmap as heatmaps
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode
from grafana_foundation_sdk.models.units import Seconds, Short

Query: TypeAlias = prometheus.Dataquery
Panel: TypeAlias = timeseries.Panel | stat.Panel | heatmaps.Panel | tables.Panel

# The board's variable "datasource" picks it.
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
FULL_WIDTH, HALF_WIDTH = 24, 12


def query(expr: str, legend: str) -> Query:
    """``expr`` over the board's time range; ``legend`` in Grafana's {{label}} form."""
    return (
        Query()
        .datasource(SOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .expr(expr)
        .format(PromQueryFormat.TIME_SERIES)
        .legend_format(legend)
        .range()
    )


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str = Short,
    width: int = HALF_WIDTH,
    stack: bool = False,
    below_zero: bool = False,
) -> Panel:
    """Lines over time; ``stack`` for parts of a whole."""
    panel = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if stack else 0)
        .show_points(choices.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(choices.LegendDisplayMode.LIST)
            .placement(choices.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(choices.TooltipDisplayMode.MULTI).sort(choices.SortOrder.DESCENDING))
    )
    if stack:
        panel.stacking(common.StackingConfig().mode(choices.StackingMode.NORMAL).group("A"))
    if not below_zero:
        panel.min(0)
    return _complete(panel, title, about, queries, unit, width, 8)


def number(title: str, about: str, expr: str, legend: str, unit: str = Short, width: int = 4) -> Panel:
    """The last value of ``expr``."""
    panel = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .color_mode(choices.BigValueColorMode.NONE)
        .graph_mode(choices.BigValueGraphMode.AREA)
        .text_mode(choices.BigValueTextMode.AUTO)
    )
    return _complete(panel, title, about, [query(expr, legend).instant()], unit, width, 4)


def heatmap(title: str, about: str, expr: str, unit: str = Seconds) -> Panel:
    """Counts by bucket over time. ``expr`` is a sum by (le) of bucket rates; the buckets are in ``unit``."""
    colour = (
        heatmaps.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .steps(64)
        # A scheme uses neither; where they are not set, the builder writes "" and 0 instead of Grafana's defaults.
        .fill("dark-orange")
        .exponent(0.5)
    )
    panel = (
        heatmaps.Panel()
        .calculate(False)
        .y_axis(heatmaps.YAxisConfig().unit(unit))
        .rows_frame(heatmaps.RowsHeatmapOptions().layout(choices.HeatmapCellLayout.LE))
        .color(colour)
        .cell_gap(1)
        .show_y_histogram()
    )
    buckets = query(expr, "{{le}}").format(PromQueryFormat.HEATMAP)
    return _complete(panel, title, about, [buckets], unit, HALF_WIDTH, 8)


def table(title: str, about: str, columns: dict[str, str], width: int = FULL_WIDTH) -> Panel:
    """The last values: one row for each label set, one column for each {heading: expr}."""
    queries = [query(expr, heading).format(PromQueryFormat.TABLE).instant() for heading, expr in columns.items()]
    organized = {
        "excludeByName": {"Time": True, **{f"Time {number}": True for number in range(1, len(columns) + 1)}},
        "renameByName": {f"Value #{_letter(index)}": heading for index, heading in enumerate(columns)},
    }
    panel = (
        tables.Panel()
        .show_header(True)
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="organize", options=organized))
    )
    return _complete(panel, title, about, queries, Short, width, 8)


def _complete(
    panel: Panel, title: str, about: str, queries: Sequence[Query], unit: str, width: int, height: int
) -> Panel:
    """Sets what panels of every kind have; queries get the ids A, B, ... in their order."""
    panel.title(title).description(about).datasource(SOURCE).unit(unit).span(width).height(height)
    for index, asked in enumerate(queries):
        panel.with_target(asked.ref_id(_letter(index)))
    return panel


def _letter(index: int) -> str:
    return chr(ord("A") + index)
