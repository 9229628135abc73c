# SPDX-License-Identifier: MIT
"""Recordings that began without probes, because the loader took long: they are judged from when the probes came.

Before that the counters are null and the census is that of /proc, which is another one: a change from one to the other
is none of the kernel's. What came before is as unseen as what came before any recording; splats and taint are judged
over all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lazyobs.soak.series import Series, Table


def since_probes(series: Series) -> Series:
    """The part in which probes were attached, with ``unwatched`` seconds before it; all of it where they always were, or
    never."""
    came = [mark.time for mark in series.marks if mark.kind == "tier"]
    if len(came) != 1 or not _climbed(series.first.get("tiers") or {}, series.last.get("tiers") or {}):
        return series
    times = series.samples["time"]
    # A row may stand for several samples: the first one after the mark may be of some from before.
    later = np.flatnonzero(times >= came[0])
    if len(later) < 2:
        return series
    begin = float(times[later[1]])
    samples = _from(series.samples, begin)
    kept = len(samples["time"])
    return replace(
        series,
        samples=samples,
        barriers=_from(series.barriers, begin),
        system=_from(series.system, begin),
        first={**series.first, "tiers": series.last.get("tiers")},
        count=max(round(series.count * kept / len(times)), kept),
        unwatched=begin - float(times[0]),
    )


def _climbed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """From no probe at all to some. Any other change is one of the recording's making, and stays one."""
    probes = {name: tier for name, tier in before.items() if tier and tier != "procfs"}
    return not probes and any(tier and tier != "procfs" for tier in after.values())


def _from(table: Table, begin: float) -> Table:
    if "time" not in table:
        return table
    kept = table["time"] >= begin
    return {name: values[kept] for name, values in table.items()}
