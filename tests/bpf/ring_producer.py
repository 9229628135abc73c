# SPDX-License-Identifier: MIT
"""A ring filled with known events: ring_producer.c, loaded by the tool's own loader."""

from __future__ import annotations

import ctypes
import mmap
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from lazyobs.bpf import abi, counts, event, followed, kfuncs, layouts, maps, plan, sources, structs, template
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.session import CompilerNotFound, Loader, Session, interpreters

MOST_AT_ONCE = 128
MASK32 = 0xFFFFFFFF
_HERE = Path(__file__).parent
_MAPS = ("events", "event_filter", "event_processes", "event_counts", "producer_numbers", "producer_target")


#: The blanks of what calls a kernel function, for a program that BCC loads itself: nobody fills them there.
_UNFILLED = "".join(f"#undef {name}\n#define {name} 0\n" for name in ("HAVE_CACHE_OF", "HAVE_TYPED_LOADS"))


def source(pages: int, filled: bool = True) -> str:
    """The program's text for a ring of so many pages. ``filled``: whether the tool's loader fills in the blanks."""
    parts = [
        template.c_blanks(),
        "" if filled else _UNFILLED,
        counts.c_counts(),
        layouts.c_layouts(),
        structs.c_structs(),
        kfuncs.C_FUNCTIONS,
        followed.C_FOLLOWED,
        event.c_layout(pages * mmap.PAGESIZE),
        *(sources.read(name) for name in ("blanks.h", "lazyobs.h", "events.h")),
        (_HERE / "ring_producer.c").read_text(encoding="ascii"),
    ]
    return "\n".join(parts)


def load(pages: int) -> Session:
    """A session with the ring and its producers. BpfRefused where that is not allowed."""

    def raw(program: str, target: str) -> dict[str, Any]:
        return {
            "program": program,
            "code": program,
            "values": {},
            "kind": "raw_tracepoint",
            "target": target,
            "btf_id": 0,
        }

    # No XDP program fails here: the first program runs when it is told to, and not else.
    attach = [raw("produce", "xdp_exception"), raw("produce_at_syscall", "sys_enter")]
    points = [{"name": "producer", "candidates": [{"tier": "tracepoint", "attach": attach}]}]
    of_kernel = plan.make(plan.gather())
    made = replace(of_kernel, source=source(pages), points=points, maps=_MAPS, written=_MAPS, dropped={})
    made.values["EVENT_WAKE_EVERY"] = event.wake_every(pages * mmap.PAGESIZE, maps.possible_cpus())
    for interpreter in interpreters():
        try:
            return Loader(interpreter).load(made)
        except CompilerNotFound as error:
            refused = error
    raise refused


class Producer:
    """Makes events in the ring of ``session``; every field follows from the number (see ring_producer.c)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.counts = EventCounts(session.maps["event_counts"], maps.possible_cpus())

    def want(self, min_ns: int = 0, comm: bytes = b"", kinds: int = 0xFF) -> None:
        """Sets the filter: all kinds, as long as ``min_ns``, of threads named ``comm``."""
        low, high = struct.unpack("=QQ", comm.ljust(16, b"\0"))
        least = [min_ns] * len(event.FILTER_NAMES)
        filter_ = struct.pack(f"={len(least)}Q QQ IIII", *least, low, high, kinds, bool(comm), 0, 0)
        abi.map_update(self.session.maps["event_filter"], bytes(4), filter_)

    def target(self, pid: int) -> None:
        """Whose system calls are events too; 0 for nobody's."""
        abi.map_update(self.session.maps["producer_target"], bytes(4), struct.pack("=I", pid))

    def at_syscalls(self) -> int:
        """Events that the second producer has tried to emit."""
        return int.from_bytes(abi.map_lookup(self.session.maps["producer_numbers"], struct.pack("=I", 1), 8), "little")

    def emit(self, count: int, first: int = 0, producer: int = 0) -> None:
        """Runs the program until ``count`` events have been tried, numbered from ``first``."""
        fd = self.session.programs["produce:xdp_exception"]
        for start in range(first, first + count, MOST_AT_ONCE):
            run(fd, start, min(MOST_AT_ONCE, first + count - start), producer)


def run(fd: int, first: int, count: int, producer: int) -> None:
    """BPF_PROG_TEST_RUN of a raw tracepoint program: once, with three arguments (5.10)."""
    arguments = ctypes.create_string_buffer(struct.pack("=QQQ", first, count, producer), 24)
    # union bpf_attr.test: prog_fd, retval, data sizes and pointers, repeat, duration, ctx sizes and pointers
    attr = abi.attributes("IIIIQQIIIIQQ", fd, 0, 0, 0, 0, 0, 0, 0, 24, 0, abi.address(arguments), 0)
    abi.bpf(abi.PROG_TEST_RUN, attr)


def is_whole(record: event.Event) -> bool:
    """True when every field of a record agrees with its number."""
    number = record.address
    return (
        record.duration == number & 0xFFFF
        and record.pages == number * 2654435761 & MASK32
        and record.objects == ~number & MASK32
        and record.detail == number & 7
        and record.kind in (0, 1)
    )
