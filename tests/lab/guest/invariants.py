# SPDX-License-Identifier: MIT
"""Runs in the guest: workloads that fork, promote and walk, with and without a fault of the kernel.

``invariants.py live TIER PROGRAMS``: violations by invariant, and the events, as one JSON object: first
of all workloads without a fault, then of one workload a fault. ``invariants.py break PROGRAMS``: the same faults
in turn, for whoever watches from outside.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driven import Program, swap_on

PROGRAMS = Path(sys.argv[-1])
FAULT = Path("/proc/sys/vm/anon_vma_lazy_fault")
ISLANDS, PAGES, CHILDREN = 23, 11, 3


def fork_twice(fault: Callable[[], None]) -> int:
    program = Program(PROGRAMS / "islands", ISLANDS)
    program.tell("touch", "fork")
    fault()
    program.tell("fork", "reap", "reap")
    program.end()
    return program.pid


def fork_once(fault: Callable[[], None]) -> int:
    program = Program(PROGRAMS / "islands", ISLANDS)
    program.tell("touch")
    fault()
    program.tell("fork", "reap")
    program.end()
    return program.pid


def move_shared(fault: Callable[[], None]) -> int:
    program = Program(PROGRAMS / "walks", PAGES)
    program.tell("touch", *["fork"] * CHILDREN, "move 1")
    fault()
    program.tell("move 0")
    program.end()
    return program.pid


def move_own(fault: Callable[[], None]) -> int:
    program = Program(PROGRAMS / "walks", PAGES)
    program.tell("touch", "move 1")
    fault()
    program.tell("move 0")
    program.end()
    return program.pid


# By the number that the kernel knows the fault by: the invariant it breaks, and what gives it the opportunity.
FAULTS: dict[int, tuple[str, Callable[[Callable[[], None]], int]]] = {
    1: ("promotion_once", fork_twice),
    2: ("promotion_cause", fork_once),
    3: ("walk_complete", move_shared),
    4: ("walk_visits", move_own),
    5: ("ledger", fork_once),
}


def inject(number: int) -> Callable[[], None]:
    def fault() -> None:
        FAULT.write_text(str(number))

    return fault


def everything() -> None:
    """Each way to promote and to walk, nothing broken."""
    swap_on()
    subprocess.run([PROGRAMS / "promote"], check=True, stdout=subprocess.DEVNULL)
    for workload in (fork_twice, fork_once, move_shared, move_own):
        workload(lambda: None)
    program = Program(PROGRAMS / "walks", 101)
    program.tell("touch", "pageout", "touch", "fork", "pageout", "touch", "reap")
    address = int(program.tell("huge"), 16)
    Path("/sys/kernel/debug/split_huge_pages").write_text(f"{program.pid},{address:#x},{address + (2 << 20):#x}")
    program.end()
    Path("/proc/sys/vm/compact_memory").write_text("1")


def live(tier: str) -> dict[str, Any]:
    from lazyobs.bpf.event_filter import EventFilter
    from lazyobs.sources.open import open_live

    source = open_live(cap=tier, keep_root=True, events=True).source
    trace_events = source.trace(EventFilter(("violation",)), splats=False)
    found: dict[str, Any] = {"tiers": source.read().tiers}
    everything()
    totals = source.read().totals
    found["nothing broken"] = {
        "violations": totals["violations_by_invariant"],
        "promotions": totals["promotions_by_reason"],
        "walks": totals["rmap_walks_by_walker"],
        "events": len(trace_events.read(0)),
    }
    if FAULT.read_text().strip() == "0":  # else it stays: the negative control
        for number, (name, workload) in FAULTS.items():
            before = source.read().totals["violations_by_invariant"]
            pid = workload(inject(number))
            after = source.read()
            found[name] = {
                "left": FAULT.read_text().strip(),
                "violations": {
                    key: count - before[key]
                    for key, count in after.totals["violations_by_invariant"].items()
                    if count is not None and count != before[key]
                },
                "pid": pid,
                "events": [
                    {
                        key: value
                        for key, value in vars(one).items()
                        if key in ("kind", "detail", "pid", "objects", "bytes")
                    }
                    for one in trace_events.read(0)
                ],
            }
    sample = source.read()
    found["violations"], found["exited"] = sample.totals["violations"], sample.exited["violations"]
    found["health"] = sample.health
    trace_events.close()
    source.close()
    return found


def break_all() -> dict[str, Any]:
    time.sleep(3)  # barriers to compare with
    for number, (_, workload) in FAULTS.items():
        workload(inject(number))
        time.sleep(1)
    time.sleep(30)  # the ledger is judged at calm barriers over 20 s
    return {"left": FAULT.read_text().strip()}


print(json.dumps(live(sys.argv[2]) if sys.argv[1] == "live" else break_all()))
