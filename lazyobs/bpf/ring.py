# SPDX-License-Identifier: MIT
"""Reading a BPF ring buffer (kernel/bpf/ringbuf.c) by mapping it: whole batches, no call per record.

A record is an 8-byte header (length, with a busy and a discarded bit) and the event. All records have one
size, and the kernel maps the data twice in a row, so any batch is one piece of memory. The headers are
read first: the first busy one ends the batch, and what lies before it is complete. Everything is copied
before the consumer position moves, because the room is the kernel's again then.

x86 keeps loads in order, and stores behind earlier loads; elsewhere each step is fenced.
"""

from __future__ import annotations

import mmap
import os
import platform
import select
import struct
from typing import TYPE_CHECKING, Any

from lazyobs.bpf import abi
from lazyobs.bpf.event import BYTES, LAYOUT, dtype
from lazyobs.unix import syscalls

if TYPE_CHECKING:
    import numpy

_HEADER = 8
STRIDE = _HEADER + BYTES
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_RECORD = struct.Struct("@8x" + LAYOUT.format.lstrip("="))
assert _RECORD.size == STRIDE

Values = tuple[int, int, int, int, int, int, int, int, int, int, int, bytes]

_GLOBAL_EXPEDITED = 2  # enum membarrier_cmd


class RingError(RuntimeError):
    """A record of another size: the ring is not ours, or its memory has been written over."""


def _no_fence() -> None:
    """x86: the order of our loads and stores is the program's."""


def _fence() -> None:
    """A full barrier of this CPU: membarrier(2) begins with one, whoever else is registered (4.16)."""
    syscalls.call("membarrier", _GLOBAL_EXPEDITED, 0, 0)


class Ring:
    """The consumer's side of one ring. One reader only: two would take each other's records."""

    def __init__(self, fd: int, size: int | None = None) -> None:
        """``fd`` is a BPF_MAP_TYPE_RINGBUF and may be closed afterwards; ``size`` is asked of the kernel.

        OSError when it cannot be mapped, or where reads have to be fenced and membarrier(2) is refused.
        """
        self._fence = _no_fence if platform.machine() in ("x86_64", "i686") else _fence
        self._fence()
        page = mmap.PAGESIZE
        if size is None:
            size = struct.unpack_from("=6I", abi.object_info(fd))[4]
        self.size = size
        self._mask = size - 1
        self._consumer_page = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer_pages = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        # Casts to "Q" are read and written as one word; struct would copy byte by byte.
        self._consumer = memoryview(self._consumer_page).cast("Q")
        self._producer = memoryview(self._producer_pages)[:page].cast("Q")
        self._data = memoryview(self._producer_pages)[page:]
        self._words, self._long_words = self._data.cast("I"), self._data.cast("Q")
        self._fd = os.dup(fd)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def fileno(self) -> int:
        """For select and poll: readable when the producer has woken the reader."""
        return self._fd

    def wait(self, seconds: float) -> bool:
        """Until the producer says that much waits (True) or the time is over; for little it does not say so."""
        return bool(self._poll.poll(round(seconds * 1000)))

    def waiting(self) -> int:
        """Bytes between the reader and the producer."""
        return self._producer[0] - self._consumer[0]

    def read(self, most: int = 512) -> list[Values]:
        """The light path: up to ``most`` events as plain tuples (``Event._make`` names their fields).

        Empty when nothing is ready. In small batches, few tuples are alive at a time and the garbage
        collector has no reason to look at them.
        """
        position = self._consumer[0]
        count = self._ready(position, most)
        if not count:
            return []
        start = position & self._mask
        headers = self._words[start // 4 : (start + count * STRIDE) // 4 : STRIDE // 4].tolist()
        skip = None
        if headers.count(BYTES) != count:
            count = _whole(headers)
            skip = [header & _DISCARDED for header in headers[:count]]
        self._fence()
        batch = self._data[start : start + count * STRIDE]
        events: list[Values] = list(_RECORD.iter_unpack(batch))  # type: ignore[arg-type]
        self._release(position + count * STRIDE)
        if skip is not None and any(skip):
            return [event for event, discarded in zip(events, skip) if not discarded]
        return events

    def read_records(self, most: int = 4096) -> bytearray:
        """The path of recordings: up to ``most`` events as they lie in memory, event.BYTES each; see event.column()."""
        position = self._consumer[0]
        count = self._ready(position, most)
        start = position & self._mask
        headers = self._words[start // 4 : (start + count * STRIDE) // 4 : STRIDE // 4].tolist()
        plain = headers.count(BYTES) == count
        if not plain:
            count = _whole(headers)
        self._fence()
        words = self._long_words[start // 8 : (start + count * STRIDE) // 8]
        found = bytearray(count * BYTES)
        into = memoryview(found).cast("Q")
        for word in range(BYTES // 8):
            into[word :: BYTES // 8] = words[word + 1 :: STRIDE // 8]
        self._release(position + count * STRIDE)
        if plain:
            return found
        kept = (number for number, header in enumerate(headers[:count]) if not header & _DISCARDED)
        return bytearray(b"".join(found[number * BYTES : (number + 1) * BYTES] for number in kept))

    def read_array(self, most: int = 4096) -> numpy.ndarray[Any, Any]:
        """The bulk path: up to ``most`` events as a structured array of ``event.dtype()``."""
        import numpy

        position = self._consumer[0]
        count = self._ready(position, most)
        start = position & self._mask
        # Nine words a record: the header, and eight of the event.
        words = numpy.frombuffer(self._data, "<u8", count * (STRIDE // 8), start).reshape(count, STRIDE // 8)
        headers = words[:, 0].astype("<u4")
        plain = bool((headers == BYTES).all())
        if not plain:
            count = _whole(headers.tolist())
            headers = headers[:count]
        self._fence()
        events = words[:count, 1:].copy()
        if not plain:
            events = events[(headers & _DISCARDED) == 0]
        self._release(position + count * STRIDE)
        found: numpy.ndarray[Any, Any] = events.view(dtype()).reshape(-1)
        return found

    def _ready(self, position: int, most: int) -> int:
        """Records up to the producer's position, busy ones included."""
        ready = (self._producer[0] - position) // STRIDE
        self._fence()
        return min(ready, most)

    def _release(self, position: int) -> None:
        self._fence()
        self._consumer[0] = position

    def close(self) -> None:
        os.close(self._fd)
        for view in (self._words, self._long_words, self._data, self._producer, self._consumer):
            view.release()
        self._producer_pages.close()
        self._consumer_page.close()


def _whole(headers: list[int]) -> int:
    """Records before the first one that is still being written. RingError for one of another size."""
    for index, header in enumerate(headers):
        if header & _BUSY:
            return index
        if header & ~_DISCARDED != BYTES:
            raise RingError(f"a record of {header & ~_DISCARDED} bytes among records of {BYTES}")
    return len(headers)
