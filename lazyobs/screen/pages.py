# SPDX-License-Identifier: MIT
"""Pages that are lines from top to bottom: rmap, promotions, slabs, probes, one process, help."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style

from lazyobs import text
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import INVARIANTS, REASONS, WALKERS, Process, Sample
from lazyobs.screen import distribution, summary
from lazyobs.screen.line import Line, cut, heat, number, pad
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.state import ProgramRuns, ScreenState

_STRIP = 24
_LEAST_TEXT = 4
_LATEST = 200
_BAD_KINDS = ("promotion_failed", "violation")
_VMAS_LISTED = 4000
# /proc/PID/maps' letters from include/linux/mm.h: VM_READ, VM_WRITE, VM_EXEC, VM_SHARED
_PERMISSIONS = ((1, "r"), (2, "w"), (4, "x"))
_VM_SHARED = 8


class Writer:
    """Gathers lines. ``room`` is the width in columns."""

    def __init__(self, screen_state: ScreenState, room: int, palette: Palette, glyphs: Glyphs) -> None:
        self.screen_state, self.room, self.palette, self.glyphs = screen_state, room, palette, glyphs
        self.lines: list[Line] = []

    def say(self, told: str, style: Style | None = None) -> None:
        """A sentence, on as many lines as it takes; those after the first stand in a little."""
        for line in textwrap.wrap(told, max(self.room, 20), subsequent_indent="  ", break_on_hyphens=False) or [""]:
            self.lines.append([Segment(cut(line, self.room), style or self.palette.text)])

    def head(self, cells: Iterable[tuple[str, int]]) -> None:
        """Headings: (text, width); a negative width sets it to the left. What has no room is left out."""
        told = " ".join(pad(title, abs(width), width > 0) for title, width in self._with_room(cells))
        self.lines.append([Segment(pad(told, self.room), self.palette.heading)])

    def row(self, cells: Iterable[tuple[str, int, Style]]) -> None:
        """(text, width, style), as the headings."""
        line: Line = []
        for told, width, style in self._with_room(cells):
            shown = number(told, width) if width > 0 else pad(told, -width)
            line += [Segment(" "), Segment(shown, style)] if line else [Segment(shown, style)]
        self.lines.append(line)

    def _with_room(self, cells: Iterable[Any]) -> Iterator[Any]:
        """Those that fit, a blank between them; text may be cut, numbers may not."""
        left = self.room
        for told, width, *style in cells:
            if abs(width) > left:
                if width < 0 and left >= _LEAST_TEXT:
                    yield (told, -left, *style)
                return
            yield (told, width, *style)
            left -= abs(width) + 1

    def why_not(self, *names: str) -> None:
        """The reasons why those are null here, each once."""
        for told in dict.fromkeys(reasons(self.screen_state.sample, names)):
            self.say(told, self.palette.dim)

    def quiet(self, value: float | None) -> Style:
        return self.palette.text if value else self.palette.dim


def reasons(sample: Sample, names: Sequence[str]) -> list[str]:
    """ "name: why it is not known" for those of ``names`` (dotted, or the part before a dot) that are null."""
    found = []
    for name in names:
        for key in (name, name.split(".")[0]):
            if key in sample.null_reasons:
                found.append(f"- {text.printable(name)}: {text.printable(sample.null_reasons[key])}")
                break
    return found


def rmap(page: Writer) -> None:
    """Walks by walker: counts, VMAs a walk, percentiles, and where on the scale of time they lie."""
    sample, palette = page.screen_state.sample, page.palette
    walks, walk_rates = sample.totals.get("rmap_walks_by_walker"), sample.rates.get("rmap_walks_by_walker") or {}
    vmas = sample.totals.get("rmap_walk_vmas_by_walker")
    strip = max(_STRIP if page.room >= 120 else 0, 0)
    head = [("WALKER", -16), ("WALKS", 9), ("/s", 8), ("VMAS/WALK", 9), ("P50", 7), ("P90", 7), ("P99", 7), ("MAX", 7)]
    page.head([*head, *([("LATENCY 256ns to 1s", -strip)] if strip else [])])
    for walker in WALKERS:
        count = (walks or {}).get(walker)
        visited = (vmas or {}).get(walker)
        each = visited / count if count and visited is not None else None
        times = sample.histograms.get(f"rmap_walk_seconds{{{walker}}}")
        cells = [
            (walker, -16, palette.strong if count else palette.dim),
            (text.number(count), 9, page.quiet(count)),
            (text.number(walk_rates.get(walker)), 8, page.quiet(walk_rates.get(walker))),
            (text.number(each), 9, page.quiet(each)),
            *((text.seconds(distribution.quantile(times, q)), 7, page.quiet(count)) for q in (0.5, 0.9, 0.99, 1.0)),
        ]
        if strip:
            cells.append((heat(distribution.slots(times, 8, 8 + strip), page.glyphs.heat), -strip, palette.cost))
        page.row(cells)
    page.say("")
    if not strip:
        page.say("Latency of all walks, 256ns to 1s:", palette.dim)
        everything = distribution.added([sample.histograms.get(f"rmap_walk_seconds{{{one}}}") for one in WALKERS])
        page.say(heat(distribution.slots(everything, 8, 32), page.glyphs.heat) or text.NULL, palette.cost)
        page.say("")
    page.say("Percentiles are upper bounds: the scale doubles from slot to slot.", palette.dim)
    page.why_not("totals.rmap_walks", "totals.rmap_walk_vmas", "histograms.rmap_walk_seconds")
    page.say("")
    latest(page, lambda one: one.kind == "rmap_walk", "Slow walks (1 ms and longer), latest first")


def promotions(page: Writer) -> None:
    """Lazy VMAs made regular: by reason, how long it took, and the latest."""
    sample, palette = page.screen_state.sample, page.palette
    counts = sample.totals.get("promotions_by_reason")
    rates = sample.rates.get("promotions_by_reason") or {}
    total = sum((counts or {}).values())
    page.head([("REASON", -12), ("PROMOTIONS", 10), ("/s", 8), ("SHARE", 6), ("", -1)])
    for reason in REASONS:
        count = (counts or {}).get(reason)
        share = count / total if count is not None and total else None
        room = max(0, min(40, page.room - 42))
        line = page.glyphs.states["shared"] * max(1 if count else 0, round((share or 0) * room))
        page.row(
            [
                (reason, -12, palette.strong if count else palette.dim),
                (text.number(count), 10, page.quiet(count)),
                (text.number(rates.get(reason)), 8, page.quiet(rates.get(reason))),
                (f"{share:.0%}" if share is not None else text.NULL, 6, page.quiet(count)),
                (line, -room, palette.cost),
            ]
        )
    failed = sample.totals.get("promotions_failed")
    times = sample.histograms.get("promotion_seconds")
    page.say("")
    page.row(
        [
            ("failed", -12, palette.bad if failed else palette.text),
            (text.number(failed), 10, palette.bad if failed else palette.text),
        ]
    )
    page.say("time taken  " + _percentiles(times))
    page.why_not("totals.promotions", "totals.promotions_by_reason", "histograms.promotion_seconds")
    page.say("")
    latest(page, lambda one: one.kind.startswith("promotion"), "Latest first")


def fork_line(sample: Sample, palette: Palette, room: int) -> Line:
    """Below the heading of the page of forks: how long the anon_vma part of a fork takes."""
    told = f"anon_vma part of a fork  {_percentiles(sample.histograms.get('fork_seconds'))}"
    for reason in reasons(sample, ("histograms.fork_seconds",)):
        told = f"anon_vma part of a fork  {reason}"
    return [Segment(cut(told, room), palette.dim)]


def _percentiles(histogram: distribution.Histogram | None) -> str:
    if not histogram:
        return text.NULL
    parts = [(name, distribution.quantile(histogram, q)) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))]  # fmt: skip
    return (
        "  ".join(f"{name} {text.seconds(value)}" for name, value in parts) + f"  of {text.number(histogram['count'])}"
    )


def slabs(page: Writer) -> None:
    """The caches watched, and which share a row of slabinfo."""
    sample, palette = page.screen_state.sample, page.palette
    page.head([("CACHE", -18), ("ACTIVE", 10), ("OBJECTS", 10), ("USED", 5), ("EACH", 6), ("TOTAL", 8), ("SHARES ITS ROW WITH", -20)])  # fmt: skip
    for slab in sample.slabs:
        used = slab.objects_active / slab.objects if slab.objects and slab.objects_active is not None else None
        total = slab.objects * slab.object_bytes if slab.objects is not None and slab.object_bytes is not None else None
        page.row(
            [
                (text.printable(slab.cache), -18, palette.strong),
                (text.number(slab.objects_active), 10, palette.text),
                (text.number(slab.objects), 10, palette.text),
                (f"{used:.0%}" if used is not None else text.NULL, 5, palette.text),
                (text.number(slab.object_bytes), 6, palette.text),
                (text.size(total), 8, palette.text),
                (text.printable(", ".join(slab.merged_with)) or "nothing", -max(20, page.room - 64), palette.text),
            ]
        )
    page.say("")
    page.say(
        "A cache that shares its row is counted together with the others: the counters below are not.", palette.dim
    )
    page.say("slabinfo counts free objects on per-CPU slabs as active.", palette.dim)
    page.why_not("slabs")
    page.say("")
    page.head([("OBJECTS", -18), ("MADE", 10), ("/s", 8), ("FREED", 10), ("/s", 8), ("LIVE SINCE START", 16)])
    for name in ("anon_vma", "chain"):
        made, freed = sample.totals.get(f"{name}_allocs"), sample.totals.get(f"{name}_frees")
        change = made - freed if made is not None and freed is not None else None
        page.row(
            [
                ("anon_vma" if name == "anon_vma" else "anon_vma_chain", -18, palette.strong),
                (text.number(made), 10, page.quiet(made)),
                (text.number(sample.rates.get(f"{name}_allocs")), 8, palette.text),
                (text.number(freed), 10, page.quiet(freed)),
                (text.number(sample.rates.get(f"{name}_frees")), 8, palette.text),
                (text.number(change), 16, palette.text),
            ]
        )
    ledger = text.number(sample.health.get("ledger_residual"))
    page.say(
        f"ledger: slabinfo's change of anon_vma minus ours: {ledger}; it may wander, it must not grow", palette.dim
    )
    page.why_not("totals.anon_vma_allocs")


def probes(page: Writer) -> None:
    """Probe points: tier, runs, cost, misses; then everything that is not known here, and why."""
    sample, palette = page.screen_state.sample, page.palette
    programs = page.screen_state.extras.programs
    page.head([("PROBE POINT", -14), ("TIER", -11), ("RUNS", 10), ("NS/RUN", 7), ("MISSED", 7), ("", -1)])
    about = {point.name: point.about for point in POINTS}
    for point, tier in sample.tiers.items():
        runs, nanoseconds, missed = _sums([one for one in programs or () if one.point == point], programs is not None)
        page.row(
            [
                (text.printable(point), -14, palette.strong if tier else palette.dim),
                (text.printable(tier or "none"), -11, palette.good if tier else palette.dim),
                (text.number(runs), 10, palette.text),
                (text.number(round(nanoseconds / runs) if runs and nanoseconds is not None else None), 7, palette.text),
                (text.number(missed), 7, palette.text),
                (about.get(point, ""), -max(0, page.room - 55), palette.dim),
            ]
        )
    page.say("")
    for name in ("bpf_runs", "bpf_seconds"):
        value = sample.health.get(name)
        told = text.seconds(value) if name == "bpf_seconds" else text.number(value)
        page.say(f"{name.replace('_', ' '):12} {told} of all programs")
    if programs is None and "programs" in page.screen_state.extras.why_not:
        page.say(f"- programs: {page.screen_state.extras.why_not['programs']}", palette.dim)
    elif programs and not any(one.runs for one in programs):
        page.say("- runs and their cost: kernel.bpf_stats_enabled is 0 (sysctl kernel.bpf_stats_enabled=1 counts them)", palette.dim)  # fmt: skip
    wrong = summary.problems(sample)
    page.say("")
    page.say(
        "What is wrong: " + ("; ".join(wrong) if wrong else "nothing seen"), palette.bad if wrong else palette.text
    )
    page.say("")
    _invariants(page)
    page.say("")
    page.say("Not known here, and why:", palette.strong)
    for name, why in sample.null_reasons.items():
        page.say(f"  {text.printable(name):34} {text.printable(why)}", palette.text)
    if not sample.null_reasons:
        page.say("  nothing", palette.dim)


def _invariants(page: Writer) -> None:
    """How often each was seen broken, and when lately."""
    palette = page.palette
    counts = page.screen_state.sample.totals.get("violations_by_invariant") or {}
    page.head([("INVARIANT", -16), ("BROKEN", 8)])
    for name in INVARIANTS:
        count = counts.get(name)
        page.row(
            [
                (name, -16, palette.strong if count else palette.dim),
                (text.number(count), 8, palette.bad if count else palette.dim),
            ]
        )
    if any(one.kind == "violation" for one in page.screen_state.trace_events):
        latest(page, lambda one: one.kind == "violation", "Violations, latest first", 12)


def _sums(programs: Sequence[ProgramRuns], known: bool) -> tuple[int | None, int | None, int | None]:
    """(runs, ns, misses); the first two None while the kernel does not count them."""
    if not known or not programs:
        return None, None, None
    runs = sum(one.runs for one in programs)
    missed = sum(one.missed for one in programs)
    return (runs, sum(one.nanoseconds for one in programs), missed) if runs else (None, None, missed)


def process(page: Writer, found: Process | None, pid: int) -> None:
    """One process: counters, its VMAs by state and one by one, its events."""
    palette = page.palette
    if found is None:
        page.say(f"Process {pid} is not in this sample: it has ended, or had not begun. Esc goes back.", palette.strong)
        page.say("")
        latest(page, lambda one: one.pid == pid, "Its events, latest first")
        return
    page.say(f"{pid}  {text.printable(found.comm)}  user {text.printable(found.user)}  since {clock(found.start_time, '%Y-%m-%d %H:%M:%S')}", palette.strong)  # fmt: skip
    page.say(f"cgroup {text.printable(found.cgroup or text.NULL)}", palette.dim)
    page.say("")
    _states(page, found)
    page.say("")
    _counters(page, found)
    page.say("")
    latest(page, lambda one: one.pid == pid, "Its events, latest first", 12)
    page.say("")
    _vmas(page, pid)


def _states(page: Writer, found: Process) -> None:
    census, palette = found.census, page.palette
    vmas, anonymous = census.get("vmas"), census.get("vmas_anon")
    counts = {state: census.get(f"vmas_{state}") for state in ("plain", "lazy", "private", "shared")}
    counts["plain"] = vmas - anonymous if vmas is not None and anonymous is not None else None
    page.head([("VMAS", -10), ("COUNT", 8), ("SHARE", 6), ("", -1)])
    for state, count in counts.items():
        share = count / vmas if count is not None and vmas else None
        about = {
            "plain": "no anonymous pages yet: no anon_vma",
            "lazy": "anonymous, anon_vma put off",
            "private": "an anon_vma that serves this VMA only: would stay lazy",
            "shared": "an anon_vma that serves other VMAs too",
        }[state]
        page.row(
            [
                (f"{page.glyphs.states[state]} {state}", -10, palette.state(state)),
                (text.number(count), 8, page.quiet(count)),
                (f"{share:.0%}" if share is not None else text.NULL, 6, page.quiet(count)),
                (about, -max(0, page.room - 28), palette.dim),
            ]
        )
    page.say(f"savable {text.size(census.get('savable_bytes'))}  saved {text.size(census.get('saved_bytes'))}")
    page.why_not("processes.vmas_lazy", "census")


def _counters(page: Writer, found: Process) -> None:
    """Two or more counters a line: "name  total  rate"."""
    cells = []
    for name, count in found.counts.items():
        rate = found.rates.get(name)
        cells.append((f"{name.replace('_', ' '):18} {text.number(count):>8} {text.number(rate):>8}/s", count))
    each = 40
    per_line = max(1, page.room // each)
    for begin in range(0, len(cells), per_line):
        page.lines.append(
            [Segment(pad(told, each), page.quiet(count)) for told, count in cells[begin : begin + per_line]]
        )


def _vmas(page: Writer, pid: int) -> None:
    extras, palette = page.screen_state.extras, page.palette
    if extras.vmas is None or extras.vmas_of != pid:
        why = extras.why_not.get("vmas", "they come with the next sample")
        page.say(f"VMAs one by one: {why}", palette.dim)
        return
    page.say("VMAs in order of address:", palette.strong)
    room = max(1, page.room)
    for begin in range(0, min(len(extras.vmas), room * 8), room):
        page.lines.append(
            [
                Segment(page.glyphs.states[one.state], palette.state(one.state))
                for one in extras.vmas[begin : begin + room]
            ]
        )
    page.head([("START", 14), ("END", 14), ("SIZE", 7), ("FLAGS", -5), ("STATE", -8)])
    for one in extras.vmas[:_VMAS_LISTED]:
        page.row(
            [
                (f"{one.start:x}", 14, palette.dim),
                (f"{one.end:x}", 14, palette.dim),
                (text.size(one.end - one.start), 7, palette.text),
                (permissions(one.flags), -5, palette.text),
                (one.state, -8, palette.state(one.state)),
            ]
        )
    if len(extras.vmas) > _VMAS_LISTED:
        page.say(f"and {len(extras.vmas) - _VMAS_LISTED} more: lazyobs census -p {pid} --vmas", palette.dim)


def permissions(flags: int) -> str:
    """As in /proc/PID/maps."""
    return "".join(letter if flags & bit else "-" for bit, letter in _PERMISSIONS) + (
        "s" if flags & _VM_SHARED else "p"
    )


def latest(page: Writer, wanted: Callable[[TraceEvent], bool], title: str, most: int = _LATEST) -> None:
    """Events, the newest first."""
    palette = page.palette
    page.head([(title, -max(30, page.room))])
    page.head(
        [("TIME", -15), ("KIND", -16), ("DETAIL", -16), ("PID", 8), ("TOOK", 7), ("OBJECTS", 7), ("COMMAND", -15)]
    )
    count = 0
    for one in reversed(page.screen_state.trace_events):
        if not wanted(one):
            continue
        page.row(
            [
                (clock(one.time) + f"{one.time % 1:.6f}"[1:], -15, palette.dim),
                (one.kind, -16, palette.bad if one.kind in _BAD_KINDS else palette.text),
                (one.detail or "", -16, palette.text),
                (text.number(one.pid), 8, palette.text),
                (text.seconds(one.duration_seconds), 7, palette.text),
                (text.number(one.objects), 7, palette.text),
                (text.printable(one.comm or ""), -15, palette.text),
            ]
        )
        count += 1
        if count == most:
            return
    if not count:
        page.say("none seen", palette.dim)


def forks(page: Writer) -> None:
    latest(page, lambda one: one.kind == "fork", "Latest forks first", 50)


def clock(seconds: float, form: str = "%H:%M:%S") -> str:
    """Local time; a recording may hold a time that no calendar has."""
    try:
        return time.strftime(form, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return text.NULL
