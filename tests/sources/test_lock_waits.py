# SPDX-License-Identifier: MIT
"""Waits for the lock of a root anon_vma: what adds up, what a second source sees, and what is not counted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bench.bpftrace import tracefs
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.lock_paths import PATHS
from lazyobs.bpf.maps import BatchReader
from lazyobs.bpf.stacks import MAP, STACK
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.symbols import Symbols
from lazyobs.model import LOCK_PATHS
from tests.harness import LAZYOBS, ROOT, need_programs, process_of, skip

VMAS, CHILDREN, FORKS = 1009, 6, 23
MOST_FIGHTS, LEAST_WAITED_NS = 31, 200_000_000


@pytest.fixture(scope="session")
def contend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("workloads") / "contend"
    source = ROOT / "tests/workloads/contend.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


class Family:
    """tests/workloads/contend.c"""

    def __init__(self, program: Path, *numbers: int) -> None:
        self._process = subprocess.Popen(
            [program, *map(str, numbers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def fight(self) -> None:
        """Until every fork is over."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._line() == "done\n"

    def end(self) -> None:
        self._process.communicate("\n", timeout=30)


def _around_a_fight(source, contend):
    """The samples before and after it."""
    family = Family(contend, VMAS, CHILDREN, FORKS)
    before = source.read()
    family.fight()
    after = source.read()
    family.end()
    return before, after


def _change(before, after) -> dict[str, int]:
    return {
        name: after.totals[name] - before.totals[name] for name in ("lock_waits", "lock_write_waits", "lock_waited_ns")
    }


@pytest.fixture
def two_cpus() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        skip("host", "on one CPU nobody waits for a lock")


def test_the_parts_add_up(live, contend, two_cpus):
    source = live()
    before, after = _around_a_fight(source, contend)
    waits = _change(before, after)
    assert waits["lock_waits"] > 0 and 0 <= waits["lock_write_waits"] <= waits["lock_waits"]
    by_path = after.totals["lock_waits_by_path"]
    assert sum(by_path.values()) == after.totals["lock_waits"]
    seconds = [after.histograms[f"lock_wait_seconds{{{path}}}"] for path in LOCK_PATHS]
    assert [one["count"] for one in seconds] == list(by_path.values())
    assert sum(one["sum"] for one in seconds) == pytest.approx(after.totals["lock_waited_ns"] / 1e9)
    # Forks and exits are all that the family does.
    others = {path: by_path[path] - before.totals["lock_waits_by_path"][path] for path in LOCK_PATHS if path not in ("fork", "unmap")}  # fmt: skip
    assert sum(others.values()) < 0.02 * waits["lock_waits"] + 5, others
    assert after.health["locks_unplaced"] == 0
    of_processes = sum(one.counts["lock_waits"] for one in after.processes) + after.exited["lock_waits"]
    assert of_processes == after.totals["lock_waits"]


def test_a_process_that_nobody_waits_for_has_none(live, islands):
    source = live()
    program = islands(211)
    program.tell("touch")
    program.tell("fork")
    program.tell("reap")
    sample = source.read()
    assert process_of(sample, program.pid).counts["lock_waits"] == 0


_SECOND = """
tracepoint:lock:contention_begin /(args->flags & ~8) == 2 || (args->flags & ~8) == 4/ {
    $of = (uint64)args->lock_addr - %(offset)d;
    if (*(uint64 *)$of == $of) { @lock[tid] = (uint64)args->lock_addr; @since[tid] = nsecs; }
}
tracepoint:lock:contention_end /@since[tid]/ {
    if (@lock[tid] == (uint64)args->lock_addr) {
        @waits = count(); @waited = sum(nsecs - @since[tid]);
        delete(@since[tid]); delete(@lock[tid]);
    }
}
BEGIN { printf("attached\\n"); }
"""


def _last_words(bpftrace: subprocess.Popen[str]) -> str:
    """What it prints when it ends. On a busy machine it has missed a signal that came while it read events."""
    for _ in range(12):
        bpftrace.terminate()
        try:
            return bpftrace.communicate(timeout=10)[0]
        except subprocess.TimeoutExpired:
            pass
    bpftrace.kill()
    bpftrace.wait()
    raise AssertionError("bpftrace does not end")


def test_bpftrace_counts_the_same(live, contend, two_cpus):
    need_programs("bpftrace")
    member = Btf.read(["anon_vma"]).member("anon_vma", "rwsem")
    with tracefs():
        second = subprocess.Popen(
            ["bpftrace", "-B", "line", "-e", _SECOND % {"offset": member.offset}], stdout=subprocess.PIPE, text=True
        )
        try:
            while "attached" not in (line := second.stdout.readline()):
                assert line, "bpftrace ended"
            time.sleep(0.5)
            source = live()
            before, after = _around_a_fight(source, contend)
            # A handful of waits says nothing of their time: either program can be interrupted between two stamps.
            for _ in range(MOST_FIGHTS):
                if _change(before, after)["lock_waited_ns"] > LEAST_WAITED_NS:
                    break
                _, after = _around_a_fight(source, contend)
        finally:
            output = _last_words(second)
    waits = _change(before, after)
    numbers = dict(re.findall(r"@(waits|waited): (\d+)", output))
    # Other families of this machine are in both, and what waits between the two readings and the ends of bpftrace.
    assert abs(int(numbers["waits"]) - waits["lock_waits"]) <= 0.002 * waits["lock_waits"] + 5
    assert int(numbers["waited"]) == pytest.approx(waits["lock_waited_ns"], rel=0.02)


def test_other_semaphores_are_not_counted(live):
    """Threads that wait for one mmap_lock and for one inode: semaphores that are no anon_vma's."""
    source = live()
    before = source.read()
    stop = time.monotonic() + 2
    pages: list[None] = []

    def fight() -> None:
        import mmap

        while time.monotonic() < stop:
            memory = mmap.mmap(-1, 1 << 20)
            memory[0] = 1
            memory.close()
            os.utime("/tmp")
            pages.append(None)

    threads = [threading.Thread(target=fight) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = source.read()
    assert pages and process_of(after, os.getpid()).counts["lock_waits"] == 0
    assert after.health["locks_unplaced"] == before.health["locks_unplaced"]


def test_long_waits_are_events(live, contend, two_cpus):
    source = live(events=True)
    trace = source.trace(EventFilter(kinds=("lock_wait",), min_us=0.0), False)
    family = Family(contend, VMAS, CHILDREN, FORKS)
    before = source.read().totals["lock_waits"]
    family.fight()
    after = source.read()
    counted, families = after.totals["lock_waits"] - before, {one.number for one in after.families}
    seen = []
    while found := trace.read(0.5):
        seen += found
    family.end()
    assert counted > 0 and abs(len(seen) - counted) <= 0.002 * counted + 5
    assert {event.kind for event in seen} == {"lock_wait"} and {event.detail for event in seen} <= set(LOCK_PATHS)
    assert all(event.duration_seconds is not None and event.address is None for event in seen)
    ours = [event for event in seen if event.comm == "contend"]
    assert {event.family for event in ours} <= families
    # Who made them wait: another process, which was in a fork or at its exit, all that the family does.
    held = [event for event in ours if event.holder_pid is not None]
    assert held and all(event.holder_pid not in (None, event.pid) for event in held)
    assert {event.holder_path for event in held} <= {"fork", "unmap", None}
    assert sum(event.holder_path is None for event in held) <= 0.02 * len(held) + 5


def test_a_wait_has_the_stack_of_its_path(live, contend, two_cpus):
    """The path was found on the stack as the wait began, the names are those of the stack as it ended."""
    symbols = Symbols.read()
    if symbols.hidden:
        skip("host", "/proc/kallsyms hides the addresses")
    source = live(events=True)
    trace = source.trace(EventFilter(kinds=("lock_wait",), min_us=0.0), False, symbols)
    seen = []
    for _ in range(MOST_FIGHTS):
        family = Family(contend, 211, CHILDREN, 2)
        family.fight()
        while found := trace.read(0.5):
            seen += [event for event in found if event.comm == "contend"]
        family.end()
        if len(seen) > CHILDREN:
            break
    # The map keeps the last thousand; a reader that was kept waiting has lost the others.
    shown = [event for event in seen if event.waiter_stack is not None]
    assert len(shown) > 0.5 * len(seen) > 0
    for event in shown:
        names = {frame.partition("+")[0] for frame in event.waiter_stack}
        assert names & {part for name in PATHS[event.detail] for part in (name, f"{name}.part.0")}, event
    assert all(event.holder_stack is None for event in seen) == bool(source.why_not("holder_stacks"))


def test_trace_says_how_many_waits_have_no_stack(contend: Path, two_cpus: None) -> None:
    words = [*LAZYOBS, "trace", "--stacks", "-e", "lock_wait", "--min-us", "0", "-n", "101", "-o", "json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        fights = 0
        while process.poll() is None and fights < MOST_FIGHTS:
            family = Family(contend, VMAS, CHILDREN, FORKS)
            family.fight()
            family.end()
            fights += 1
    finally:
        process.send_signal(signal.SIGINT)
        output, told = process.communicate(timeout=60)
    waits = [json.loads(line) for line in output.splitlines()]
    if not waits:
        skip("kernel", "no wait for a lock was seen")
    without = [sum(wait[stack] is None for wait in waits) for stack in ("waiter_stack", "holder_stack")]
    noun = "waits" if len(waits) > 1 else "wait"
    assert (
        f"lazyobs: of {len(waits)} lock {noun} {without[0]} without the stack of the waiter, {without[1]} without that of the holder\n"
        in told
    )


def test_without_symbols_no_stack_is_kept(live, contend, two_cpus):
    source = live(events=True)
    source.trace(EventFilter(kinds=("lock_wait",), min_us=0.0), False)
    family = Family(contend, VMAS, CHILDREN, FORKS)
    family.fight()
    family.end()
    assert BatchReader(source.session.maps[MAP], "16s", STACK).read() == []


def test_no_function_is_of_two_paths():
    names = [name for path in PATHS.values() for name in path]
    assert len(names) == len(set(names))
