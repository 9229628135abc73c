# SPDX-License-Identifier: MIT
"""The event record: 64 bytes, one table, from which the C struct and both decoders are made.

A record answers who (tgid, start), where (cpu, address range), when (boot-time stamp), how long, and how
much (VMAs or chains). 0xffffffff in ``duration`` and ``objects`` means that the tier cannot know it.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lazyobs.model import INVARIANTS, REASONS, WALKERS

if TYPE_CHECKING:
    import numpy

BYTES = 64
UNKNOWN = 0xFFFFFFFF
PROCESSES = 1024  # that one filter can name
RING_BYTES = 8 << 20  # room for 116,508 records
MAPS = ("events", "event_filter", "event_processes", "event_counts")
WRITTEN = ("event_filter", "event_processes")  # by the reader, too
MOST_NANOSECONDS = UNKNOWN - 1  # a duration of 4.29 s or more


@dataclass(frozen=True)
class Field:
    """``code`` is the letter of struct and, behind "<" and its size, of numpy; C has ``c_type``."""

    name: str
    c_type: str
    code: str
    numpy: str
    help: str


FIELDS = (
    Field("stamp", "u64", "Q", "u8", "CLOCK_BOOTTIME when it ended, ns"),
    Field("start", "u64", "Q", "u8", "start of the process since boot, ns; with tgid it is its identity"),
    Field("address", "u64", "Q", "u8", "first byte of the VMA, 0 where it does not apply"),
    Field("duration", "u32", "I", "u4", "ns"),
    Field("pages", "u32", "I", "u4", "length of the VMA in pages, 0 where it does not apply"),
    Field("objects", "u32", "I", "u4", "VMAs visited by a walk, chains cloned by a fork"),
    Field("tgid", "u32", "I", "u4", "process"),
    Field("tid", "u32", "I", "u4", "thread"),
    Field("cpu", "u16", "H", "u2", "CPU it ended on"),
    Field("kind", "u8", "B", "u1", "position in KINDS"),
    Field("detail", "u8", "B", "u1", "position in the kind's details"),
    Field("comm", "char[16]", "16s", "S16", "name of the thread, ended by a zero"),
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
)
KIND_NAMES = tuple(kind.name for kind in KINDS)
# A prepare told by its allocation, where nothing better sees it: a filter's name only, its kind is "prepare".
FILTER_NAMES = (*KIND_NAMES, "prepare_by_site")

LAYOUT = struct.Struct("=" + "".join(field.code for field in FIELDS))
assert LAYOUT.size == BYTES


class Event(NamedTuple):
    """One record, decoded; the fields are those of FIELDS."""

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


assert Event._fields == tuple(field.name for field in FIELDS)


def dtype() -> numpy.dtype[Any]:
    """The record as a numpy type."""
    import numpy

    return numpy.dtype([(field.name, "<" + field.numpy if field.numpy[0] == "u" else field.numpy) for field in FIELDS])


def wake_every(ring_bytes: int, cpus: int) -> int:
    """Records of one CPU between two wake-ups of the reader: all CPUs' together are half a ring at most."""
    return max(1, min(4096, ring_bytes // (BYTES + 8) // (2 * cpus)))


def c_layout(ring_bytes: int, cpus: int) -> str:
    """The record, its kinds and special values, and the ring's dimensions, as C. No ring: 0 bytes."""
    lines = [f"#define EVENTS {int(ring_bytes > 0)}", "struct event {"]
    asserts = [f'_Static_assert(sizeof(struct event) == {BYTES}, "struct event");']
    offset = 0
    for field in FIELDS:
        base, _, count = field.c_type.partition("[")
        lines.append(f"\t{base} {field.name}{'[' + count if count else ''};")
        asserts.append(f'_Static_assert(__builtin_offsetof(struct event, {field.name}) == {offset}, "{field.name}");')
        offset += struct.calcsize("=" + field.code)
    lines += ["};", *asserts]
    wake = wake_every(ring_bytes, cpus)
    lines += [f"#define EVENT_RING_PAGES {ring_bytes // mmap.PAGESIZE}", f"#define EVENT_WAKE_EVERY {wake}"]
    lines += [f"#define EVENT_PROCESSES {PROCESSES}"]
    lines += [f"#define EVENT_KINDS {len(FILTER_NAMES)}", f"#define EVENT_UNKNOWN {UNKNOWN:#x}U"]
    lines += [f"#define EVENT_{name.upper()} {number}" for number, name in enumerate(FILTER_NAMES)]
    return "\n".join(lines) + "\n"
