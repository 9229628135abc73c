# SPDX-License-Identifier: MIT
"""Runs in a guest: what lazyobs does on this kernel and userland, a JSON object a line on stdout for each part.

``tour.py PART,.. ISLANDS SCENARIOS``: ISLANDS is the compiled workload (tests/workloads/islands.c), SCENARIOS a pattern
for ``lazyobs selftest --only``, or "all". Nothing is judged here: lab/tour.py does that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from each_command import each, lazyobs, traced

from lazyobs.bpf.optional import ALSO
from lazyobs.bpf.program_info import verified_instructions
from lazyobs.bpf.session import COMPILE
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.syscalls import MREMAP_FIXED, MREMAP_MAYMOVE, PAGE, PROT_READ, mprotect, mremap
from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import open_live

PARTS, ISLANDS, SCENARIOS = sys.argv[1:4]
COUNTS = (23, 211, 5003)
FORKS = 2
# A point of a kernel function: its tier is the best one that the kernel offers.
FUNCTION_POINT = "anon_vma_fork"


def doctor() -> dict[str, Any]:
    """The kernel as doctor sees it, and the tier of each point, also of those that are attached on request only."""
    with every_point():
        found = json.loads(lazyobs("doctor", "-o", "json"))
    return {
        "kernel": found["kernel"],
        "tiers": {point["point"]: point["tier"] for point in found["points"]},
        "why_not": {point["point"]: point["why_not_better"] for point in found["points"] if point["why_not_better"]},
        "watched": [row["invariant"] for row in found["invariants"] if row["watched"]],
        "unknown": found["unknown"],
    }


class Workload:
    """A compiled program beside ISLANDS: a command a line, and an answer to each."""

    def __init__(self, count: int, name: str = Path(ISLANDS).name) -> None:
        command = [str(Path(ISLANDS).with_name(name)), str(count)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().decode().strip()
        if not answer:
            raise RuntimeError("the workload ended")
        return answer

    def tell(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        self._process.communicate()


def row_of(source: LiveSource, pid: int) -> Any:
    """The process in a sample that is read now."""
    return next(process for process in source.read().processes if process.pid == pid)


def count(source: LiveSource, islands: int) -> dict[str, dict[str, int | None]]:
    """{number: {"expected", "found"}} of ``islands`` VMAs that are touched, forked twice and unmapped.

    On a lazy kernel they are lazy until the first fork, which promotes all that are.
    """
    lazy = bool(source.kernel.lazy_enabled)
    program = Workload(islands)
    expected: dict[str, int | None] = {}
    found: dict[str, int | None] = {}

    def row() -> Any:
        return row_of(source, program.pid)

    def gained(before: Any, after: Any, name: str) -> int | None:
        old, new = before.counts[name], after.counts[name]
        return None if old is None or new is None else new - old

    before = row()
    program.tell("touch")
    touched = row()
    for name in ("prepares", "anon_vma_allocs", "chain_allocs"):
        expected[name], found[name] = 0 if lazy else islands, gained(before, touched, name)
    if lazy and touched.counts["lazy_prepares"] is not None:
        expected["lazy_prepares"], found["lazy_prepares"] = islands, gained(before, touched, "lazy_prepares")
    for _ in range(FORKS):
        program.tell("fork")
    forked = row()
    expected["forks"], found["forks"] = FORKS, gained(touched, forked, "forks")
    if forked.counts["clones"] is not None:  # this kernel says what they are for
        expected["clones"], found["clones"] = FORKS * touched.census["vmas_anon"], gained(touched, forked, "clones")
    if lazy and forked.counts["promotions"] is not None:
        expected["promotions"], found["promotions"] = touched.census["vmas_lazy"], gained(touched, forked, "promotions")
    expected["fork_chains"] = FORKS * touched.census["vmas_anon"]
    found["fork_chains"] = gained(touched, forked, "fork_chains")
    for _ in range(FORKS):
        program.tell("reap")
    reaped = row()
    program.tell("unmap")
    # What was promoted shares the anon_vma of its address space, and has a chain to it.
    freed = "chain_frees" if lazy else "anon_vma_frees"
    expected[freed], found[freed] = islands, gained(reaped, row(), freed)
    program.end()
    return {name: {"expected": expected[name], "found": found[name]} for name in expected}


def inherited(source: LiveSource, count: int = 211) -> dict[str, dict[str, int | None]]:
    """{number: {"expected", "found"}} of a fork whose child takes over that many anon_vmas (workloads/generations.c)."""
    family = subprocess.Popen([Path(ISLANDS).with_name("generations"), str(count)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    assert family.stdin is not None and family.stdout is not None
    pid = int(family.stdout.readline())

    before = row_of(source, pid)
    family.stdin.write(b"fork\n")
    family.stdin.flush()
    family.stdout.readline()
    after = row_of(source, pid).counts
    family.communicate()
    gained = {name: after[name] - before.counts[name] for name in ("fork_anon_vmas", "fork_anon_unused")}
    kept = gained["fork_anon_vmas"] - gained["fork_anon_unused"]
    made = after["anon_vma_allocs"] - before.counts["anon_vma_allocs"]
    return {
        "anon_vmas that a fork kept": {"expected": before.census["vmas_anon"] - count, "found": kept},
        "anon_vmas that a fork made": {"expected": made, "found": gained["fork_anon_vmas"]},
    }


def clones(source: LiveSource, count: int = 23) -> dict[str, dict[str, int | None]]:
    """{number: {"expected", "found"}} of VMAs of three pages, whose middle page mprotect() splits off, and whose first
    page then moves; {} where the kernel does not say what chains are copied for."""
    memory = Memory()
    islands, targets = memory.islands(count, 3), memory.islands(count)
    memory.fill(islands, 3)
    before = source.read().totals.get("clones_by_cause") or {}
    for island, target in zip(islands, targets):
        mprotect(island + PAGE, PAGE, PROT_READ)
        mremap(island, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
    after = source.read().totals.get("clones_by_cause") or {}
    expected = {"split": 2 * count, "mremap": count, "merge": 0, "fork": 0, "other": 0}
    return {
        f"clones for {cause}": {"expected": number, "found": after[cause] - before[cause]}
        for cause, number in expected.items()
        if after.get(cause) is not None
    }


@contextlib.contextmanager
def every_point() -> Iterator[None]:
    """Also those that are left out unless they are asked for."""
    os.environ[ALSO] = "all"
    try:
        yield
    finally:
        del os.environ[ALSO]


def on_request(source: LiveSource, count: int = 211, copied: int = 101) -> dict[str, dict[str, int | None]]:
    """{number: {"expected", "found"}} of the points that are left out otherwise; ends the source."""
    expected: dict[str, int] = {}
    found: dict[str, int | None] = {}

    program = Workload(count)
    before = row_of(source, program.pid).counts["first_faults"]
    program.tell("touch")
    if before is not None:  # do_anonymous_page() is a function of its own here
        expected["first_faults"], found["first_faults"] = (
            count,
            row_of(source, program.pid).counts["first_faults"] - before,
        )
    first = source.read()
    for _ in range(FORKS):
        program.tell("fork")
        program.tell("reap")
    program.end()
    last = source.read()
    name = "forks whose page tables were timed"
    expected[name], found[name] = (
        last.totals["copying_forks"] - first.totals["copying_forks"],
        timed(last) - timed(first),
    )
    program = Workload(count, "copier")
    program.tell("touch")
    child = int(program.tell("fork"))
    for settle in ("write 0", "child 0"):
        program.tell(settle)
    for who, pid, command in (("a child", child, f"child {copied}"), ("its parent", program.pid, f"write {count}")):
        before = row_of(source, pid).counts["cow_copies"]
        program.tell(command)
        expected[f"copies by {who}"] = copied if pid == child else count - copied
        found[f"copies by {who}"] = row_of(source, pid).counts["cow_copies"] - before
    program.tell("reap")
    program.end()
    source.close()
    return {name: {"expected": number, "found": found[name]} for name, number in expected.items()}


def timed(sample: Any) -> int:
    """Forks whose work on page tables has been timed."""
    return int(sample.histograms["fork_page_table_seconds"]["count"])


def opened(tier: str | None, events: bool = False) -> LiveSource:
    """A source that counts, at that tier at best."""
    source = open_live(cap=tier, keep_root=True, events=events).source
    if not isinstance(source, LiveSource):
        raise RuntimeError("no BPF: only the procfs tier is left")
    return source


@functools.cache
def tiers() -> tuple[str, ...]:
    """Every tier that counts on its own here, the best first."""
    found = []
    for cap in (None, "kprobe"):
        source = opened(cap)
        found.append(source.session.tiers[FUNCTION_POINT])
        source.close()
    return tuple(dict.fromkeys(filter(None, (*found, "tracepoint"))))


def exactness() -> dict[str, Any]:
    """Each tier on the three sizes, with the programs that come along."""
    result: dict[str, dict[str, Any]] = {}
    for tier in tiers():
        source = opened(tier)
        name = "best" if tier == tiers()[0] else tier
        if not source.session.image:
            raise RuntimeError(f"not from an image, because {source.session.why_compiled}")
        result[name] = counted(source)
        if tier != "tracepoint":
            with every_point():
                result[name]["points on request"] = on_request(opened(tier))
    return result


def compiled() -> dict[str, Any]:
    """As ``exactness``, with programs that this userland's BCC compiled; {} where it has none."""
    if not any(one["version"][:1].isdigit() for one in json.loads(lazyobs("doctor", "-o", "json"))["kernel"]["bcc"]):
        return {}
    result: dict[str, dict[str, Any]] = {}
    os.environ[COMPILE] = "1"
    try:
        for tier in tiers():
            source = opened(tier)
            name = "best" if tier == tiers()[0] else tier
            if source.session.image:
                raise RuntimeError(f"not compiled, but from {source.session.image}")
            result[name] = counted(source)
    finally:
        del os.environ[COMPILE]
    return result


def counted(source: LiveSource) -> dict[str, Any]:
    """The three sizes, causes and health; ends the source."""
    found: dict[str, Any] = {str(islands): count(source, islands) for islands in COUNTS}
    if not source.kernel.lazy_enabled:  # whose forks and splits make other objects
        found["forks"] = inherited(source)
        if causes := clones(source):
            found["causes"] = causes
    health = source.read().health
    found["health"] = {name: health.get(name) for name in ("map_full", "recursion_misses")}
    source.close()
    return found


def programs() -> dict[str, Any]:
    """{program: instructions that the verifier went through}, the most of all functions and tiers; {} before 5.16."""
    most: dict[str, int] = {}
    for tier in tiers():
        for events in (False, True):
            with every_point():
                source = opened(tier, events)
            for label, fd in source.session.programs.items():
                name = label.partition(":")[0]
                number = verified_instructions(fd)
                if number is not None:
                    most[name] = max(number, most.get(name, 0))
            source.close()
    return most


def commands() -> dict[str, Any]:
    """{tier: {command: how much it gave}} at each tier."""
    return {tier: each(tier) for tier in tiers()}


def battery() -> dict[str, Any]:
    """Outcome of each scenario; of those that did not pass, why."""
    only = [] if SCENARIOS == "all" else ["--only", SCENARIOS]
    text = lazyobs("selftest", "-o", "json", "--timeout", "180", *only, may_exit=(0, 1), seconds=3600)
    documents = [json.loads(line) for line in text.splitlines()]
    return {
        one["scenario"]: {
            "outcome": one["outcome"],
            "why": "" if one["outcome"] == "pass" else one["reason"],
            "checks": [check for check in one["checks"] if not check["ok"]][:12],
            "notes": [] if one["outcome"] == "pass" else one["notes"][-6:],
        }
        for one in documents
        if "scenario" in one
    }


def recording() -> dict[str, Any]:
    """A recording of a few seconds with a workload in it, its report, and the events and rows that came."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(Path(scratch, "recording"))
        commands = "for i in 1 2 3; do echo touch; sleep .3; echo fork; sleep 1; echo reap; sleep .3; done"
        work = f"({commands}) | {ISLANDS} 101 >/dev/null"
        lazyobs("record", "-o", folder, "--interval", "1", "--barrier", "2", "--", "sh", "-c", work)
        verdict = json.loads(lazyobs("report", folder, "-o", "json", may_exit=(0, 1)).splitlines()[0])
        events = lazyobs("trace", "--replay", folder, "-o", "json").splitlines()
        return {"verdict": verdict["word"], "events": len(events)}


def views() -> dict[str, Any]:
    """What a census and a live trace show."""
    rows = json.loads(lazyobs("census", "-o", "json").splitlines()[0])
    return {"census_rows": len(rows.get("processes", [])), "traced": traced(tiers()[0])}


def part(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    found: dict[str, Any]
    try:
        found = {"found": work()}
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"[-1500:], "trace": traceback.format_exc()[-1500:]}
    return {**found, "seconds": round(time.monotonic() - began, 1)}


print(json.dumps({"release": platform.release(), "python": platform.python_version()}), flush=True)
known = {work.__name__: work for work in (doctor, programs, exactness, compiled, views, commands, recording, battery)}
for name in PARTS.split(","):
    print(json.dumps({name: part(known[name])}), flush=True)
