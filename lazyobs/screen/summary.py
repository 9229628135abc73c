# SPDX-License-Identifier: MIT
"""The lines above every page: kernel, savings, problems, and recent rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style

from lazyobs import text
from lazyobs.model import VMA_STATE_NAMES, Sample, Slab, vmas_by_state
from lazyobs.screen import cost_lines
from lazyobs.screen.line import Line, cut, spark, spread, words
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.state import TRENDS, ScreenState
from lazyobs.sources import budget
from lazyobs.views import columns

_LAZY = {True: "lazy on", False: "lazy OFF", None: "no lazy switch"}
_STATES = (*VMA_STATE_NAMES[1:], VMA_STATE_NAMES[0])  # plain last: it matters least
_TREND_NAMES = {"prepares": "prepares", "forks": "forks", "promotions": "promotions", "rmap_walks": "walks"}
_LEAST_BAR = 16
_NEARLY_FULL = 0.8  # as the alert LazyobsMapNearlyFull has it


def height(rows: int) -> int:
    """Lines of the summary on a screen of ``rows`` lines."""
    return 7 if rows >= 36 else 6 if rows >= 20 else 4 if rows >= 14 else 2 if rows >= 9 else 1 if rows >= 4 else 0


def lines(
    screen_state: ScreenState,
    status: str,
    own_cpu: float | None,
    notice: str,
    width: int,
    rows: int,
    palette: Palette,
    glyphs: Glyphs,
) -> list[Line]:
    """At most ``rows`` lines; of few, the most important. ``own_cpu`` is a share of one CPU, None if unknown."""
    sample = screen_state.sample
    title = _title(sample, status, width, palette)
    health = _health(sample, own_cpu, notice, width, palette)
    vmas = _vmas(sample, width, palette, glyphs)
    held = cost_lines.held(sample, width, palette, glyphs)
    if rows <= 4:
        return [title, health, held, vmas][:rows]
    rates = _trends(screen_state, width, palette, glyphs)
    most = cost_lines.most(sample, width, palette) or _slabs(sample.slabs, width, palette)
    more = [_slabs(sample.slabs, width, palette)] if rows > 6 else []
    return [title, held, vmas, health, most, rates, *more][:rows]


def _title(sample: Sample, status: str, width: int, palette: Palette) -> Line:
    kernel = sample.kernel
    release = text.printable(kernel.release)
    room = max(0, width - len(status) - 2)
    lazy = _LAZY[kernel.lazy_enabled]
    left = f" lazyobs  {release}  profile {text.printable(kernel.profile)}  {lazy}  {' '.join(_tiers(sample))}"
    if len(left) > room:
        left = f" {release}  {text.printable(kernel.profile)}  {lazy} "
        for tier in _tiers(sample):  # whole ones, as many as fit
            if len(left) + len(tier) + 1 > room:
                break
            left += f" {tier}"
    left = cut(left, room)
    return spread([Segment(left, palette.title)], [Segment(status + " ", palette.title)], width, palette.title)


def _tiers(sample: Sample) -> list[str]:
    counts: dict[str, int] = {}
    for tier in sample.tiers.values():
        counts[tier or "none"] = counts.get(tier or "none", 0) + 1
    return [f"{tier}:{count}" for tier, count in counts.items()]


def problems(sample: Sample, notice: str = "") -> list[str]:
    """What is wrong, in words, worst first."""
    health, messages = sample.health, []
    broken = {name: count for name, count in (sample.totals.get("violations_by_invariant") or {}).items() if count}
    for name, count in broken.items():
        messages.append(f"invariant {text.printable(name)} broken {text.number(count)} {text.plural(count, 'time')}")
    for part, why in sample.failed.items():
        messages.append(f"{part}: {text.printable(why)}")
    counts = (
        (health.get("ring_lost"), "event", "lost"),
        (health.get("map_full"), "count", "lost: a BPF map is full"),
        (sample.totals.get("promotions_failed"), "promotion", "failed"),
        (health.get("probes_missing"), "required probe", "missing"),
    )
    for count, noun, state in counts:
        if count:
            messages.append(f"{text.number(count)} {text.plural(count, noun)} {state}")
    filled, room = health.get("process_map_entries"), health.get("process_map_capacity")
    if filled is not None and room and filled / room >= _NEARLY_FULL:
        messages.append(f"the map of processes is {filled / room:.0%} full")
    if shed := budget.shed_words(health):
        allowed = health.get("budget_share")
        messages.append(f"shed for budget {budget.percent(allowed or 0.0)}: {', '.join(shed)}")
    if (floor := health.get("floor_share")) is not None:
        messages.append(f"over budget: empty programs alone would take {budget.percent(floor)}")
    if notice:
        messages.append(text.printable(notice))
    return messages


def _health(sample: Sample, own_cpu: float | None, notice: str, width: int, palette: Palette) -> Line:
    health, messages = sample.health, problems(sample, notice)
    cpu = f"{own_cpu:.1%}" if own_cpu is not None else _seconds(health.get("self_cpu_seconds"))
    numbers = [
        ("lost", text.number(health.get("ring_lost"))),
        ("full", text.number(health.get("map_full"))),
        ("missed", text.number(health.get("recursion_misses"))),
        ("ledger", text.number(health.get("ledger_residual"))),
        ("own CPU", cpu),
        *([("BPF", budget.percent(programs))] if (programs := health.get("bpf_share")) is not None else []),
        ("RSS", text.size(health.get("self_rss_bytes"))),
    ]
    right = _labelled(numbers, palette)
    if not messages:
        return spread([Segment("ok", palette.good)], right, width, palette.text)
    left = cut("! " + "; ".join(messages), max(20, width - Segment.get_line_length(right) - 2))
    return spread([Segment(left, palette.bad)], right, width, palette.text)


def _seconds(value: float | None) -> str:
    return text.NULL if value is None else f"{value:.2f}s"


def _labelled(pairs: Sequence[tuple[str, str]], palette: Palette) -> Line:
    line: Line = []
    for label, value in pairs:
        line += [Segment(f"{'  ' if line else ''}{label} ", palette.dim), Segment(value, palette.text)]
    return line


def _fit(parts: Iterable[Line], width: int) -> Line:
    """As many parts from the first as fit, two blanks apart. A number is left out, never cut."""
    line: Line = []
    for part in parts:
        gap = [Segment("  ")] if line else []
        if Segment.get_line_length([*line, *gap, *part]) > width:
            break
        line += [*gap, *part]
    return line


def _vmas(sample: Sample, width: int, palette: Palette, glyphs: Glyphs) -> Line:
    census, saved = sample.census, sample.census.get("saved_bytes")
    parts = [
        [Segment("savable ", palette.dim), Segment(columns.savable(census), palette.cost)],
        *([[Segment("saved ", palette.dim), Segment(text.size(saved), palette.good)]] if saved else []),
        [Segment("VMAs ", palette.dim), Segment(text.number(census.get("vmas")), palette.strong)],
    ]
    counts = vmas_by_state(census)
    for state in _STATES:
        count = counts[state]
        if state == "lazy" and not count and sample.kernel.lazy_enabled is None:
            continue  # this kernel has none
        style = palette.state(state) if count else palette.dim
        shown = f"{text.number(count)}{glyphs.states[state]}"
        parts.append([Segment(f"{state} ", palette.dim), Segment(shown, style)])
    line = _fit(parts, width)
    left = width - Segment.get_line_length(line) - 2
    if left >= _LEAST_BAR:
        known = {state: count or 0 for state, count in counts.items()}
        line += [Segment("  "), *bar(known, min(left, 60), palette, glyphs)]
    return line


def bar(counts: dict[str, int], width: int, palette: Palette, glyphs: Glyphs) -> Line:
    """VMAs by state as parts of a bar; a state with any VMA gets at least one glyph."""
    total = sum(counts.values())
    if not total or width < len(counts):
        return []
    lengths = {state: max(1, round(count * width / total)) if count else 0 for state, count in counts.items()}
    largest = max(lengths, key=lambda state: lengths[state])
    lengths[largest] += width - sum(lengths.values())
    return [
        Segment(glyphs.states[state] * length, palette.state(state)) for state, length in lengths.items() if length > 0
    ]


def _slabs(slabs: Sequence[Slab], width: int, palette: Palette) -> Line:
    parts: list[Line] = [[Segment("slabs", palette.dim)]]
    for slab in slabs:
        known = slab.objects_active is not None and slab.object_bytes is not None
        total = (slab.objects_active or 0) * (slab.object_bytes or 0) if known else None
        mark = "*" if slab.merged_with else ""
        parts.append(
            [
                Segment(f"{text.printable(slab.cache)} ", palette.dim),
                Segment(
                    f"{text.at_most(slab.objects_active, slab.objects_free_at_most)} {text.size(total)}{mark}",
                    palette.text,
                ),
            ]
        )
    note = [Segment("* merged with other caches: view 5", palette.dim)]
    return spread(_fit(parts, width), note if any(slab.merged_with for slab in slabs) else [], width, palette.text)


def _trends(screen_state: ScreenState, width: int, palette: Palette, glyphs: Glyphs) -> Line:
    """One line of two rates, or of four on a wide screen. A rate that this kernel does not give has no place there: the
    page that would show it says why."""
    known = [name for name in _trend_order(screen_state.sample) if _is_known(screen_state, name)]
    shown = known[: 4 if width >= 150 else 2]
    if not shown:
        why = screen_state.sample.null_reasons.get("totals")
        return [Segment(cut(f"no rates: {text.printable(why)}", width), palette.dim)] if why else []
    each = (width - 2 * (len(shown) - 1)) // len(shown)
    line: Line = []
    for name in shown:
        cell = _trend(screen_state, name, each, palette, glyphs)
        line += [Segment("  "), *cell] if line else cell
    return line


def _trend_order(sample: Sample) -> Sequence[str]:
    """What a person looks for first: on a lazy kernel promotions."""
    return ("prepares", "promotions", "forks", "rmap_walks") if sample.kernel.lazy_enabled else TRENDS


def _is_known(screen_state: ScreenState, name: str) -> bool:
    reasons = screen_state.sample.null_reasons
    if any(value is not None for value in screen_state.trends.get(name, ())):
        return True
    return f"totals.{name}" not in reasons and "totals" not in reasons


def _trend(screen_state: ScreenState, name: str, width: int, palette: Palette, glyphs: Glyphs) -> Line:
    values = screen_state.trends.get(name, ())
    now = values[-1] if values else screen_state.sample.rates.get(name)
    label = f"{_TREND_NAMES[name]} {text.number(now)}/s "
    style: Style = palette.spark
    return [Segment(label, palette.text), Segment(spark(values, max(0, width - len(label)), glyphs.spark), style)]


def tabs(names: Sequence[str], chosen: str, right: str, width: int, palette: Palette) -> Line:
    """``1 processes  2 forks ...``, and ``right`` aligned to the right; names are cut to make it fit."""
    for length in (99, 6, 0):
        line: Line = []
        for number, name in enumerate(names, 1):
            # The chosen tab keeps its name: it is the title of the page.
            shown = f" {number} {name if name == chosen else name[:length]}".rstrip() + " "
            line.append(Segment(shown, palette.tab_chosen if name == chosen else palette.tab))
        if Segment.get_line_length(line) + len(right) + 1 <= width:
            break
    return spread(line, [Segment(right, palette.dim)], width, palette.text)


def message(sentence: str, width: int, palette: Palette, is_error: bool = False) -> Line:
    return words([(cut(text.printable(sentence), width), palette.bad if is_error else palette.strong)])
