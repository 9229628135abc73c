# SPDX-License-Identifier: MIT
"""Reading the maps through their descriptors: no BCC, no privileges beyond holding the fd."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lazyobs.bpf import abi
from lazyobs.bpf.slots import HISTOGRAM_IDS, KERNEL_SLOTS, PROCESS_SLOTS, TOTAL_SLOTS
from lazyobs.model import HISTOGRAM_SLOTS

_PROCESS_HEAD = struct.Struct("=QII16s")
_PROCESS = struct.Struct(f"{_PROCESS_HEAD.format}{len(PROCESS_SLOTS)}Q")
_KEY_ZERO = bytes(4)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_MAP_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True)
class ProcessCounts:
    """One entry of the map ``processes``: identity is (tgid, start_boottime in ns)."""

    tgid: int
    start_boottime: int
    uid: int
    comm: bytes
    counts: tuple[int, ...]  # by PROCESS_SLOTS


def possible_cpus(sys_root: str = "/sys") -> int:
    """Number of values in a per-CPU map, from .../cpu/possible ("0-3" or "0-1,4-5")."""
    with open(f"{sys_root}/devices/system/cpu/possible", encoding="ascii") as file:
        ranges = file.read().strip().split(",")
    return max(int(part.split("-")[-1]) for part in ranges) + 1


def per_cpu_sums(fd: int, key: int, words: int, cpus: int) -> list[int]:
    """A per-CPU value of ``words`` 64-bit counts, summed over the CPUs."""
    raw = abi.map_lookup(fd, struct.pack("=I", key), words * 8 * cpus)
    counts = array("Q", raw)
    return [sum(counts[word::words]) & 0xFFFFFFFFFFFFFFFF for word in range(words)]


def totals(fd: int, cpus: int) -> dict[str, int]:
    """{slot name: count} of everything since attach."""
    return dict(zip(TOTAL_SLOTS, per_cpu_sums(fd, 0, len(TOTAL_SLOTS), cpus)))


def exited(fd: int, cpus: int) -> dict[str, int]:
    """{slot name: count} of ended processes."""
    return dict(zip(PROCESS_SLOTS, per_cpu_sums(fd, 0, len(PROCESS_SLOTS), cpus)))


def histograms(fd: int, cpus: int) -> dict[str, tuple[int, list[int]]]:
    """{series: (sum, counts by slot of the schema)}; the kernel's higher slots go to the last one."""
    found = {}
    for number, name in enumerate(HISTOGRAM_IDS):
        total, *slots = per_cpu_sums(fd, number, 1 + KERNEL_SLOTS, cpus)
        last = HISTOGRAM_SLOTS - 1
        found[name] = (total, [*slots[:last], sum(slots[last:])])
    return found


def merged(entries: Iterable[ProcessCounts]) -> list[ProcessCounts]:
    """Each process once: one that is in a seat and in the hash has the sum of both."""
    found: dict[tuple[int, int], ProcessCounts] = {}
    for entry in entries:
        identity = entry.tgid, entry.start_boottime
        other = found.get(identity)
        if other is not None:
            counts = tuple(a + b & 0xFFFFFFFFFFFFFFFF for a, b in zip(entry.counts, other.counts))
            entry = replace(entry, counts=counts)
        found[identity] = entry
    return list(found.values())


class Seats:
    """Reader of ``seats`` (struct seat in probes/lazyobs.h): the processes that have one. No call to the kernel.

    The array is mapped, which takes a descriptor that may write (a read-only one has no shared mappings).
    The kernel lets a mapping made to read never become one to write, and ``fd`` may be closed afterwards.
    OSError where it cannot be mapped.
    """

    _OPEN = 1 << 32  # SEAT_OPEN()
    _WORDS = 1 + _PROCESS.size // 8  # the owner, then the process
    _HEAD = _WORDS - len(PROCESS_SLOTS)

    def __init__(self, fd: int) -> None:
        entries = struct.unpack_from("=6I", abi.object_info(fd))[4]
        self._bytes = -(-entries * self._WORDS * 8 // mmap.PAGESIZE) * mmap.PAGESIZE
        # Not Python's mmap: it keeps a duplicate of the descriptor, which could write, for as long as it lives.
        self._at = _libc.mmap(None, self._bytes, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if self._at == _MAP_FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        content = (ctypes.c_uint64 * (entries * self._WORDS)).from_address(self._at)
        self._words = memoryview(content).cast("B").cast("Q").toreadonly()

    def read(self) -> list[ProcessCounts]:
        """A seat that changes its owner while it is read is left out: a process has ended."""
        owners = self._words[:: self._WORDS].tolist()
        open_seats = [index for index, owner in enumerate(owners) if owner & self._OPEN]
        found = [self._process(index * self._WORDS, owners[index]) for index in open_seats]
        return [entry for entry in found if entry is not None]

    def _process(self, at: int, owner: int) -> ProcessCounts | None:
        head = self._words[at + 1 : at + self._HEAD].tobytes()
        counts = self._words[at + self._HEAD : at + self._WORDS].tolist()  # word by word: no count is torn
        if self._words[at] != owner:
            return None
        start, uid, _unused, comm = _PROCESS_HEAD.unpack(head)
        return ProcessCounts(owner & 0xFFFFFFFF, start, uid, comm, tuple(counts))

    def close(self) -> None:
        self._words.release()
        _libc.munmap(self._at, self._bytes)


class ProcessMap:
    """Batch reader of ``processes`` (BPF_MAP_LOOKUP_BATCH, 5.6): those that found their seat taken.

    Buffers are kept between readings.
    """

    def __init__(self, fd: int, batch: int = 1024) -> None:
        self._fd = fd
        self._allocate(batch)

    def _allocate(self, batch: int) -> None:
        self._batch = batch
        self._keys = ctypes.create_string_buffer(4 * batch)
        self._values = ctypes.create_string_buffer(_PROCESS.size * batch)

    def read(self) -> list[ProcessCounts]:
        """All entries. Entries made or removed meanwhile may be missing or appear, never be torn."""
        while True:
            try:
                return self._read_all()
            except OSError as error:
                if error.errno != errno.ENOSPC:  # a bucket with more entries than the batch has room for
                    raise
                self._allocate(self._batch * 2)

    def _read_all(self) -> list[ProcessCounts]:
        entries: list[ProcessCounts] = []
        token = ctypes.create_string_buffer(8)
        first = True
        while True:
            attr = abi.attributes(
                "QQQQ II QQ",
                0 if first else abi.address(token), abi.address(token),
                abi.address(self._keys), abi.address(self._values),
                self._batch, self._fd, 0, 0,
            )  # fmt: skip
            last = False
            try:
                abi.bpf(abi.MAP_LOOKUP_BATCH, attr)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                last = True
            count = struct.unpack_from("=I", attr, 32)[0]
            entries += self._decode(count)
            if last:
                return entries
            first = False

    def _decode(self, count: int) -> list[ProcessCounts]:
        keys = struct.unpack_from(f"={count}I", self._keys)
        values = memoryview(self._values)[: count * _PROCESS.size]
        return [
            ProcessCounts(tgid, start, uid, comm, tuple(counts))
            for tgid, (start, uid, _unused, comm, *counts) in zip(keys, _PROCESS.iter_unpack(values))
        ]


def program_stats(fd: int) -> tuple[int, int, int]:
    """(run time ns, runs, recursion misses) of a program; the first two stay 0 unless statistics are on."""
    info = abi.object_info(fd, 232)
    # struct bpf_prog_info: run_time_ns at 192, run_cnt at 200, recursion_misses at 208 (5.12)
    values = [struct.unpack_from("=Q", info, at)[0] if len(info) >= at + 8 else 0 for at in (192, 200, 208)]
    return values[0], values[1], values[2]


def read_iterator(link_fd: int) -> bytes:
    """One whole pass of an iterator."""
    fd = abi.iter_create(link_fd)
    parts: list[bytes] = []
    try:
        while True:
            try:
                part = os.read(fd, 1 << 16)
            except InterruptedError:
                continue
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(fd)
