# SPDX-License-Identifier: MIT
"""Scenarios: each has a name, needed kernel features, steps with expectations, and the code that runs them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lazyobs.selftest.expectations import NOTHING, Expect

if TYPE_CHECKING:
    from lazyobs.selftest.stage import Stage

Run = Callable[["Stage"], Iterator[None]]


@dataclass(frozen=True)
class Step:
    """One part of a scenario, up to its next ``yield``.

    ``judged`` False: preparation; its events are not checked. ``content`` False: do not check pages after
    this step, because reading them would disturb the next one. ``except_for``: events that depend on
    timing and are not checked. ``actors``: kernel threads whose events count as the scenario's.
    """

    name: str
    expect: Expect = NOTHING
    judged: bool = True
    content: bool = True
    except_for: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()


SET_UP = Step("set-up", judged=False)


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    run: Run
    module: str


_found: dict[str, Scenario] = {}


def scenario(*steps: Step, needs: tuple[str, ...] = ()) -> Callable[[Run], Run]:
    """Registers the decorated function as a scenario under its name; --list shows its docstring's first line.

    The function yields once at the end of every step.
    """

    def declare(run: Run) -> Run:
        about = (run.__doc__ or "").strip().splitlines()[0].rstrip(".")
        name = getattr(run, "__name__", "")
        if name in _found:
            raise ValueError(f"two scenarios named {name}")
        if len({step.name for step in steps}) < len(steps):
            raise ValueError(f"{name} has two steps with the same name")
        _found[name] = Scenario(name, about, needs, steps, run, run.__module__)
        return run

    return declare


# In execution order: basic paths come before those that build on them.
MODULES = (
    "control",
    "fault",
    "fork",
    "clone",
    "munmap",
    "mprotect",
    "mremap",
    "merge",
    "grow",
    "file",
    "advice",
    "swap",
    "reclaimed",
    "thp",
    "mthp",
    "ksm",
    "migration",
    "memory_failure",
    "userfault",
    "pinned",
    "remote",
    "exits",
    "races",
)


def load(modules: tuple[str, ...] = MODULES) -> dict[str, Scenario]:
    """All scenarios, by name. ValueError if MODULES does not match the scenario files."""
    package = importlib.import_module("lazyobs.selftest.scenarios")
    there = {module.name for module in pkgutil.iter_modules(package.__path__)}
    if there != set(MODULES):
        raise ValueError(f"scenario files and MODULES differ: {', '.join(sorted(there ^ set(MODULES)))}")
    for module in modules:
        importlib.import_module(f"lazyobs.selftest.scenarios.{module}")
    return dict(_found)
