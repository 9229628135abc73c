# SPDX-License-Identifier: MIT
"""What a scenario has at hand in its process: memory, children, threads, facts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from lazyobs.selftest import family
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.threads import Threads

Body = Callable[["Stage"], Iterator[None]]  # what a child does, a part at a time


def writes(addresses: list[int] | None = None) -> Body:
    """Body of a child that holds what it inherited, and writes the pages (all that it has) in its second part."""

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.memory.fill(list(inside.memory.pages) if addresses is None else addresses)
        yield

    return body


class Skip(Exception):
    """The scenario cannot be brought about here; the message says why."""


class Stage:
    """``settings`` are what the features of the scenario were set up with ("swap": ...)."""

    def __init__(self, seed: int, settings: dict[str, Any]) -> None:
        # The seed moves the marks in the pages; 0x4000 marks are far more than a scenario writes.
        self.memory = Memory(1 + seed % 0x3FFF)
        self.settings = settings
        self.children: list[family.Child[Stage]] = []
        self.facts: dict[str, int] = {}
        self.notes: list[str] = []
        self.cpus = os.sched_getaffinity(0)

    def fork(self, body: Body, name: str = "child") -> family.Child[Stage]:
        return family.Child(self, body, name)

    def threads(self, count: int) -> Threads:
        """Threads that wait for work. To be made in a set-up step: each has a stack of its own."""
        return Threads(count)

    def use_all_cpus(self) -> None:
        """Threads and children race from here on; until then the scenario keeps to one CPU."""
        os.sched_setaffinity(0, self.cpus)

    def fact(self, **values: int) -> None:
        """States what the step must have brought about."""
        self.facts.update(values)

    def note(self, text: str) -> None:
        """A line for whoever reads a failure."""
        self.notes.append(text)

    def pids(self) -> list[int]:
        """This process and every living one below it."""
        found = [os.getpid()]
        for child in self.children:
            found += [child.pid, *child.descendants]
        return found

    @staticmethod
    def wait_until(true: Callable[[], bool], seconds: float = 20.0, pause: float = 0.002) -> bool:
        """False when it does not become true in time."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
        return True
