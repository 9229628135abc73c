# SPDX-License-Identifier: MIT
"""The C text of the probes, the same for every kernel, and the names of what it leaves open (blanks.py).

There are two texts: with the stream of events, and without it, where an event costs nothing.
"""

from __future__ import annotations

from lazyobs.bpf import (
    blanks,
    causes,
    cgroup_facts,
    clone_causes,
    counts,
    event,
    fault_facts,
    followed,
    kfuncs,
    layouts,
    lazy_design,
    lock_paths,
    sites,
    sources,
    stacks,
    structs,
    vma_names,
    walk_facts,
    wrappers,
)
from lazyobs.bpf.points import POINTS

# Files that every probe needs; the others are those of the points.
SHARED_FILES = ("blanks.h", "lazyobs.h", "events.h", "stacks.h", "calls.h", "family.h", "invariants.h")
MAPS = (
    "processes",
    "process_slots",
    "fork_windows",
    "fork_slots",
    "known_caches",
    "totals",
    "exited",
    "histograms",
    "calls",
    "call_slots",
    "hashed_calls",
    "stack_frames",
    "lock_frames",
    "slow_forks",
    "programs",
    "lives",
    "endings",
    "families",
    "family_marks",
    "family_states",
    "census_states",
    "census_target",
    "listings",
    "cgroup_states",
    *followed.MAPS,
)
NAMES = blanks.Names(
    constants=(
        blanks.HAVE_SWAP,
        *structs.CONSTANTS,
        *cgroup_facts.CONSTANTS,
        *sites.CONSTANTS,
        *lazy_design.CONSTANTS,
        *causes.CONSTANTS,
        *walk_facts.CONSTANTS,
        *fault_facts.CONSTANTS,
        *event.CONSTANTS,
        *kfuncs.CONSTANTS,
        *followed.CONSTANTS,
    ),
    offsets=(*structs.OFFSETS, *sites.OFFSETS, *wrappers.OFFSETS),
    switches=(*sites.SWITCHES, *lazy_design.SWITCHES, *causes.SWITCHES, *clone_causes.SWITCHES, *lock_paths.SWITCHES),
    functions=kfuncs.FUNCTIONS,
    maps=MAPS,
)


def maps(events: bool) -> tuple[str, ...]:
    """Of the text."""
    return MAPS + ((*event.MAPS, stacks.MAP) if events else ())


def text(events: bool) -> str:
    """What is compiled; ``events``: whether there is a stream of them."""
    files = (*SHARED_FILES, *(name for point in POINTS for name in point.sources))
    parts = [
        c_blanks(),
        counts.c_counts(),
        layouts.c_layouts(),
        structs.c_structs(),
        vma_names.C_VMA_NAMES,
        sites.c_sites(),
        sites.C_IDENTITIES,
        causes.C_CAUSES,
        lock_paths.C_LOCKS,
        kfuncs.C_FUNCTIONS,
        followed.C_FOLLOWED,
        event.c_layout(event.RING_BYTES if events else 0),
        stacks.c_stacks(),
        *(sources.read(name) for name in dict.fromkeys(files)),
        wrappers.c_programs(POINTS),
    ]
    return "\n".join(parts)


def c_blanks() -> str:
    """The marks, and the names of all blanks but members, which have theirs from their struct."""
    lines = [
        *(f"#define {name} CONSTANT({number})" for number, name in enumerate(NAMES.constants)),
        *(f"#define {name}(value) SWITCH({number}, value)" for number, name in enumerate(NAMES.switches)),
        *(f"#define VALUE_OF_{name} {number}" for number, name in enumerate(NAMES.maps)),
    ]
    return blanks.C_MARKS + "\n".join(lines) + "\n" + _numbers((*sites.OFFSETS, *wrappers.OFFSETS))


def _numbers(names: tuple[str, ...]) -> str:
    """NUMBER_ARGUMENT_0 and so on."""
    first = NAMES.offsets.index(names[0])
    return "".join(
        f"#define NUMBER_{name.replace('.', '_').upper()} {number}\n" for number, name in enumerate(names, first)
    )
