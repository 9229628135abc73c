# SPDX-License-Identifier: MIT
"""The lines above every page: which kernel, what is saved, what is wrong, and how it went lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style

from lazyobs import text
from lazyobs.model import Sample, Slab
from lazyobs.screen.line import Line, cut, pad, spark, spread, words
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.state import TRENDS, ScreenState

_LAZY = {True: "lazy on", False: "lazy OFF", None: "no lazy switch"}
_STATES = ("lazy", "private", "shared")  # and plain, which matters least
_BAR = ("plain", "lazy", "private", "shared")
_TREND_NAMES = {"prepares": "prepares", "forks": "forks", "promotions": "promotions", "rmap_walks": "walks"}
_LEAST_BAR = 16


def height(rows: int) -> int:
    """Lines the summary may have on a screen of so many rows."""
    return 6 if rows >= 20 else 4 if rows >= 14 else 2 if rows >= 9 else 1 if rows >= 4 else 0


def lines(
    screen_state: ScreenState,
    status: str,
    own_cpu: float | None,
    notice: str,
    room: int,
    rows: int,
    palette: Palette,
    glyphs: Glyphs,
) -> list[Line]:
    """``rows`` lines of it, the most important first. ``own_cpu`` is the share of one CPU, None where not known."""
    sample = screen_state.sample
    found = [
        _title(sample, status, room, palette),
        _wrong(sample, own_cpu, notice, room, palette),
        _vmas(sample, room, palette, glyphs),
        _slabs(sample.slabs, room, palette),
    ]
    if rows <= 4:
        return found[:rows]
    return [found[0], found[2], found[3], found[1], *_trends(screen_state, room, palette, glyphs)][:rows]


def _title(sample: Sample, status: str, room: int, palette: Palette) -> Line:
    kernel = sample.kernel
    release = text.printable(kernel.release)
    full = (
        f" lazyobs  {release}  profile {text.printable(kernel.profile)}  {_LAZY[kernel.lazy_enabled]}  {_tiers(sample)}"
    )
    short = f" {release}  {text.printable(kernel.profile)}  {_LAZY[kernel.lazy_enabled]}  {_tiers(sample)}"
    left = next((one for one in (full, short) if len(one) + len(status) + 2 <= room), short)
    left = cut(left, max(0, room - len(status) - 2))
    return spread([Segment(left, palette.title)], [Segment(status + " ", palette.title)], room, palette.title)


def _tiers(sample: Sample) -> str:
    counts: dict[str, int] = {}
    for tier in sample.tiers.values():
        counts[tier or "none"] = counts.get(tier or "none", 0) + 1
    return " ".join(f"{tier}:{count}" for tier, count in counts.items())


def problems(sample: Sample, notice: str = "") -> list[str]:
    """What is wrong, worst first: a line that says nothing else than numbers would hide it."""
    health, found = sample.health, []
    broken = {name: count for name, count in (sample.totals.get("violations_by_invariant") or {}).items() if count}
    for name, count in broken.items():
        found.append(f"invariant {text.printable(name)} broken {text.number(count)} {text.plural(count, 'time')}")
    for part, why in sample.failed.items():
        found.append(f"{part}: {text.printable(why)}")
    counts = (
        (health.get("ring_lost"), "event", "lost"),
        (health.get("map_full"), "count", "lost: a BPF map is full"),
        (sample.totals.get("promotions_failed"), "promotion", "failed"),
        (health.get("probes_missing"), "required probe", "missing"),
    )
    for count, what, how in counts:
        if count:
            found.append(f"{text.number(count)} {text.plural(count, what)} {how}")
    if notice:
        found.append(text.printable(notice))
    return found


def _wrong(sample: Sample, own_cpu: float | None, notice: str, room: int, palette: Palette) -> Line:
    health, wrong = sample.health, problems(sample, notice)
    cpu = f"{own_cpu:.1%}" if own_cpu is not None else _seconds(health.get("self_cpu_seconds"))
    numbers = [
        ("lost", text.number(health.get("ring_lost"))),
        ("full", text.number(health.get("map_full"))),
        ("missed", text.number(health.get("recursion_misses"))),
        ("ledger", text.number(health.get("ledger_residual"))),
        ("own CPU", cpu),
        ("RSS", text.size(health.get("self_rss_bytes"))),
    ]
    right = _labelled(numbers, palette)
    if not wrong:
        return spread([Segment("ok", palette.good)], right, room, palette.text)
    told = cut("! " + "; ".join(wrong), max(20, room - Segment.get_line_length(right) - 2))
    return spread([Segment(told, palette.bad)], right, room, palette.text)


def _seconds(value: float | None) -> str:
    return text.NULL if value is None else f"{value:.2f}s"


def _labelled(pairs: Sequence[tuple[str, str]], palette: Palette) -> Line:
    line: Line = []
    for label, value in pairs:
        line += [Segment(f"{'  ' if line else ''}{label} ", palette.dim), Segment(value, palette.text)]
    return line


def _fitting(parts: Iterable[Line], room: int) -> Line:
    """The first of the parts that fit, two blanks apart. A number is left out, never cut."""
    line: Line = []
    for part in parts:
        gap = [Segment("  ")] if line else []
        if Segment.get_line_length([*line, *gap, *part]) > room:
            break
        line += [*gap, *part]
    return line


def _vmas(sample: Sample, room: int, palette: Palette, glyphs: Glyphs) -> Line:
    census = sample.census
    parts = [
        [Segment("savable ", palette.dim), Segment(text.size(census.get("savable_bytes")), palette.cost)],
        [Segment("saved ", palette.dim), Segment(text.size(census.get("saved_bytes")), palette.good)],
        [Segment("VMAs ", palette.dim), Segment(text.number(census.get("vmas")), palette.strong)],
    ]
    counts = _states(sample)
    for state, count in counts.items():
        style = palette.state(state) if count else palette.dim
        shown = f"{text.number(count)}{glyphs.states[state]}"
        parts.append([Segment(f"{state} ", palette.dim), Segment(shown, style)])
    line = _fitting(parts, room)
    left = room - Segment.get_line_length(line) - 2
    if left >= _LEAST_BAR:
        known = {state: counts[state] or 0 for state in _BAR}
        line += [Segment("  "), *bar(known, min(left, 60), palette, glyphs)]
    return line


def _states(sample: Sample) -> dict[str, int | None]:
    census = sample.census
    vmas, anonymous = census.get("vmas"), census.get("vmas_anon")
    found = {state: census.get(f"vmas_{state}") for state in _STATES}
    found["plain"] = None if vmas is None or anonymous is None else vmas - anonymous
    return found


def bar(counts: dict[str, int], room: int, palette: Palette, glyphs: Glyphs) -> Line:
    """VMAs by state as parts of a whole; a state that there is has a letter at least."""
    total = sum(counts.values())
    if not total or room < len(counts):
        return []
    lengths = {state: max(1, round(count * room / total)) if count else 0 for state, count in counts.items()}
    largest = max(lengths, key=lambda state: lengths[state])
    lengths[largest] += room - sum(lengths.values())
    return [
        Segment(glyphs.states[state] * length, palette.state(state)) for state, length in lengths.items() if length > 0
    ]


def _slabs(slabs: Sequence[Slab], room: int, palette: Palette) -> Line:
    parts: list[Line] = [[Segment("slabs", palette.dim)]]
    for slab in slabs:
        known = slab.objects_active is not None and slab.object_bytes is not None
        total = (slab.objects_active or 0) * (slab.object_bytes or 0) if known else None
        mark = "*" if slab.merged_with else ""
        parts.append(
            [
                Segment(f"{text.printable(slab.cache)} ", palette.dim),
                Segment(f"{text.number(slab.objects_active)} {text.size(total)}{mark}", palette.text),
            ]
        )
    note = [Segment("* shares its row with other caches: 5", palette.dim)]
    return spread(_fitting(parts, room), note if any(slab.merged_with for slab in slabs) else [], room, palette.text)


def _trends(screen_state: ScreenState, room: int, palette: Palette, glyphs: Glyphs) -> list[Line]:
    """Two lines of two, or one of four where there is room."""
    per_line = 4 if room >= 150 else 2
    each = (room - 2 * (per_line - 1)) // per_line
    cells = [_trend(screen_state, name, each, palette, glyphs) for name in TRENDS]
    found: list[Line] = []
    for begin in range(0, len(cells), per_line):
        line: Line = []
        for cell in cells[begin : begin + per_line]:
            line += [Segment("  "), *cell] if line else cell
        found.append(line)
    return found


def _trend(screen_state: ScreenState, name: str, room: int, palette: Palette, glyphs: Glyphs) -> Line:
    values = screen_state.trends.get(name, ())
    now = values[-1] if values else screen_state.sample.rates.get(name)
    label = f"{_TREND_NAMES[name]:10} {text.number(now):>7}/s "
    known = any(value is not None for value in values)
    if not known and f"totals.{name}" in screen_state.sample.null_reasons:
        why = text.printable(screen_state.sample.null_reasons[f"totals.{name}"])
        return [Segment(f"{_TREND_NAMES[name]:10} ", palette.dim), Segment(pad(f"- {why}", room - 11), palette.dim)]
    style: Style = palette.spark
    return [Segment(label, palette.text), Segment(spark(values, max(0, room - len(label)), glyphs.spark), style)]


def tabs(names: Sequence[str], chosen: str, right: str, room: int, palette: Palette) -> Line:
    """``1 processes  2 forks ...``; ``right`` is told at the end, the tabs shrink to their numbers for it."""
    for length in (99, 6, 0):
        line: Line = []
        for number, name in enumerate(names, 1):
            # The chosen one keeps its name: it is the page's title.
            shown = f" {number} {name if name == chosen else name[:length]}".rstrip() + " "
            line.append(Segment(shown, palette.tab_chosen if name == chosen else palette.tab))
        if Segment.get_line_length(line) + len(right) + 1 <= room:
            break
    return spread(line, [Segment(right, palette.dim)], room, palette.text)


def footer(keys: Sequence[tuple[str, str]], room: int, palette: Palette) -> Line:
    """``q quit  h help ...``, as many as fit."""
    return _fitting(([Segment(key, palette.key), Segment(f" {what}", palette.dim)] for key, what in keys), room)


def message(told: str, room: int, palette: Palette, bad: bool = False) -> Line:
    return words([(cut(text.printable(told), room), palette.bad if bad else palette.strong)])
