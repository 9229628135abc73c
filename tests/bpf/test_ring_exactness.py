# SPDX-License-Identifier: MIT
"""What is emitted arrives or is counted as lost: nothing torn, nothing out of order, nothing twice."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator

import numpy
import pytest

from lazyobs.bpf import event
from lazyobs.bpf.ring import Ring
from lazyobs.bpf.trace_event import TraceEvent
from tests.bpf.ring_producer import MASK32, Producer, is_whole, load

pytestmark = pytest.mark.bpf

EVENTS = 1_000_003
SYSCALLS = 100_003
PAGES = 16  # 910 records: far too few


@pytest.fixture
def made(bpf: None) -> Iterator[tuple[Producer, Ring]]:
    session = load(PAGES)
    ring = Ring(session.maps["events"])
    yield Producer(session), ring
    ring.close()
    session.close()


def in_child(cpu: int, work: Callable[[], None]) -> int:
    """Runs ``work`` in a process of its own on one CPU; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.sched_setaffinity(0, {cpu})
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pids: set[int]) -> None:
    """Takes the ended ones out of ``pids``; each must have ended well."""
    for pid in list(pids):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0
            pids.discard(pid)


def make_system_calls(begin: int, count: int) -> None:
    os.read(begin, 1)
    for _ in range(count):
        os.getppid()


def overflowed(producer: Producer) -> set[int]:
    """Two processes that emit, on two CPUs where there are two; nothing is read before the ring has lost some."""
    cpus = sorted(os.sched_getaffinity(0))
    producer.want()
    begin, go = os.pipe()
    second = in_child(cpus[-1], lambda: make_system_calls(begin, SYSCALLS))
    producer.target(second)
    first = in_child(cpus[0], lambda: producer.emit(EVENTS))
    os.write(go, b"x")
    os.close(begin)
    os.close(go)
    emitting = {first, second}
    while producer.counts.lost() == 0:
        ended(emitting)
        assert emitting, "all was emitted, and nothing lost"
    return emitting


def read_events(ring: Ring, most: int = 512) -> list[event.Event]:
    return list(map(event.Event._make, ring.read(most)))


class Seen:
    """Checks batches as they come: whole records, rising numbers of each producer, rising stamps of each CPU."""

    def __init__(self) -> None:
        self.records = 0
        self.corrupt = 0
        self.disordered = 0
        self._last: dict[tuple[str, int], int] = {}

    def batch(self, found: numpy.ndarray) -> None:
        number = found["address"]
        whole = (
            (found["duration"] == (number & 0xFFFF))
            & (found["pages"] == (number * numpy.uint64(2654435761) & numpy.uint64(MASK32)))
            & (found["objects"] == (~number & numpy.uint64(MASK32)))
            & (found["detail"] == (number & 7))
            & (found["kind"] <= 1)
        )
        self.records += len(found)
        self.corrupt += int(len(found) - whole.sum())
        for kind in (0, 1):
            self._rising(("producer", kind), number[found["kind"] == kind], 1)
        for cpu in numpy.unique(found["cpu"]):
            self._rising(("cpu", int(cpu)), found["stamp"][found["cpu"] == cpu], 0)

    def _rising(self, key: tuple[str, int], values: numpy.ndarray, least: int) -> None:
        if not len(values):
            return
        steps = numpy.diff(values.astype("i8"), prepend=self._last.get(key, -1))
        self.disordered += int((steps < least).sum())
        self._last[key] = int(values[-1])


def test_recorded_plus_lost_is_emitted(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    seen, running = Seen(), overflowed(producer)
    light = 0
    while True:
        last = not running
        ended(running)
        records = read_events(ring, 101)
        assert all(is_whole(record) for record in records)
        light += len(records)
        if records:
            seen.batch(numpy.array([tuple(record) for record in records], event.dtype()))
        batch = ring.read_array()
        seen.batch(batch)
        if last and not records and not len(batch):
            break
    sent = sum(sent for sent, _ in producer.counts.read())
    emitted = EVENTS + producer.at_syscalls()
    assert producer.at_syscalls() >= SYSCALLS
    assert light > 0
    assert producer.counts.lost() > 0
    assert seen.records + producer.counts.lost() == emitted
    assert seen.records == sent
    assert (seen.corrupt, seen.disordered) == (0, 0)


def test_nothing_is_emitted_unasked(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    producer.emit(101)
    assert ring.read() == []
    assert producer.counts.read() == [(0, 0)] * len(producer.counts.read())


def test_kinds_are_filtered_in_the_kernel(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    producer.want(kinds=1 << 1)
    producer.emit(101, producer=0)
    producer.emit(23, producer=1)
    assert [record.kind for record in read_events(ring)] == [1] * 23


def test_durations_are_filtered_in_the_kernel(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    producer.want(min_ns=90)
    producer.emit(101)
    assert [record.address for record in read_events(ring)] == list(range(90, 101))


def test_names_are_filtered_in_the_kernel(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    with open("/proc/self/comm", "rb") as file:
        name = file.read().rstrip(b"\n")
    producer.want(comm=b"another")
    producer.emit(23)
    assert ring.read() == []
    producer.want(comm=name)
    producer.emit(23)
    assert len(ring.read()) == 23


def test_identity_of_the_process(made: tuple[Producer, Ring]) -> None:
    """tgid and start are those of /proc; the stamp lies between two readings of the clock."""
    producer, ring = made
    producer.want()
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    producer.emit(1)
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    (record,) = read_events(ring)
    assert record.tgid == os.getpid()
    assert before <= record.stamp <= after
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    assert record.start * os.sysconf("SC_CLK_TCK") // 1_000_000_000 == ticks


def test_the_reader_is_woken_before_the_ring_is_full(made: tuple[Producer, Ring]) -> None:
    producer, ring = made
    producer.want()
    pid = in_child(sorted(os.sched_getaffinity(0))[0], lambda: producer.emit(701))
    assert ring.wait(60)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(ring.read(1024)) == 701


def test_losses_are_told_where_they_are(made: tuple[Producer, Ring]) -> None:
    """What trace shows: 910 events found room, the rest of 2,003 is one line behind them."""
    from lazyobs.bpf.event_filter import EventFilter
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.sources.live_trace import LiveTrace

    producer, _ = made
    stream = EventStream(producer.session)
    stream.begin(EventFilter(("fork", "promotion")))
    source = LiveTrace(stream, None)
    producer.emit(2003)
    found: list[TraceEvent] = []
    while len(found) < 911:
        found += source.read(0)
    assert sorted(one.kind for one in found) == ["fork"] * 910 + ["lost"]
    assert [one.objects for one in found if one.kind == "lost"] == [2003 - 910]
    assert source.lost == 2003 - 910
    assert source.read(0) == []
    stream.close()
