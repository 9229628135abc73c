# SPDX-License-Identifier: MIT
"""The keys: what the last line and the help page say of them, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazyobs.screen.view import View

FOOTER = (
    ("q", "quit"), ("h", "help"), ("1-7", "views"), ("Enter", "process"), ("s", "sort"), ("r", "reverse"),
    ("/", "search"), ("f", "columns"), ("t", "tree"), ("c", "cgroups"), ("Space", "freeze"), ("[ ]", "time"),
    ("d", "delay"), ("p", "pids"), ("u", "user"), ("y", "copy"), ("< >", "sort column"),
)  # fmt: skip

FOOTER_OF_PROCESS = (
    ("Esc", "back"), ("q", "quit"), ("h", "help"), ("v", "VMAs"), ("s", "sort"), ("r", "reverse"), ("< >", "sort column"),
    ("Space", "freeze"), ("[ ]", "time"), ("d", "delay"), ("y", "copy"),
)  # fmt: skip

# {section: ((keys, what they do), ...)}
HELP = {
    "Views": (
        ("1 .. 7, Tab", "processes, forks, rmap, promotions, slabs, probes, locks"),
        ("Enter", "open a process: its VMAs and events; fold or unfold a cgroup"),
        ("v", "in a process: its VMAs by what they map, or one by one"),
        ("Esc", "go back; then clear search and filters"),
        ("mouse", "click a tab, a heading, a row (twice: Enter), a key of the last line"),
    ),
    "Table": (
        ("Up Down PgUp PgDn Home End", "move the cursor; the wheel and clicks do too"),
        ("Left Right", "scroll to columns that do not fit"),
        ("s, < >, r", "sort: choose a column, next column, reverse; or click a heading"),
        ("f", "choose columns and their order"),
        ("/", "search names, users, cgroups and PIDs"),
        ("p, u", "show only these PIDs, only this user"),
        ("t, c", "show as a tree, by cgroup; again for a flat list"),
        ("y", "copy the page to the terminal's clipboard (OSC 52)"),
    ),
    "Time": (
        ("Space", "freeze or continue; in a recording, pause or play"),
        ("[ ]  { }", "go back or forward one sample, ten samples"),
        ("d", "set the seconds between samples"),
    ),
    "Program": (
        ("q, Ctrl-C", "quit"),
        ("Ctrl-Z", "suspend; fg resumes"),
    ),
    "Legend": (
        ("savable", "what laziness would save: objects of VMAs that no fork has copied (lazyobs help savings)"),
        ("saved", "what laziness saves now: lazy VMAs have no anon_vma"),
        ("-", "unknown on this kernel or tier, never zero; view 6 says why"),
        ("!", "a problem; ok: none seen"),
    ),
}

_FAR = 1 << 30  # rows

# By Textual's name of the key, or by the character it types.
ACTIONS: dict[str, Callable[[View], None]] = {
    **dict.fromkeys(("q", "Q"), lambda view: view.end()),
    **dict.fromkeys(("h", "?", "f1"), lambda view: view.show_help()),
    "tab": lambda view: view.go_beside(1),
    "shift+tab": lambda view: view.go_beside(-1),
    "escape": lambda view: view.back_out(),
    "enter": lambda view: view.enter(),
    **dict.fromkeys(("up", "k"), lambda view: view.move(-1)),
    **dict.fromkeys(("down", "j"), lambda view: view.move(1)),
    "pageup": lambda view: view.move_half_screens(-1),
    "pagedown": lambda view: view.move_half_screens(1),
    **dict.fromkeys(("home", "g"), lambda view: view.move(-_FAR)),
    **dict.fromkeys(("end", "G"), lambda view: view.move(_FAR)),
    "left": lambda view: view.table.scroll_left(),
    "right": lambda view: view.table.scroll_right(),
    "s": lambda view: view.choose_sort(),
    "f": lambda view: view.choose_columns(),
    "<": lambda view: view.sort_beside(-1),
    ">": lambda view: view.sort_beside(1),
    **dict.fromkeys(("r", "R"), lambda view: view.reverse()),
    "v": lambda view: view.toggle_mappings(),
    "t": lambda view: view.toggle_tree(),
    "c": lambda view: view.toggle_cgroups(),
    "/": lambda view: view.ask_search(),
    "p": lambda view: view.ask_pids(),
    "u": lambda view: view.ask_user(),
    "d": lambda view: view.ask_delay(),
    "y": lambda view: view.copy(),
    "space": lambda view: view.clock.freeze(),
    "[": lambda view: view.clock.step(-1),
    "]": lambda view: view.clock.step(1),
    "{": lambda view: view.clock.step(-10),
    "}": lambda view: view.clock.step(10),
}
