# SPDX-License-Identifier: MIT
"""The queries, once, in Ibis. Sums are of integers and means are left to the caller, so that the order in
which an engine adds makes no difference. Columns are taken with brackets: some, like "cache", are also methods of a table. Numbers given go into a query as they are, not reckoned with before.

A recording of a day is 86,400 samples; a series has some three thousand. So samples are cut by their number
into bins of equal length, the first sample being a bin of its own. Of a bin there is left: counters and the
machine's state as at its last sample, the sum and count of each census gauge, the highest of each health counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyobs.bpf import event
from lazyobs.kernel.slab import CACHES
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.soak.engine.tables import HOLDING

if TYPE_CHECKING:
    import ibis.expr.types as ir

ORPHANS_OF = ("anon_vma", "anon_vma_chain")
_DIGITS = 3  # of a duration in ns that are kept


def extent(samples: ir.Table) -> ir.Table:
    """One row: how many samples there are, how many numbers, the first and the last of them."""
    number = samples["number"]
    return samples.aggregate(
        rows=samples.count(), numbers=number.nunique(), first=number.min(), last=number.max()
    )  # fmt: skip


def _bins(table: ir.Table, first: int, step: int) -> ir.Table:
    return table.mutate(bin=(table["number"] - first + step - 1) // step)


def samples(samples: ir.Table, first: int, step: int) -> ir.Table:
    """A row a bin of ``step`` samples: of its last number, time, stamp and counters; of all of it, elapsed_ns,
    {gauge}_sum, {gauge}_count and health_*."""
    bins = _bins(samples, first, step)
    measures: dict[str, Any] = {"last": bins["number"].max()}
    measures["elapsed_ns"] = (bins["elapsed"] * 1e9).round().cast("int64").sum()
    for name in CENSUS_NAMES:
        measures[f"{name}_sum"] = bins[name].sum()
        measures[f"{name}_count"] = bins[name].count()
    for name in HEALTH_NAMES:
        measures[f"health_{name}"] = bins[f"health_{name}"].max()
    whole = bins.group_by("bin").aggregate(**measures)
    ends = samples.select("number", "time", "stamp", *COUNTER_NAMES)
    return whole.join(ends, whole["last"] == ends["number"]).drop("last", "bin").order_by("number")


def documents(samples: ir.Table, first: int, warm: int, last: int) -> ir.Table:
    """number and document of those samples."""
    return samples.filter(samples["number"].isin((first, warm, last))).select("number", "document")


def processes(processes: ir.Table) -> ir.Table:
    """How many processes each sample had."""
    return processes.group_by("number").aggregate(processes=processes.count()).order_by("number")


def holders(processes: ir.Table, first: int, last: int) -> ir.Table:
    """The processes of those two samples, and what they held."""
    names = ("number", "pid", "start_time", "comm", "cgroup", "ppid", *HOLDING)
    return processes.filter(processes["number"].isin((first, last))).select(*names)


def system(system: ir.Table, samples: ir.Table, first: int, step: int) -> ir.Table:
    """The state of the machine at the last sample of each bin, with the sample's stamp."""
    bins = _bins(samples.select("number"), first, step)
    ends = bins.group_by("bin").aggregate(last=bins["number"].max())
    stamps = (
        samples.select("stamp", sample="number").join(ends, samples["number"] == ends["last"]).select("sample", "stamp")
    )
    return system.join(stamps, system["number"] == stamps["sample"]).drop("sample").order_by("number")


def barriers(slabs: ir.Table, samples: ir.Table) -> ir.Table:
    """Live objects of each cache with a row of its own at the barriers, {cache}_orphans and {cache}_orphans_spread of
    ORPHANS_OF, with the census, the stamp and the time of the same tick's sample."""
    rows = slabs.filter(slabs["barrier"])
    own = rows["merged_with"] == ""
    live = rows.group_by("number").aggregate(
        time=rows["time"].max(),
        **{cache: rows["objects_active"].max(where=own & (rows["cache"] == cache)) for cache in CACHES},
        **{
            f"{cache}_{name}": rows[name].max(where=rows["cache"] == cache)
            for cache in ORPHANS_OF
            for name in ("orphans", "orphans_spread")
        },
    )
    census = samples.select(sample="number", vmas="vmas", stamp="stamp", sampled="time")
    return live.join(census, live["number"] == census["sample"]).drop("sample").order_by("number")


def events(events: ir.Table, after: int, until: int) -> ir.Table:
    """Events with a stamp behind ``after`` and up to ``until`` (ns since boot), counted by kind, detail and
    duration, with the longest duration among them.

    ``upper`` is the duration rounded up to three significant digits: that is a few thousand rows however many events
    there are, exact for integers on every engine, and it adds up over recordings. Null where it is not known.
    """
    found = events.filter((events["stamp"] > after) & (events["stamp"] <= until))
    known = found["duration"].nullif(event.UNKNOWN)
    found = found.mutate(nanoseconds=known, upper=_rounded_up(known))
    return found.group_by("kind", "detail", "upper").aggregate(
        count=found.count(), sum=found["nanoseconds"].sum(), longest=found["nanoseconds"].max()
    )


def _rounded_up(nanoseconds: ir.IntegerColumn) -> ir.IntegerColumn:
    """To _DIGITS significant digits. By remainders: Ibis divides integers as floating-point numbers."""
    import ibis

    most = len(str(event.MOST_NANOSECONDS))
    cases = []
    for digits in range(_DIGITS, most + 1):
        unit = 10 ** (digits - _DIGITS)
        above = nanoseconds + (unit - 1)
        cases.append((nanoseconds < 10**digits, above - above % unit))
    return ibis.cases(*cases).cast("int64")
