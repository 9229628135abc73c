# SPDX-License-Identifier: MIT
"""The ring reader on memory laid out by hand: busy, discarded and foreign records, wraps, batches."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator

import pytest

from lazyobs.bpf import event
from lazyobs.bpf import ring as ring_module
from lazyobs.bpf.ring import STRIDE, Ring, RingError

_PAGE = mmap.PAGESIZE
_SIZE = 4 * _PAGE
_BUSY, _DISCARDED = 1 << 31, 1 << 30


class FakeRing:
    """The pages of a ring in a file; the data is written twice, as the kernel maps it."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * _PAGE + 2 * _SIZE)
        self._produced = 0

    def put(self, number: int, flags: int = 0, length: int = event.BYTES) -> int:
        """Appends a record; returns its position."""
        position = self._produced
        record = event.LAYOUT.pack(number, 0, number * 7, 1, 2, 3, 4, 5, 6, 1, 2, b"name")
        self._write(position, struct.pack("=II", length | flags, 0) + record)
        self._produced += STRIDE
        os.pwrite(self.fd, struct.pack("=Q", self._produced), _PAGE)
        return position

    def set_header(self, position: int, header: int) -> None:
        self._write(position, struct.pack("=I", header))

    def _write(self, position: int, raw: bytes) -> None:
        for index in range(len(raw)):
            at = (position + index) % _SIZE
            for copy in (0, _SIZE):
                os.pwrite(self.fd, raw[index : index + 1], 2 * _PAGE + copy + at)

    def consumed(self) -> int:
        return int.from_bytes(os.pread(self.fd, 8, 0), "little")


@pytest.fixture
def fake() -> Iterator[FakeRing]:
    ring = FakeRing()
    yield ring
    os.close(ring.fd)


@pytest.fixture(params=["light", "bulk", "records", "light fenced", "bulk fenced", "records fenced"])
def opened(request: pytest.FixtureRequest, fake: FakeRing) -> Iterator[tuple[Ring, Callable[..., list[int]]]]:
    """A reader, and a function that reads the stamps of a batch by either path."""
    ring = Ring(fake.fd, _SIZE)
    if "fenced" in request.param:
        ring._fence = ring_module._fence

    def stamps(most: int = 4096) -> list[int]:
        if "light" in request.param:
            return [record[0] for record in ring.read(most)]
        if "records" in request.param:
            return memoryview(event.column(ring.read_records(most), "stamp")).cast("Q").tolist()
        return list(map(int, ring.read_array(most)["stamp"]))

    yield ring, stamps
    ring.close()


def test_nothing_there(fake: FakeRing, opened) -> None:
    _, stamps = opened
    assert stamps() == []
    assert fake.consumed() == 0


def test_whole_records_in_order(fake: FakeRing, opened) -> None:
    ring, stamps = opened
    for number in range(101):
        fake.put(number)
    assert ring.waiting() == 101 * STRIDE
    assert stamps() == list(range(101))
    assert fake.consumed() == 101 * STRIDE
    assert ring.waiting() == 0


def test_batches_are_limited(fake: FakeRing, opened) -> None:
    _, stamps = opened
    for number in range(53):
        fake.put(number)
    assert [stamps(23), stamps(23), stamps(23), stamps(23)] == [
        list(range(23)), list(range(23, 46)), list(range(46, 53)), [],
    ]  # fmt: skip


def test_stops_at_a_busy_record_and_goes_on_when_it_is_done(fake: FakeRing, opened) -> None:
    _, stamps = opened
    for number in range(11):
        fake.put(number)
    busy = fake.put(11, _BUSY)
    fake.put(12)
    assert stamps() == list(range(11))
    assert fake.consumed() == busy
    assert stamps() == []
    fake.set_header(busy, event.BYTES)
    assert stamps() == [11, 12]


def test_skips_discarded_records(fake: FakeRing, opened) -> None:
    _, stamps = opened
    for number in range(13):
        fake.put(number, _DISCARDED if number % 3 == 0 else 0)
    fake.put(13, _BUSY)
    assert stamps() == [number for number in range(13) if number % 3]
    assert fake.consumed() == 13 * STRIDE


def test_a_foreign_record_is_an_error(fake: FakeRing, opened) -> None:
    _, stamps = opened
    fake.put(1)
    fake.put(2, length=48)
    with pytest.raises(RingError, match="48 bytes among records of 64"):
        stamps()
    assert fake.consumed() == 0


def test_round_and_round(fake: FakeRing, opened) -> None:
    """72 does not divide the ring: records straddle its end at ever other places."""
    _, stamps = opened
    number = 0
    for _ in range(17):
        batch = [number + index for index in range(211)]
        for number in batch:
            fake.put(number)
        assert stamps() == batch
        number += 1
    assert fake.consumed() == 17 * 211 * STRIDE > 15 * _SIZE
