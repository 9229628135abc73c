# SPDX-License-Identifier: MIT
"""ns per counted event beside bpftrace: both attached to kmem_cache_alloc at once, seeing the same events.

The bpftrace program is what its users would write: filter by call site, count by process, a histogram. The
workload forks a process with thousands of islands, so most allocations are events for both.
"""

from __future__ import annotations

from bench import bpftrace, program_time
from bench.islands import islands
from bench.live import live_source
from lazyobs.bpf import sites
from lazyobs.bpf.program_info import program_stats
from lazyobs.kernel.kallsyms import Kallsyms

_ISLANDS, _FORKS = 5003, 101


def bpftrace_program() -> str:
    kallsyms = Kallsyms.read(sites.FUNCTIONS)
    parts = [part for site in sites.SITES if site.allocates for name in site.functions for part in kallsyms.plain(name)]
    low, high = min(part.start for part in parts), max(part.end for part in parts)
    return (
        f"tracepoint:kmem:kmem_cache_alloc /args->call_site > {low:#x} && args->call_site <= {high:#x}/"
        " { @count[pid] = count(); @sizes = hist(args->bytes_alloc); }"
    )


def run() -> dict[str, object]:
    with bpftrace.tracefs():
        return _measure()


def _measure() -> dict[str, object]:
    source = live_source("tracepoint")
    ours = next(fd for name, fd in source.session.programs.items() if name.startswith("slab_alloc:"))
    try:
        with (
            bpftrace.attached(bpftrace_program(), 1) as (theirs,),
            islands(_ISLANDS) as (_, tell),
            program_time.statistics_on(),
            program_time.empty_program("kmem_cache_alloc") as empty,
        ):
            tell("touch")

            def readings() -> tuple[int, ...]:
                return (*program_stats(ours)[:2], *program_time.of_program(theirs), *program_stats(empty)[:2])

            before_events, start = source.read().totals, readings()
            for _ in range(_FORKS):
                tell("fork")
                tell("reap")
            end, after_events = readings(), source.read().totals
    finally:
        source.close()
    our_ns, our_runs, their_ns, their_runs, empty_ns, empty_runs = (b - a for a, b in zip(start, end))
    events = sum(after_events[name] - before_events[name] for name in ("chain_allocs", "anon_vma_allocs"))
    each = empty_ns / empty_runs
    net, their_net = (our_ns - our_runs * each) / events, (their_ns - their_runs * each) / events
    return {
        "ns_per_event": round(net, 1),
        "bpftrace_ns_per_event": round(their_net, 1),
        "ratio": round(net / their_net, 3),
        "events": events,
        "runs": our_runs,
        "empty_program_ns": round(each, 1),
        "note": "above an empty program; runs that are not events are part of the cost",
    }
