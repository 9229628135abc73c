# SPDX-License-Identifier: MIT
"""Two lines of the summary: what anonymous reverse mapping holds, with the part that laziness would save as a bar; and
which process holds most."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs import text
from lazyobs.model import Process, Sample
from lazyobs.screen.line import Line, cut
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.views import columns

_BAR = 20
_CACHES = ("anon_vma", "anon_vma_chain")


def object_bytes(sample: Sample) -> tuple[int, int] | None:
    """Room of an anon_vma and of a chain in their slabs; None where slabinfo does not say."""
    found = {slab.cache: slab.object_bytes for slab in sample.slabs}
    one, other = (found.get(cache) for cache in _CACHES)
    return None if one is None or other is None else (one, other)


def held_bytes(census: dict[str, int | None], sizes: tuple[int, int] | None) -> int | None:
    anon_vmas, chains = census.get("anon_vmas_held"), census.get("chains_held")
    if anon_vmas is None or chains is None or sizes is None:
        return None
    return anon_vmas * sizes[0] + chains * sizes[1]


def held(sample: Sample, width: int, palette: Palette, glyphs: Glyphs) -> Line:
    """``holds 157K  764 anon_vmas  1273 chains  [███░░░] 46% savable``; of a lazy kernel the part that it has saved."""
    census, sizes = sample.census, object_bytes(sample)
    total = held_bytes(census, sizes)
    if total is None:
        why = next((sample.null_reasons[key] for key in ("census.chains_held", "census", "processes.vmas_private", "slabs") if key in sample.null_reasons), "not in this sample")  # fmt: skip
        return [Segment("holds ", palette.dim), Segment(cut(f"not known: {text.printable(why)}", max(width - 6, 0)), palette.dim)]  # fmt: skip
    line: Line = [Segment("holds ", palette.dim), Segment(text.size(total), palette.cost)]
    parts = [f"  {text.number(census['anon_vmas_held'])} anon_vmas", f"  {text.number(census['chains_held'])} chains"]
    saved, savable = census.get("saved_bytes") or 0, census.get("savable_bytes") or 0
    name, part, whole = ("saved", saved, total + saved) if saved > 0 else ("savable", savable, total)
    if whole:
        share = min(max(part / whole, 0.0), 1.0)
        full = round(share * _BAR)
        bar = glyphs.heat[-1] * full + glyphs.states["plain"] * (_BAR - full)
        parts.append(f"  {bar} {share:.0%} {name}")
    for one in parts:
        if Segment.get_line_length(line) + len(one) > width:
            break
        style = (palette.good if name == "saved" else palette.cost) if one.endswith(name) else palette.text
        line.append(Segment(one, style))
    return line


def most(sample: Sample, width: int, palette: Palette) -> Line:
    """``most 43.3K 28% 15380 python  server.py``: the process that holds most."""
    sizes = object_bytes(sample)
    held_by = [(held_bytes(process.census, sizes), process) for process in sample.processes]
    known = [(size, process) for size, process in held_by if size]
    if not known:
        return []
    size, largest = max(known, key=lambda pair: pair[0] or 0)
    total = held_bytes(sample.census, sizes)
    share = f" {size / total:.0%}" if size and total else ""
    begin = f"{text.size(size)}{share}  {largest.pid} "
    return [
        Segment("most  ", palette.dim),
        Segment(begin, palette.strong),
        Segment(cut(_named(largest), max(width - 6 - len(begin), 0)), palette.text),
    ]


def _named(process: Process) -> str:
    grown = process.growth.get("chains_held_growth")
    more = f"{grown:+,.0f} chains since the start: " if grown else ""
    return more + columns.name_and_args(process.comm, process.args)
