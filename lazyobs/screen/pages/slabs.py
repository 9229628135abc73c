# SPDX-License-Identifier: MIT
"""The page of slab caches: their rows of /proc/slabinfo, merged caches, and what the probes counted."""

from __future__ import annotations

from collections.abc import Sequence

from lazyobs import text
from lazyobs.model import Slab
from lazyobs.screen.pages.page import Page, percent

_OBJECTS = {"anon_vma": "anon_vma", "chain": "anon_vma_chain"}  # our counters' name: the kernel's


def draw(page: Page) -> None:
    sample, palette = page.screen_state.sample, page.palette
    page.heading([("CACHE", -18), ("ACTIVE", 10), ("OBJECTS", 10), ("USED", 5), ("EACH", 6), ("TOTAL", 8), ("MERGED WITH", -20)])  # fmt: skip
    for slab in sample.slabs:
        _slabinfo_row(page, slab)
    page.blank()
    page.paragraph("slabinfo counts merged caches together; the counters below do not.", palette.dim)
    page.paragraph(_free_objects(sample.slabs), palette.dim)
    page.null_reasons("slabs")
    page.blank()
    page.heading([("OBJECTS", -18), ("ALLOCS", 10), ("/s", 8), ("FREES", 10), ("/s", 8), ("NET SINCE START", 16)])
    for counter, name in _OBJECTS.items():
        _counter_row(page, counter, name)
    ledger = text.within(sample.health.get("ledger_residual"), sample.ledger_error)
    page.paragraph(f"ledger: change in slabinfo's anon_vma minus ours: {ledger}; see census --orphans", palette.dim)
    page.null_reasons("totals.anon_vma_allocs")


def _free_objects(slabs: Sequence[Slab]) -> str:
    """What slabinfo's "active" is worth, in numbers where the kernel gives them (a recording does not)."""
    known = [
        f"{text.number(slab.objects_free_at_most)} of {text.printable(slab.cache)}"
        for slab in slabs
        if slab.objects_free_at_most is not None
    ]
    bounds = f": at most {', '.join(known)}" if known else ""
    return f"slabinfo counts free objects on per-CPU slabs and in sheaves as active{bounds}."


def _slabinfo_row(page: Page, slab: Slab) -> None:
    palette = page.palette
    used = slab.objects_active / slab.objects if slab.objects and slab.objects_active is not None else None
    total = slab.objects * slab.object_bytes if slab.objects is not None and slab.object_bytes is not None else None
    merged_with = text.printable(", ".join(slab.merged_with)) or "nothing"
    page.row(
        [
            (text.printable(slab.cache), -18, palette.strong),
            (text.at_most(slab.objects_active, slab.objects_free_at_most), 10, palette.text),
            (text.number(slab.objects), 10, palette.text),
            (percent(used), 5, palette.text),
            (text.number(slab.object_bytes), 6, palette.text),
            (text.size(total), 8, palette.text),
            (merged_with, -max(20, page.width - 64), palette.text),
        ]
    )


def _counter_row(page: Page, counter: str, name: str) -> None:
    sample, palette = page.screen_state.sample, page.palette
    allocs, frees = sample.totals.get(f"{counter}_allocs"), sample.totals.get(f"{counter}_frees")
    net = allocs - frees if allocs is not None and frees is not None else None
    page.row(
        [
            (name, -18, palette.strong),
            (text.number(allocs), 10, page.count_style(allocs)),
            (text.number(sample.rates.get(f"{counter}_allocs")), 8, palette.text),
            (text.number(frees), 10, page.count_style(frees)),
            (text.number(sample.rates.get(f"{counter}_frees")), 8, palette.text),
            (text.number(net), 16, palette.text),
        ]
    )
