# SPDX-License-Identifier: MIT
"""The cost for an unrelated allocation: our program beside an empty program on the same tracepoint."""

from __future__ import annotations

import os

from bench import program_time
from bench.live import live_source
from lazyobs.bpf.program_info import program_stats

_OPENS = 500_009


def run() -> dict[str, object]:
    source = live_source("tracepoint")
    ours = next(fd for name, fd in source.session.programs.items() if name.startswith("slab_alloc:"))
    try:
        with program_time.statistics_on(), program_time.empty_program("kmem_cache_alloc") as empty:
            start = (*program_stats(ours)[:2], *program_stats(empty)[:2])
            for _ in range(_OPENS):
                os.close(os.open("/dev/null", os.O_RDONLY))
            end = (*program_stats(ours)[:2], *program_stats(empty)[:2])
    finally:
        source.close()
    our_ns, our_runs, empty_ns, empty_runs = (b - a for a, b in zip(start, end))
    return {
        "ns_per_run": round(our_ns / our_runs, 1),
        "empty_ns_per_run": round(empty_ns / empty_runs, 1),
        "difference_ns": round(our_ns / our_runs - empty_ns / empty_runs, 1),
        "ratio": round((our_ns / our_runs) / (empty_ns / empty_runs), 3),
        "runs": our_runs,
    }
