# SPDX-License-Identifier: MIT
"""The keys, as the help page and the last line tell them."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs.screen.line import Line, cut
from lazyobs.screen.palette import Palette

FOOTER = (
    ("q", "quit"), ("h", "help"), ("1-6", "views"), ("Enter", "process"), ("s", "sort"), ("r", "reverse"),
    ("/", "search"), ("f", "columns"), ("t", "tree"), ("c", "cgroups"), ("Space", "freeze"), ("[ ]", "time"),
    ("d", "delay"), ("p", "pids"), ("u", "user"), ("y", "copy"), ("< >", "sort column"),
)  # fmt: skip

HELP = (
    ("", "Views"),
    ("1 .. 6, Tab", "processes, forks, rmap, promotions, slabs, probes"),
    ("Enter", "one process: its VMAs by state, its events; a cgroup: fold or unfold"),
    ("Esc", "back; then: searches and filters off"),
    ("", "Table"),
    ("Up Down PgUp PgDn Home End", "move; the wheel and clicks do too"),
    ("Left Right", "columns that have no room"),
    ("s, < >, r", "sort: choose a column, the next one, the other way round; or click a heading"),
    ("f", "choose columns and their order"),
    ("/", "search in names, users, cgroups and pids"),
    ("p, u", "only these pids, only this user"),
    ("t, c", "as a tree, by cgroup; again: flat"),
    ("y", "copy the table to the clipboard of the terminal (OSC 52)"),
    ("", "Time"),
    ("Space", "freeze, and go on; in a recording: pause, and go on"),
    ("[ ]  { }", "one sample back or forward, ten"),
    ("d", "seconds between samples"),
    ("", "Program"),
    ("q, Ctrl-C", "end"),
    ("Ctrl-Z", "to the shell; fg comes back"),
    ("", "What it says"),
    ("savable", "what laziness would save: VMAs whose anon_vma serves no other VMA (private)"),
    ("saved", "what laziness saves now: lazy VMAs have no anon_vma"),
    ("-", "not known on this kernel, at this tier: view 6 says why. Never a zero"),
    ("!", "something is wrong; ok: nothing was seen"),
)


def lines(room: int, palette: Palette) -> list[Line]:
    """The help page."""
    left = 28 if room >= 76 else 14
    found: list[Line] = []
    for key, what in HELP:
        if not key:
            found += [[], [Segment(what, palette.strong)]] if found else [[Segment(what, palette.strong)]]
        else:
            found.append([Segment(f"  {cut(key, left):{left}}", palette.key), Segment(cut(what, max(0, room - left - 2)), palette.text)])  # fmt: skip
    return found
