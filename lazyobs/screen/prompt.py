# SPDX-License-Identifier: MIT
"""The input line that replaces the keys: a search, PIDs, a user, the delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rich.segment import Segment

from lazyobs import text
from lazyobs.model import LEAST_INTERVAL, MOST_INTERVAL
from lazyobs.screen.line import Line, cut
from lazyobs.screen.palette import Palette
from lazyobs.screen.process_table import ProcessTable
from lazyobs.screen.timeline import Clock

_MOST_TYPED = 200


class Prompt:
    """``accept`` gets the text on Enter, or on every key if ``live``, and returns an error message or None."""

    def __init__(self, label: str, typed: str, accept: Callable[[str], str | None], live: bool = False) -> None:
        self.label, self.typed = label, typed
        self.done = False
        self.error = ""
        self._accept, self._live, self._before = accept, live, typed

    def press(self, key: str, character: str | None) -> None:
        if key == "escape":
            self.done = True
            if self._live:
                self._accept(self._before)
            return
        if key == "enter":
            self.done = True
            self.error = self._accept(self.typed) or ""
            return
        if key in ("backspace", "ctrl+h"):
            self.typed = self.typed[:-1]
        elif key == "ctrl+u":
            self.typed = ""
        elif character and character.isprintable() and len(self.typed) < _MOST_TYPED:
            self.typed += character
        if self._live:
            self._accept(self.typed)

    def line(self, width: int, palette: Palette) -> Line:
        shown = cut(f"{self.label} {text.printable(self.typed)}", width - 1)
        return [Segment(shown, palette.strong), Segment(" ", palette.cursor)]


def search(table: ProcessTable) -> Prompt:
    def accept(typed: str) -> None:
        table.filter = replace(table.filter, words=typed)

    return Prompt("search:", table.filter.words, accept, live=True)


def pids(table: ProcessTable) -> Prompt:
    def accept(typed: str) -> str | None:
        try:
            wanted = tuple(int(part) for part in typed.replace(",", " ").split())
        except ValueError:
            return f"{typed} is not a list of PIDs: use 1234,5678"
        table.filter = replace(table.filter, pids=wanted)
        return None

    return Prompt("only PIDs (empty: all):", ",".join(map(str, table.filter.pids)), accept)


def user(table: ProcessTable) -> Prompt:
    def accept(typed: str) -> None:
        table.filter = replace(table.filter, user=typed.strip() or None)

    return Prompt("only user (empty: all):", table.filter.user or "", accept)


def delay(clock: Clock) -> Prompt:
    def accept(typed: str) -> str | None:
        try:
            seconds = float(typed)
        except ValueError:
            seconds = 0.0
        if not LEAST_INTERVAL <= seconds <= MOST_INTERVAL:
            return f"{typed} is not a delay: use {LEAST_INTERVAL:g} to {MOST_INTERVAL:g} seconds"
        clock.set_delay(seconds)
        return None

    return Prompt("seconds between samples:", f"{clock.delay:g}", accept)
