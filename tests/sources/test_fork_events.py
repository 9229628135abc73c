# SPDX-License-Identifier: MIT
"""An event of a fork says what was copied: the child, its VMAs and chains, and how many threads the parent had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs.bpf import event
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.views import trace

pytestmark = [pytest.mark.slow, pytest.mark.bpf]
ISLANDS, THREADS = 211, 4

# Answers the child's pid; a fork of one thread of five, then one that shares the address space until the exec.
PARENT = """
import os, subprocess, sys, threading
ended = threading.Event()
threads = [threading.Thread(target=ended.wait) for _ in range(int(sys.argv[1]))]
[thread.start() for thread in threads]
print("ready", flush=True)
sys.stdin.readline()
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
print(pid, flush=True)
subprocess.run(["true"], close_fds=False)
ended.set()
"""


def vmas_of(pid: int) -> int:
    """Without the page that is in every address space and in none."""
    return sum("[vsyscall]" not in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines())


def test_child_vmas_and_chains(live, islands) -> None:
    source = live(events=True)
    parent = islands(ISLANDS)
    parent.tell("touch")
    events = source.trace(EventFilter(("fork",), pids=(parent.pid,)), splats=False)
    child = int(parent.tell("fork"))
    (found,) = events.read(5)
    assert found.child == child and found.vmas == vmas_of(child)
    assert found.objects is not None and found.vmas is not None and found.vmas > 2 * ISLANDS
    assert (found.address, found.bytes, found.threads) == (None, None, 1)


def test_threads_and_shared_memory(live) -> None:
    source = live(events=True)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:  # fmt: skip
        assert parent.stdin and parent.stdout and parent.stdout.readline()
        events = source.trace(EventFilter(("fork",), pids=(parent.pid,)), splats=False)
        vmas = vmas_of(parent.pid)
        parent.stdin.write(b"\n")
        parent.stdin.close()
        child = int(parent.stdout.readline())
        parent.wait(30)
        found = events.read(5)
    copied, shared = sorted(found, key=lambda one: one.vmas == 0)
    assert (copied.child, copied.threads) == (child, THREADS + 1) and copied.vmas == vmas
    assert shared.vmas == 0 and shared.objects == 0
    lines = [trace._line(one) for one in (copied, shared)]
    assert lines[0].endswith(f"  -> {child}, {vmas} VMAs copied, of 5 threads")
    assert lines[1].endswith(f"  -> {shared.child}, shares its VMAs, of 5 threads")


def test_what_an_earlier_recorder_wrote_has_no_child() -> None:
    record = event.Event(1, 1, 0, event.UNKNOWN, 0, 23, tgid=7, tid=7, cpu=0, kind=event.FORK, detail=0, comm=b"sh\0")
    found = TraceEvent.of_event(record, 0, 4096)
    assert (found.child, found.vmas, found.threads, found.objects) == (None, None, None, 23)
    assert "->" not in trace._line(found)
