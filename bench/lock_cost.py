# SPDX-License-Identifier: MIT
"""ns per wait for the lock of a root anon_vma beside bpftrace: both attached to contention_begin and contention_end at
once, seeing the same waits.

The bpftrace program is what its users would write: the same test of the address, waits by process and kernel stack,
a histogram of their time. What lazyobs does beyond it: path, cgroup and family of a wait. The workload is a family of
processes that forks at once (tests/workloads/contend.c).
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from bench import bpftrace, program_time
from bench.live import live_source
from lazyobs.bpf.program_info import program_stats
from lazyobs.kernel.btf import Btf

_ROOT = Path(__file__).resolve().parent.parent
_VMAS, _CHILDREN, _FORKS = 1009, 6, 101
_OURS = ("lock_wait_begins:", "lock_wait_ends:")
_TRACEPOINTS = ("contention_begin", "contention_end")
_PROGRAM = """
tracepoint:lock:contention_begin /(args->flags & ~8) == 2 || (args->flags & ~8) == 4/ {
    $of = (uint64)args->lock_addr - %(offset)d;
    if (*(uint64 *)$of == $of) { @since[tid] = nsecs; @stack[tid] = kstack(16); }
}
tracepoint:lock:contention_end /@since[tid]/ {
    $ns = nsecs - @since[tid];
    @waits[pid, @stack[tid]] = count(); @waited[pid] = sum($ns); @took = hist($ns);
    delete(@since[tid]); delete(@stack[tid]);
}
"""


def bpftrace_program() -> str:
    """RuntimeError where the kernel's types do not have the lock."""
    member = Btf.read(["anon_vma"]).member("anon_vma", "rwsem")
    if member is None:
        raise RuntimeError("BTF has no member anon_vma.rwsem")
    return _PROGRAM % {"offset": member.offset}


def contend(program: Path) -> None:
    """One storm, from its first page to its last process."""
    numbers = [str(number) for number in (_VMAS, _CHILDREN, _FORKS)]
    subprocess.run([program, *numbers], input=b"\n\n", stdout=subprocess.DEVNULL, check=True)


def run() -> dict[str, object]:
    with bpftrace.tracefs(), tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "contend"
        subprocess.run(["gcc", "-O2", "-o", program, _ROOT / "tests/workloads/contend.c"], check=True)
        return _measure(program)


def _measure(program: Path) -> dict[str, object]:
    source = live_source("tracepoint")
    ours = [fd for name, fd in source.session.programs.items() if name.startswith(_OURS)]
    try:
        with (
            bpftrace.attached(bpftrace_program(), len(_TRACEPOINTS)) as theirs,
            program_time.statistics_on(),
            program_time.empty_program(_TRACEPOINTS[0]) as first,
            program_time.empty_program(_TRACEPOINTS[1]) as second,
        ):

            def readings() -> list[tuple[int, int]]:
                """(ns, runs) of ours, theirs and the empty programs."""
                stats = [
                    *([program_stats(fd)[:2] for fd in group] for group in (ours, (first, second))),
                    [program_time.of_program(number) for number in theirs],
                ]
                return [(sum(ns for ns, _ in one), sum(runs for _, runs in one)) for one in stats]

            counted, start = source.read().totals, readings()
            contend(program)
            end, after = readings(), source.read().totals
    finally:
        source.close()
    (our_ns, our_runs), (empty_ns, empty_runs), (their_ns, their_runs) = (
        (b_ns - a_ns, b_runs - a_runs) for (a_ns, a_runs), (b_ns, b_runs) in zip(start, end)
    )
    waits, waited = (after[name] - counted[name] for name in ("lock_waits", "lock_waited_ns"))
    if not waits:
        raise RuntimeError("nothing waited: on one CPU, or on a kernel without the tracepoints")
    each = empty_ns / empty_runs
    net, their_net = (our_ns - our_runs * each) / waits, (their_ns - their_runs * each) / waits
    return {
        "ns_per_wait": round(net),
        "bpftrace_ns_per_wait": round(their_net),
        "ratio": round(net / their_net, 3),
        "waits": waits,
        "mean_wait_ns": round(waited / waits),
        "runs": our_runs,
        "empty_program_ns": round(each, 1),
        "note": "above empty programs; runs for other locks are part of the cost; a wait is as long as it is with both",
    }
