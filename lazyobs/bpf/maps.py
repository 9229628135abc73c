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
from typing import Any

from lazyobs.bpf import abi
from lazyobs.bpf.counts import HISTOGRAM_IDS, KERNEL_BUCKETS, PROCESS_COUNTS, TOTAL_COUNTS
from lazyobs.bpf.layouts import PROCESS, PROCESS_SLOT, Layout
from lazyobs.model import HISTOGRAM_BUCKETS
from lazyobs.unix import syscalls

_PROCESS = PROCESS.struct()
_PROCESS_HEAD = struct.Struct("=" + "".join(field.code for field in PROCESS.fields[:-1]))  # what precedes the counts
_KEY_ZERO = bytes(4)
_MOST_CPUS = 1 << 16

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
    counts: tuple[int, ...]  # by PROCESS_COUNTS


def possible_cpus(sys_root: str = "/sys") -> int:
    """Number of values in a per-CPU map, from .../cpu/possible ("0-3" or "0-1,4-5").

    Where /sys is hidden it is the number of bits in the kernel's CPU masks: perhaps too many, never too few. A value
    of a CPU that does not exist stays 0.
    """
    try:
        with open(f"{sys_root}/devices/system/cpu/possible", encoding="ascii") as file:
            ranges = file.read().strip().split(",")
    except OSError:
        mask = ctypes.create_string_buffer(_MOST_CPUS // 8)
        return 8 * syscalls.call("sched_getaffinity", 0, len(mask), mask)
    return max(int(part.split("-")[-1]) for part in ranges) + 1


def entries(fd: int) -> int:
    """Entries that a map has room for."""
    found: int = struct.unpack_from("=6I", abi.object_info(fd))[4]  # struct bpf_map_info: max_entries
    return found


def per_cpu_sums(fd: int, key: int, words: int, cpus: int) -> list[int]:
    """A per-CPU value of ``words`` 64-bit counts, summed over the CPUs."""
    return _summed(abi.map_lookup(fd, struct.pack("=I", key), words * 8 * cpus), words)


def _summed(raw: bytes, words: int) -> list[int]:
    counts = array("Q", raw)
    return [sum(counts[word::words]) & 0xFFFFFFFFFFFFFFFF for word in range(words)]


def totals(fd: int, cpus: int) -> dict[str, int]:
    """{name of the count: count} of everything since attach."""
    return dict(zip(TOTAL_COUNTS, per_cpu_sums(fd, 0, len(TOTAL_COUNTS), cpus)))


def exited(fd: int, cpus: int) -> dict[str, int]:
    """{name of the count: count} of ended processes."""
    return dict(zip(PROCESS_COUNTS, per_cpu_sums(fd, 0, len(PROCESS_COUNTS), cpus)))


Histogram = tuple[int, list[int]]  # sum, counts by bucket of the schema


class Histograms:
    """Reader of the map ``histograms``. Most are the same from one reading to the next, and are not added up again."""

    def __init__(self, fd: int, cpus: int) -> None:
        self._fd, self._cpus = fd, cpus
        self._before: dict[str, tuple[bytes, Histogram]] = {}

    def read(self) -> dict[str, Histogram]:
        """{series: histogram}; the kernel's higher buckets go to the last one."""
        words = 1 + KERNEL_BUCKETS
        found = {}
        for number, name in enumerate(HISTOGRAM_IDS):
            raw = abi.map_lookup(self._fd, struct.pack("=I", number), words * 8 * self._cpus)
            before = self._before.get(name)
            if before is None or before[0] != raw:
                before = self._before[name] = raw, _histogram(_summed(raw, words))
            found[name] = before[1]
        return found


def _histogram(words: list[int]) -> Histogram:
    total, *buckets = words
    last = HISTOGRAM_BUCKETS - 1
    return total, [*buckets[:last], sum(buckets[last:])]


def merged(entries: Iterable[ProcessCounts]) -> list[ProcessCounts]:
    """Each process once: one that is in a slot and in the hash has the sum of both."""
    found: dict[tuple[int, int], ProcessCounts] = {}
    for entry in entries:
        identity = entry.tgid, entry.start_boottime
        other = found.get(identity)
        if other is not None:
            counts = tuple(a + b & 0xFFFFFFFFFFFFFFFF for a, b in zip(entry.counts, other.counts))
            entry = replace(entry, counts=counts)
        found[identity] = entry
    return list(found.values())


class ProcessSlots:
    """Reader of ``process_slots`` (probes/lazyobs.h): the processes that have a slot. No call to the kernel.

    The array is mapped, which takes a descriptor that may write (a read-only one cannot be mapped shared). The
    kernel never lets a mapping made for reading become writable, and ``fd`` may be closed afterwards.
    OSError where it cannot be mapped.
    """

    _OPEN = 1 << 32  # SLOT_OPEN()
    _WORDS = PROCESS_SLOT.size // 8
    _HEAD = _WORDS - len(PROCESS_COUNTS)  # words before the counts

    def __init__(self, fd: int) -> None:
        size = struct.unpack_from("=6I", abi.object_info(fd))[3]  # of the only value: all slots
        slots = size // PROCESS_SLOT.size
        self._bytes = -(-slots * self._WORDS * 8 // mmap.PAGESIZE) * mmap.PAGESIZE
        # Not Python's mmap: it keeps a duplicate of the descriptor, which could write, for as long as it lives.
        self._at = _libc.mmap(None, self._bytes, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if self._at == _MAP_FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        content = (ctypes.c_uint64 * (slots * self._WORDS)).from_address(self._at)
        self._words = memoryview(content).cast("B").cast("Q").toreadonly()
        self._owners = b""
        self._taken: list[tuple[int, int]] = []  # (index of the first word, owner) of the slots with a process
        self._before: dict[
            int, tuple[list[int], ProcessCounts]
        ] = {}  # {index of the first word: (words, what they say)}

    def read(self) -> list[ProcessCounts]:
        """A slot that changes its owner while it is read is left out: its process has ended. Counts that are as they
        were in the reading before are the same object."""
        owners = self._words[:: self._WORDS].tobytes()
        if owners != self._owners:
            numbers = enumerate(memoryview(owners).cast("Q"))
            self._taken = [(index * self._WORDS, owner) for index, owner in numbers if owner & self._OPEN]
            self._owners = owners
        found = {}
        for at, owner in self._taken:
            words = self._words[at : at + self._WORDS].tolist()  # word by word: no count is torn
            if not words[0] == owner == self._words[at]:
                continue
            before = self._before.get(at)
            found[at] = before if before is not None and before[0] == words else (words, self._process(words))
        self._before = found
        return [counts for _, counts in found.values()]

    def _process(self, words: list[int]) -> ProcessCounts:
        start, uid, _unused, comm = _PROCESS_HEAD.unpack(struct.pack(f"={self._HEAD - 1}Q", *words[1 : self._HEAD]))
        return ProcessCounts(words[0] & 0xFFFFFFFF, start, uid, comm, tuple(words[self._HEAD :]))

    def close(self) -> None:
        self._words.release()
        _libc.munmap(self._at, self._bytes)


class BatchReader:
    """Reads a hash in batches (BPF_MAP_LOOKUP_BATCH, 5.6). Buffers are kept between readings."""

    def __init__(self, fd: int, key: str, value: Layout, batch: int = 1024) -> None:
        """``key``: its format for the struct module."""
        self._fd, self._key, self._value = fd, struct.Struct("=" + key), value.struct()
        self._allocate(batch)

    def _allocate(self, batch: int) -> None:
        self._batch = batch
        self._keys = ctypes.create_string_buffer(self._key.size * batch)
        self._values = ctypes.create_string_buffer(self._value.size * batch)

    def read(self) -> list[tuple[Any, tuple[Any, ...]]]:
        """(key, fields of the value) of all entries. Entries made or removed meanwhile may be missing or appear, never
        be torn."""
        while True:
            try:
                return self._read_all()
            except OSError as error:
                if error.errno != errno.ENOSPC:  # a bucket with more entries than the batch has room for
                    raise
                self._allocate(self._batch * 2)

    def _read_all(self) -> list[tuple[Any, tuple[Any, ...]]]:
        entries: list[tuple[Any, tuple[Any, ...]]] = []
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
            keys = memoryview(self._keys)[: count * self._key.size]
            values = memoryview(self._values)[: count * self._value.size]
            entries += zip((key for (key,) in self._key.iter_unpack(keys)), self._value.iter_unpack(values))
            if last:
                return entries
            first = False


class ProcessMap:
    """Reader of ``processes``: those that found their slot taken."""

    def __init__(self, fd: int) -> None:
        self._reader = BatchReader(fd, "I", PROCESS)

    def read(self) -> list[ProcessCounts]:
        return [
            ProcessCounts(tgid, start, uid, comm, tuple(counts))
            for tgid, (start, uid, _unused, comm, *counts) in self._reader.read()
        ]


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
