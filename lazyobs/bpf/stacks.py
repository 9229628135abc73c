# SPDX-License-Identifier: MIT
"""Kernel stacks of both sides of a long wait for the lock of a root anon_vma (probes/stacks.h), by the event of it."""

from __future__ import annotations

import struct
from typing import NamedTuple

from lazyobs.bpf import abi
from lazyobs.bpf.event import Event
from lazyobs.bpf.layouts import Field, Layout

MAP = "kernel_stacks"
ENTRIES = 1024
FRAMES = 24

STACK = Layout(
    "kernel_stack",
    (
        Field("since", "u64", "ns, CLOCK_MONOTONIC: of the wait, or of the hold"),
        Field("until", "u64", "of a hold its end, ns, CLOCK_MONOTONIC"),
        Field("root", "u64", "of a hold that a task has asked for"),
        Field("asked", "u64", "when, ns, CLOCK_MONOTONIC"),
        Field("holder", "u32", "of a wait the thread that had the lock, 0 where it is not known"),
        Field("frames", "u32"),
        Field("address", "u64", "of the innermost frame first", FRAMES),
    ),
)
_PACKED = STACK.struct()


class Stacks(NamedTuple):
    """Return addresses, innermost first; () where the stack is not known."""

    waiter: tuple[int, ...] = ()
    holder: tuple[int, ...] = ()


class _Kept(NamedTuple):
    since: int
    until: int
    holder: int
    address: tuple[int, ...]


class StackMap:
    """Reader of the map ``kernel_stacks``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def of(self, wait: Event) -> Stacks:
        """Those of a lock_wait, soon after it: the map is small.

        The holder's is that of the hold in which the wait began: it is kept as the hold ends, by the probe point
        ``holds``, and only until another task waits for that holder.
        """
        waiter = self._read(wait.stamp, wait.tid)
        if waiter is None:
            return Stacks()
        holder = self._read(0, waiter.holder) if waiter.holder else None
        if holder is None or not holder.since <= waiter.since <= holder.until:
            return Stacks(waiter.address)
        return Stacks(waiter.address, holder.address)

    def _read(self, stamp: int, tid: int) -> _Kept | None:
        try:
            values = _PACKED.unpack(abi.map_lookup(self._fd, struct.pack("=QQ", stamp, tid), _PACKED.size))
        except FileNotFoundError:
            return None
        numbers, addresses = values[:-FRAMES], values[-FRAMES:]
        found = dict(zip((field.name for field in STACK.fields), numbers))
        return _Kept(found["since"], found["until"], found["holder"], addresses[: found["frames"]])


def c_stacks() -> str:
    return f"#define KERNEL_STACKS {ENTRIES}\n{STACK.c_struct()}\n"
