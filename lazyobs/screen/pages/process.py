# SPDX-License-Identifier: MIT
"""The page of one process: what it holds, its VMAs by state and by what they map, its counters, its trace events."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment

from lazyobs import text
from lazyobs.bpf.census import VmaRow
from lazyobs.model import GROWING, VMA_STATES, Process, Sample, vmas_by_state
from lazyobs.screen import cost_lines
from lazyobs.screen.line import cut, pad
from lazyobs.screen.mapping_table import MappingTable
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page, percent
from lazyobs.views import columns
from lazyobs.views.local_time import local_time

_MOST_EVENTS = 12
_MOST_MAP_LINES = 8
_COUNTER_WIDTH = 40


def draw(page: Page, process: Process | None, pid: int, table: MappingTable) -> None:
    """``process`` is None where the sample does not have it."""
    palette = page.palette
    table.absent()
    if process is None:
        page.paragraph(f"Process {pid} is not in this sample: it has exited, or had not started. Esc goes back.", palette.strong)  # fmt: skip
        page.blank()
        latest_events(page, "Its events, latest first", lambda event: event.pid == pid)
        return
    started = local_time(process.start_time, "%Y-%m-%d %H:%M:%S")
    page.paragraph(f"{pid}  {text.printable(process.comm)}  user {text.printable(process.user)}  since {started}", palette.strong)  # fmt: skip
    if process.args:
        page.lines.append([Segment(cut(f"runs   {text.printable(process.args)}", page.width), palette.text)])
    page.lines.append([Segment(cut(f"cgroup {text.printable(process.cgroup or text.NULL)}", page.width), palette.dim)])
    page.paragraph(_held(page.screen_state.sample, process))
    if table.each:
        _vmas(page, process, table)
        return
    _states(page, process)
    page.blank()
    _vmas(page, process, table)
    page.blank()
    _counters(page, process)
    page.blank()
    latest_events(page, "Its events, latest first", lambda event: event.pid == pid, _MOST_EVENTS)


def _held(sample: Sample, process: Process) -> str:
    """``holds  32.1K: 211 chains, 207 anon_vmas; since the start +23 chains (4.6/min), +23 anon_vmas (4.6/min)``."""
    census, grown = process.census, process.growth
    if census.get("chains_held") is None:
        return (
            f"holds  not known: {text.printable(sample.null_reasons.get('census.chains_held', 'not in this sample'))}"
        )
    held = ", ".join(f"{text.number(census.get(name))} {_plain(name)}" for name in GROWING)
    room = cost_lines.held_bytes(census, cost_lines.object_bytes(sample))
    begin = f"holds  {held if room is None else f'{text.size(room)}: {held}'}"
    more = [_grown(name, grown) for name in GROWING if grown.get(f"{name}_growth")]
    return begin + (f"; since the start {', '.join(more)}" if more else "")


def _plain(name: str) -> str:
    return name.removesuffix("_held")


def _grown(name: str, growth: Mapping[str, float | None]) -> str:
    by = text.number(growth.get(f"{name}_per_minute"))
    return f"{columns.signed(growth[f'{name}_growth'])} {_plain(name)} ({by}/min)"


def _states(page: Page, process: Process) -> None:
    census, palette = process.census, page.palette
    vmas, counts = census.get("vmas"), vmas_by_state(census)
    page.heading([("VMAS", -10), ("COUNT", 8), ("SHARE", 6), ("", -1)])
    for state in VMA_STATES:
        count = counts[state.name]
        share = count / vmas if count is not None and vmas else None
        page.row(
            [
                (f"{page.glyphs.states[state.name]} {state.name}", -10, palette.state(state.name)),
                (text.number(count), 8, page.count_style(count)),
                (percent(share), 6, page.count_style(count)),
                (state.help, -max(0, page.width - 28), palette.dim),
            ]
        )
    page.paragraph(f"savable {columns.savable(census)}  saved {text.size(census.get('saved_bytes'))}")
    page.null_reasons("processes.vmas_lazy", "census")


def _counters(page: Page, process: Process) -> None:
    """As many counters on a line as fit, each as ``name  total  rate``."""
    cells = [
        Segment(
            pad(f"{name.replace('_', ' '):18} {text.number(count):>8} {text.number(process.rates.get(name)):>8}/s", _COUNTER_WIDTH),
            page.count_style(count),
        )
        for name, count in process.counts.items()
    ]  # fmt: skip
    per_line = max(1, page.width // _COUNTER_WIDTH)
    for begin in range(0, len(cells), per_line):
        page.lines.append(cells[begin : begin + per_line])


def _vmas(page: Page, process: Process, table: MappingTable) -> None:
    extras, palette = page.screen_state.extras, page.palette
    if extras.vmas is None or extras.vmas_of != process.pid:
        page.paragraph(f"Its VMAs: {extras.why_not.get('vmas', 'come with the next sample')}", palette.dim)
        return
    if table.each:
        _vma_map(page, extras.vmas)
    table.draw(page, (process.pid, process.start_time), extras.vmas, extras.vmas_time)


def _vma_map(page: Page, vmas: list[VmaRow]) -> None:
    """One glyph per VMA, by address, over a few lines at most."""
    width = max(1, page.width)
    for begin in range(0, min(len(vmas), width * _MOST_MAP_LINES), width):
        line = vmas[begin : begin + width]
        page.lines.append([Segment(page.glyphs.states[vma.state], page.palette.state(vma.state)) for vma in line])
