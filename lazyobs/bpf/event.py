# SPDX-License-Identifier: MIT
"""The event stream: its 64-byte record, what a reader can filter by, and the kinds of events.

A record answers who (tgid, start), where (cpu, address range), when (boot-time stamp), how long, and how
much (VMAs or chains). 0xffffffff in ``duration`` and ``objects`` means that the tier cannot know it.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lazyobs.bpf.layouts import Field, Layout
from lazyobs.bpf.points import POINTS
from lazyobs.model import INVARIANTS, LOCK_PATHS, REASONS, WALKERS

if TYPE_CHECKING:
    import numpy

BYTES = 64
UNKNOWN = 0xFFFFFFFF
PROCESSES = 1024  # that one filter can name
RING_BYTES = 8 << 20  # room for 116,508 records
MAPS = ("events", "event_filter", "event_processes", "event_counts")
WRITTEN = ("event_filter", "event_processes")  # by the reader, too
MOST_NANOSECONDS = UNKNOWN - 1  # a duration of 4.29 s or more


RECORD = Layout(
    "event",
    (
        Field("stamp", "u64", "CLOCK_BOOTTIME when it ended, ns"),
        Field("start", "u64", "start of the process since boot, ns; with tgid it is its identity"),
        Field(
            "address",
            "u64",
            "first byte of the VMA, 0 where it does not apply; of a fork FORK_THREADS; of a lock wait the number of its"
            " family",
        ),
        Field("duration", "u32", "ns"),
        Field(
            "pages",
            "u32",
            "length of the VMA in pages, 0 where it does not apply; of a fork the VMAs copied; of a lock wait the"
            " position of the holder's path in LOCK_PATHS, plus 1",
        ),
        Field(
            "objects",
            "u32",
            "VMAs visited by a walk, chains cloned by a fork; of a lock wait the process that held the lock",
        ),
        Field("tgid", "u32", "process"),
        Field("tid", "u32", "thread"),
        Field("cpu", "u16", "CPU it ended on"),
        Field("kind", "u8", "position in KINDS"),
        Field("detail", "u8", "position in the kind's details"),
        Field("comm", "char", "name of the thread, ended by a zero", 16),
    ),
)


@dataclass(frozen=True)
class Kind:
    """``details`` names the values of the field detail. ``min_us``: what is told without being asked for."""

    name: str
    help: str
    details: tuple[str, ...] = ()
    min_us: float = 0.0
    by_default: bool = True


KINDS = (
    Kind("fork", "a process was forked; objects is the chains cloned"),
    Kind("promotion", "a lazy VMA was made regular", REASONS),
    Kind("promotion_failed", "a lazy VMA could not be made regular", REASONS),
    Kind("rmap_walk", "a slow reverse-map walk; objects is the VMAs visited", WALKERS, min_us=1000.0),
    Kind("prepare", "an anon_vma was prepared for a VMA", by_default=False),
    # Recordings hold positions: a new kind goes to the end.
    Kind("violation", "an invariant was broken; objects is the VMAs visited, or the chains made", INVARIANTS),
    Kind(
        "lock_wait",
        "a long wait for the lock of a root anon_vma, the number of its family, and which process held it as it began",
        LOCK_PATHS,
        min_us=1000.0,
    ),
)
KIND_NAMES = tuple(kind.name for kind in KINDS)
# Besides the kinds, names that only a filter knows: a prepare recognised by its allocation has the kind "prepare".
FILTER_NAMES = (*KIND_NAMES, *(name for point in POINTS for number, name in point.stands_in.items() if "." in number))

LAYOUT = RECORD.struct()
assert LAYOUT.size == BYTES
_COLUMNS = {field.name: (field, at) for field, at in zip(RECORD.fields, RECORD.offsets())}
_WORDS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}

# What the reader wants; all zero, as at the start, is nothing.
FILTER = Layout(
    "event_filter",
    (
        Field("min_nanoseconds", "u64", "by kind", len(FILTER_NAMES)),
        Field("comm", "u64", "the 16 bytes of a thread's name", 2),
        Field("kinds", "u32", "a bit each"),
        Field("by_comm", "u32"),
        Field("by_process", "u32"),
        Field("knows", "u32", "numbers that the attached probes can give, EVENT_KNOWS_*"),
        Field("stacks", "u32", "of both sides of a lock wait (stacks.py)"),
        Field("unused", "u32"),
    ),
)
FORK, LOCK_WAIT = KIND_NAMES.index("fork"), KIND_NAMES.index("lock_wait")
FORK_THREADS = 32  # a fork's address: the child's pid, and above it the parent's threads
KNOWS_VMAS, KNOWS_CHAINS = 1, 2
COUNTS = Layout("event_counts", (Field("sent", "u64"), Field("lost", "u64", "there was no room in the ring")))


class Event(NamedTuple):
    """One record, decoded; the fields are those of RECORD."""

    stamp: int
    start: int
    address: int
    duration: int
    pages: int
    objects: int
    tgid: int
    tid: int
    cpu: int
    kind: int
    detail: int
    comm: bytes


assert Event._fields == tuple(field.name for field in RECORD.fields)


def column(records: bytes | bytearray, name: str) -> bytes:
    """The values of one field of whole records, one behind the other."""
    field, at = _COLUMNS[name]
    size = struct.calcsize("=" + field.code)
    view = memoryview(records)
    if size in _WORDS:
        return view.cast(_WORDS[size])[at // size :: BYTES // size].tobytes()
    step = BYTES // 8  # a name: words beside each other
    words, out = view.cast("Q"), bytearray(len(records) // BYTES * size)
    into = memoryview(out).cast("Q")
    for word in range(size // 8):
        into[word :: size // 8] = words[at // 8 + word :: step]
    return bytes(out)


def longest(records: bytes | bytearray, kind: int) -> int | None:
    """The longest duration of the events of that kind, ns; None where none has one."""
    kinds = column(records, "kind")
    if kind not in kinds:
        return None
    durations = memoryview(column(records, "duration")).cast("I")
    chosen = (duration for duration, found in zip(durations, kinds) if found == kind and duration != UNKNOWN)
    return max(chosen, default=None)


def dtype() -> numpy.dtype[Any]:
    """The record as a numpy type."""
    import numpy

    return numpy.dtype([(field.name, field.numpy) for field in RECORD.fields])


def wake_every(ring_bytes: int, cpus: int) -> int:
    """Records of one CPU between two wake-ups of the reader: all CPUs' together are half a ring at most."""
    return max(1, min(4096, ring_bytes // (BYTES + 8) // (2 * cpus)))


CONSTANTS = ("EVENT_WAKE_EVERY", "PAGE_SHIFT")


def values(cpus: int) -> dict[str, int | None]:
    """What CONSTANTS are on this machine."""
    return {"EVENT_WAKE_EVERY": wake_every(RING_BYTES, cpus), "PAGE_SHIFT": mmap.PAGESIZE.bit_length() - 1}


def c_layout(ring_bytes: int) -> str:
    """The record, the filter, the kinds and special values, and the ring's dimensions, as C. No ring: 0 bytes."""
    lines = [
        f"#define EVENTS {int(ring_bytes > 0)}",
        f"#define EVENT_KNOWS_VMAS {KNOWS_VMAS}",
        f"#define EVENT_KNOWS_CHAINS {KNOWS_CHAINS}",
        # The compiler's pages, which BCC makes bytes of again.
        f"#define EVENT_RING_PAGES ({ring_bytes} / PAGE_SIZE)",
        f"#define EVENT_PROCESSES {PROCESSES}",
        f"#define EVENT_KINDS {len(FILTER_NAMES)}",
        f"#define EVENT_UNKNOWN {UNKNOWN:#x}U",
        *(f"#define EVENT_{name.upper()} {number}" for number, name in enumerate(FILTER_NAMES)),
    ]
    return "\n".join([*lines, *(layout.c_struct() for layout in (RECORD, FILTER, COUNTS))]) + "\n"
