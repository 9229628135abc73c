# SPDX-License-Identifier: MIT
"""What a shell can complete: the values that options and arguments take.

A completer takes (context, parameter, the beginning that was typed) and returns what it can become.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

import click

from lazyobs import shipped

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM, VARIABLE = "lazyobs", "_LAZYOBS_COMPLETE"  # in the environment: the question of a shell
Completer = Callable[[click.Context, click.Parameter, str], Union[list["CompletionItem"], list[str]]]
_CGROUPS = Path("/sys/fs/cgroup")


def answer(command: click.Command) -> bool:
    """Answers the shell's question in the environment. False for a question that click does not know."""
    from click.shell_completion import shell_complete

    return shell_complete(command, {}, PROGRAM, VARIABLE, os.environ[VARIABLE]) == 0


def script(shell: str, command: click.Command) -> str:
    """What makes a shell ask: click's own script."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    return found(command, {}, PROGRAM, VARIABLE).source()


def _item(value: str, **more: str) -> CompletionItem:
    from click.shell_completion import CompletionItem  # needed by a shell that asks, and by nothing else

    return CompletionItem(value, **more)


def beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def one_of(names: Iterable[str]) -> Completer:
    return lambda _context, _parameter, incomplete: beginning(names, incomplete)


def list_of(names: Iterable[str]) -> Completer:
    """Names with commas between them: the last one is completed."""

    def found(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in beginning(names, last)]

    return found


def directories(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [_item(incomplete, type="dir")]


def recordings(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Directories, and the examples that come along."""
    named = [_item(name) for name in beginning(shipped.examples(), incomplete)]
    return [*named, _item(incomplete, type="dir")]


def users(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return beginning(sorted(entry.pw_name for entry in pwd.getpwall()), incomplete)


def pids(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Process ids, with the names of the processes."""
    before, comma, last = incomplete.rpartition(",")
    found = [name for name in os.listdir("/proc") if name.isdecimal() and name.startswith(last)]
    return [_item(before + comma + pid, help=_comm(pid)) for pid in sorted(found, key=int)]


def _comm(pid: str) -> str:
    try:
        text = Path("/proc", pid, "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in text.rstrip("\n"))


def cgroups(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Paths below the root of cgroup v2, one component further than what was typed."""
    above, _, last = incomplete.rpartition("/")
    try:
        found = sorted(entry.name for entry in os.scandir(_CGROUPS / above.strip("/")) if entry.is_dir())
    except OSError:
        return []
    return [f"{above}/{name}" for name in beginning(found, last)]
