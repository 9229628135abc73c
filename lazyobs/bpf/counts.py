# SPDX-License-Identifier: MIT
"""Where each count lies in the BPF maps: the indices ``COUNT_*`` and ``TOTAL_*``, and the histograms.

C and Python take them from here, and here they follow from the schema and the probe points: every counter
has a count, every counter that is split one for each label value, and where a point stands in for a
better one its own count as well.
"""

from __future__ import annotations

from lazyobs.bpf.points import POINTS
from lazyobs.model import (
    CLONE_CAUSES,
    COUNTERS,
    COW_PAGES,
    HISTOGRAMS,
    HOLD_PATHS,
    INVARIANTS,
    LOCK_PATHS,
    REASONS,
    VMA_STATES,
    WALKERS,
)

# Counted in totals and per process; the position is the index.
PROCESS_COUNTS = (
    *(counter.name for counter in COUNTERS),
    *(count for point in POINTS for number, count in point.stands_in.items() if "." not in number),
)
# Counted in totals alone, behind those of processes.
SPLIT_COUNTS = tuple(f"{counter.name}_{value}" for counter in COUNTERS for value in counter.values)
MAP_FULL_COUNTS = ("process_map_full", "fork_map_full", "task_map_full", "family_map_full", "program_map_full")
LOCKS_UNPLACED = "locks_unplaced"
RETURNS_MISSED = "returns_missed"  # of a function: found at the task's next call of it
TOTAL_COUNTS = (*PROCESS_COUNTS, *SPLIT_COUNTS, *MAP_FULL_COUNTS, LOCKS_UNPLACED, RETURNS_MISSED)

# log2 buckets in the kernel: every 64-bit value has one, and a mask keeps the index in bounds.
KERNEL_BUCKETS = 64
HISTOGRAM_IDS = tuple(name for histogram in HISTOGRAMS for name in histogram.series())


def c_name(name: str) -> str:
    """``rmap_walk_seconds{unmap}`` as a C constant: RMAP_WALK_SECONDS_UNMAP."""
    return name.replace("{", "_").replace("}", "").upper()


def _numbered(prefix: str, names: tuple[str, ...], first: int = 0) -> list[str]:
    return [f"#define {prefix}{c_name(name)} {number}" for number, name in enumerate(names, first)]


def _first_of_split() -> list[str]:
    """The index for the first label value of each counter and histogram that is split: the others follow."""
    found = [
        f"#define TOTAL_{c_name(counter.split_key)} {TOTAL_COUNTS.index(f'{counter.name}_{counter.values[0]}')}"
        for counter in COUNTERS
        if counter.split
    ]
    return found + [
        f"#define HISTOGRAM_{c_name(f'{histogram.name}_by_{histogram.split}')} {HISTOGRAM_IDS.index(histogram.series()[0])}"
        for histogram in HISTOGRAMS
        if histogram.split
    ]


def c_counts() -> str:
    """The indices, label values and sizes, as C."""
    lines = [
        f"#define PROCESS_COUNTS {len(PROCESS_COUNTS)}",
        f"#define TOTAL_COUNTS {len(TOTAL_COUNTS)}",
        f"#define HISTOGRAM_BUCKETS {KERNEL_BUCKETS}",
        f"#define HISTOGRAM_COUNT {len(HISTOGRAM_IDS)}",
        # Both are powers of two, so that a mask bounds an index made of them.
        f"#define REASON_COUNT {len(REASONS)}",
        f"#define WALKER_COUNT {len(WALKERS)}",
        *_numbered("COUNT_", PROCESS_COUNTS),
        *_numbered("TOTAL_", TOTAL_COUNTS[len(PROCESS_COUNTS) :], len(PROCESS_COUNTS)),
        *_numbered("HISTOGRAM_", HISTOGRAM_IDS),
        *_first_of_split(),
        *_numbered("REASON_", REASONS),
        *_numbered("WALKER_", WALKERS),
        *_numbered("LOCK_PATH_", LOCK_PATHS),
        *_numbered("CLONE_FOR_", CLONE_CAUSES),
        *_numbered("HOLD_", HOLD_PATHS),
        *_numbered("COW_", COW_PAGES),
        *_numbered("INVARIANT_", INVARIANTS),
        *_numbered("VMA_", tuple(state.name for state in VMA_STATES)),
    ]
    return "\n".join(lines) + "\n"
