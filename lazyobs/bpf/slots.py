# SPDX-License-Identifier: MIT
"""Where each count lies in the BPF maps: the slots of ``enum slot``, ``enum total`` and the histograms.

C and Python take their layout from these tables. A counter of the schema may have two slots, one for
each tier that counts it on its own; the source picks by the tier its probe point got.
"""

from __future__ import annotations

from lazyobs.model import HISTOGRAMS, INVARIANTS, REASONS, WALKERS

# Counted in totals and per process; the position is the slot.
PROCESS_SLOTS = (
    "prepares_by_site",
    "prepares",
    "lazy_prepares",
    "anon_vma_allocs",
    "anon_vma_frees",
    "chain_allocs",
    "chain_frees",
    "forks",
    "fork_chains",
    "promotions",
    "promotions_failed",
    "rmap_walks",
    "rmap_walk_vmas",
    "violations",
)

# Counted in totals alone, behind the process slots.
DIVIDED_SLOTS = (
    tuple(f"promotions_{reason}" for reason in REASONS)
    + tuple(f"rmap_walks_{walker}" for walker in WALKERS)
    + tuple(f"rmap_walk_vmas_{walker}" for walker in WALKERS)
    + tuple(f"violations_{invariant}" for invariant in INVARIANTS)
)
MAP_FULL_SLOTS = ("process_map_full", "fork_map_full", "task_map_full")
TOTAL_SLOTS = PROCESS_SLOTS + DIVIDED_SLOTS + MAP_FULL_SLOTS

# log2 slots in the kernel: every 64-bit value has one, and a mask keeps the index in bounds.
KERNEL_SLOTS = 64
HISTOGRAM_IDS = tuple(name for histogram in HISTOGRAMS for name in histogram.series())


def c_name(name: str) -> str:
    """``rmap_walk_seconds{unmap}`` as a C constant: RMAP_WALK_SECONDS_UNMAP."""
    return name.replace("{", "_").replace("}", "").upper()


def c_layout() -> str:
    """The enums and sizes, as C."""
    lines = [f"#define PROCESS_SLOTS {len(PROCESS_SLOTS)}", f"#define TOTAL_SLOTS {len(TOTAL_SLOTS)}"]
    lines += [f"#define HISTOGRAM_SLOTS {KERNEL_SLOTS}", f"#define HISTOGRAM_COUNT {len(HISTOGRAM_IDS)}"]
    for slot, name in enumerate(TOTAL_SLOTS):
        prefix = "SLOT_" if slot < len(PROCESS_SLOTS) else "TOTAL_"
        lines.append(f"#define {prefix}{c_name(name)} {slot}")
    for number, name in enumerate(HISTOGRAM_IDS):
        lines.append(f"#define HISTOGRAM_{c_name(name)} {number}")
    # Both are powers of two, so that a mask bounds an index made of them.
    lines += [f"#define REASON_COUNT {len(REASONS)}", f"#define WALKER_COUNT {len(WALKERS)}"]
    for number, name in enumerate(REASONS):
        lines.append(f"#define REASON_{c_name(name)} {number}")
    for number, name in enumerate(WALKERS):
        lines.append(f"#define WALKER_{c_name(name)} {number}")
    for number, name in enumerate(INVARIANTS):
        lines.append(f"#define INVARIANT_{c_name(name)} {number}")
    return "\n".join(lines) + "\n"
