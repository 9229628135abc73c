# SPDX-License-Identifier: MIT
"""Runs in the guest: the parts of forks, copies on write and first faults under lazyobs, and the kernel's own counts.

Steps of observe.py. Every probe point is attached, also those that are left out otherwise.
"""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

from driven import Program, Watch

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.optional import ALSO
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.kernel.symbols import Symbols
from lazyobs.model import COW_PAGES, HOLD_PATHS
from lazyobs.sources.open import open_live
from lazyobs.sources.source import Source

FORKS = 23
TRIES = 7
#: 6 of 15 families had a wait with both stacks, others none at all.
FAMILIES = 101
PAGES, COPIED = 211, 101


def open_all(tier: str) -> Source:
    with mock.patch.dict(os.environ, {ALSO: "all"}):
        return open_live(cap=tier, keep_root=True).source


def fork_parts(source: Source, program: Path, islands: int) -> dict[str, Any]:
    """How many forks the histograms gained, beside the counter; and the parts of the slowest fork of the program."""
    parent = Program(program, islands)
    parent.tell("touch")
    before = source.read()
    for _ in range(FORKS):
        parent.tell("fork", "reap")
    sample = source.read()
    found: dict[str, Any] = {"forks": sample.totals["copying_forks"] - before.totals["copying_forks"]}
    for name in ("fork_seconds", "fork_page_table_seconds"):
        at_first, now = before.histograms[name], sample.histograms[name]
        found[name] = None if at_first is None or now is None else now["count"] - at_first["count"]
    for _ in range(TRIES):  # another process can have a slower fork at the same time
        found["slow"] = [vars(fork) for fork in sample.slow_forks if fork.pid == parent.pid]
        if found["slow"]:
            break
        parent.tell("fork", "reap")
        sample = source.read()
    parent.end()
    return found


def minor_faults(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def copies(source: Source, program: Path) -> dict[str, Any]:
    """A child writes to some of the pages that a fork has shared, then the parent to all: what each command copied,
    and its minor faults as the kernel counts them."""
    parent = Program(program, PAGES)
    parent.tell("touch")
    pids = {"write": parent.pid, "child": int(parent.tell("fork"))}
    parent.tell("write 0", "child 0")
    found = {}
    for name, command in (("child", f"child {COPIED}"), ("again", f"child {COPIED}"), ("parent", f"write {PAGES}")):
        pid = pids[command.split()[0]]
        watch, faults = Watch(source, pid), minor_faults(pid)
        parent.tell(command)
        found[name] = {**watch.gained(), "faults": minor_faults(pid) - faults}
    before = source.read().histograms
    found["timed"] = sum((before[f"cow_seconds{{{page}}}"] or {})["count"] for page in COW_PAGES)
    found["copied"] = source.read().totals["cow_copies"]
    parent.tell("reap")
    parent.end()
    return found


def copies_of_a_huge_page(source: Source, program: Path) -> dict[str, Any]:
    """A child writes to some of its small pages, all but one of which have their anon_vma in the head."""
    parent = Program(program, PAGES, "huge")
    parent.tell("touch")
    child = int(parent.tell("fork"))
    parent.tell("child 0")
    smaps = Path(f"/proc/{parent.pid}/smaps").read_text()
    huge = [int(line.split()[1]) for line in smaps.splitlines() if line.startswith("AnonHugePages:")]
    watch, faults = Watch(source, child), minor_faults(child)
    parent.tell(f"child {COPIED}")
    found = {**watch.gained(), "faults": minor_faults(child) - faults, "huge": sum(huge)}
    parent.tell("reap")
    parent.end()
    return found


class GivenUp:
    """How often __vmf_anon_prepare() returned VM_FAULT_RETRY, by a kretprobe of tracefs."""

    _TRACING = Path("/sys/kernel/tracing")
    _EVENT = _TRACING / "events/anatomy/prepare"

    def __enter__(self) -> GivenUp:
        (self._TRACING / "kprobe_events").write_text("r:anatomy/prepare __vmf_anon_prepare ret=$retval:u32")
        (self._EVENT / "filter").write_text("ret & 0x400")
        (self._TRACING / "trace").write_text("")
        (self._EVENT / "enable").write_text("1")
        return self

    def count(self) -> int:
        lines = (self._TRACING / "trace").read_text().splitlines()
        return sum("__vmf_anon_prepare" in line for line in lines if not line.startswith("#"))

    def __exit__(self, *_: object) -> None:
        (self._EVENT / "enable").write_text("0")
        (self._TRACING / "kprobe_events").write_text("")


def first_faults(source: Source, program: Path, islands: int) -> dict[str, Any]:
    """A thread touches islands while another holds mmap_lock most of the time."""
    contested = Program(program, islands)
    before, watch = source.read().histograms["first_fault_seconds"], Watch(source, contested.pid)
    with GivenUp() as given_up:
        contested.tell("contest")
        found = {**watch.gained(), "given_up": given_up.count()}
    after = source.read().histograms["first_fault_seconds"]
    contested.end()
    return {**found, "timed": after["count"] - before["count"], "seconds": after["sum"] - before["sum"]}  # type: ignore[index]


def holds(source: Source, program: Path, islands: int) -> dict[str, Any]:
    """A fork and the end of its child: how often the lock was held, beside the copies of VMAs that were begun, and
    the VMAs with an anon_vma that the child has."""

    def held() -> dict[str, int]:
        found = source.read().histograms
        return {path: (found[f"lock_hold_seconds{{{path}}}"] or {})["count"] for path in HOLD_PATHS}

    parent = Program(program, islands)
    parent.tell("touch")
    first, watch = held(), Watch(source, parent.pid)
    child = int(parent.tell("fork"))
    forked, gained = held(), watch.gained()
    in_child = Watch(source, child).gained()["census"]["vmas_anon"]
    parent.tell("reap")
    reaped = held()
    parent.end()
    return {
        "fork": {path: forked[path] - first[path] for path in HOLD_PATHS},
        "exit": {path: reaped[path] - forked[path] for path in HOLD_PATHS},
        "clones": gained["counts"]["clones"],
        "in_child": in_child,
    }


def stacks(tier: str, program: Path) -> list[dict[str, Any]]:
    """Waits of 0.1 ms and more of a family that forks all at once, with the stacks of both sides."""
    with mock.patch.dict(os.environ, {ALSO: "holds"}):
        source = open_live(cap=tier, keep_root=True, events=True).source
    trace = source.trace(EventFilter(kinds=("lock_wait",), min_us=100.0), False, Symbols.read())
    seen: list[TraceEvent] = []
    for _ in range(FAMILIES):
        family = subprocess.Popen([program, "211", "6", "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert family.stdin is not None and family.stdout is not None
        family.stdout.readline()
        family.stdin.write("\n")
        family.stdin.flush()
        while family.poll() is None and (found := trace.read(0.5)) is not None:
            seen += [event for event in found if event.comm == program.name]
            if select.select([family.stdout], [], [], 0)[0]:
                break
        family.communicate("\n")
        if any(event.holder_stack for event in seen):
            break
    source.close()
    return [
        {"pid": one.pid, "holder_pid": one.holder_pid, "path": one.holder_path,
         "waiter": one.waiter_stack, "holder": one.holder_stack}
        for one in seen if one.waiter_stack
    ]  # fmt: skip


def anatomy(tier: str, programs: Path, islands: int) -> dict[str, Any]:
    source = open_all(tier)
    found = {
        "tiers": dict(source.tiers),
        "forks": fork_parts(source, programs / "islands", islands),
        "copies": copies(source, programs / "copier"),
        "holds": holds(source, programs / "islands", islands),
        "first faults": first_faults(source, programs / "contested", islands),
        "huge": copies_of_a_huge_page(source, programs / "copier"),
    }
    source.close()
    return {**found, "stacks": stacks(tier, programs / "contend")}
