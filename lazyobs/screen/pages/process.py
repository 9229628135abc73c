# SPDX-License-Identifier: MIT
"""The page of one process: its VMAs by state, its counters, its trace events, each of its VMAs."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs import text
from lazyobs.bpf.census import VmaRow
from lazyobs.model import VMA_STATES, Process, vmas_by_state
from lazyobs.screen.line import pad
from lazyobs.screen.local_time import local_time
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page, percent
from lazyobs.views import columns

_MOST_EVENTS = 12
_MOST_VMAS = 4000
_MOST_MAP_LINES = 8
_COUNTER_WIDTH = 40
# The characters of /proc/PID/maps for include/linux/mm.h: VM_READ, VM_WRITE, VM_EXEC, VM_SHARED
_PERMISSIONS = ((1, "r"), (2, "w"), (4, "x"))
_VM_SHARED = 8


def draw(page: Page, process: Process | None, pid: int) -> None:
    """``process`` is None where the sample does not have it."""
    palette = page.palette
    if process is None:
        page.paragraph(f"Process {pid} is not in this sample: it has exited, or had not started. Esc goes back.", palette.strong)  # fmt: skip
        page.blank()
        latest_events(page, "Its events, latest first", lambda event: event.pid == pid)
        return
    started = local_time(process.start_time, "%Y-%m-%d %H:%M:%S")
    page.paragraph(f"{pid}  {text.printable(process.comm)}  user {text.printable(process.user)}  since {started}", palette.strong)  # fmt: skip
    page.paragraph(f"cgroup {text.printable(process.cgroup or text.NULL)}", palette.dim)
    page.blank()
    _states(page, process)
    page.blank()
    _counters(page, process)
    page.blank()
    latest_events(page, "Its events, latest first", lambda event: event.pid == pid, _MOST_EVENTS)
    page.blank()
    _vmas(page, pid)


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


def _vmas(page: Page, pid: int) -> None:
    extras, palette = page.screen_state.extras, page.palette
    if extras.vmas is None or extras.vmas_of != pid:
        page.paragraph(f"Each VMA: {extras.why_not.get('vmas', 'comes with the next sample')}", palette.dim)
        return
    page.paragraph("VMAs by address:", palette.strong)
    _vma_map(page, extras.vmas)
    page.heading([("START", 14), ("END", 14), ("SIZE", 7), ("FLAGS", -5), ("STATE", -8)])
    for vma in extras.vmas[:_MOST_VMAS]:
        page.row(
            [
                (f"{vma.start:x}", 14, palette.dim),
                (f"{vma.end:x}", 14, palette.dim),
                (text.size(vma.end - vma.start), 7, palette.text),
                (_permissions(vma.flags), -5, palette.text),
                (vma.state, -8, palette.state(vma.state)),
            ]
        )
    if len(extras.vmas) > _MOST_VMAS:
        page.paragraph(f"and {len(extras.vmas) - _MOST_VMAS} more: lazyobs census -p {pid} --vmas", palette.dim)


def _vma_map(page: Page, vmas: list[VmaRow]) -> None:
    """One glyph per VMA, over a few lines at most."""
    width = max(1, page.width)
    for begin in range(0, min(len(vmas), width * _MOST_MAP_LINES), width):
        line = vmas[begin : begin + width]
        page.lines.append([Segment(page.glyphs.states[vma.state], page.palette.state(vma.state)) for vma in line])


def _permissions(flags: int) -> str:
    """As in /proc/PID/maps."""
    access = "".join(character if flags & bit else "-" for bit, character in _PERMISSIONS)
    return access + ("s" if flags & _VM_SHARED else "p")
