# SPDX-License-Identifier: MIT
"""The cost of a recording: bytes on disk per event and per sample, CPU per million events and per sample.

The test producer sends events at full speed through the ring, in the mix of one workload: fields that vary between
real records vary here too. Samples are of this machine. The peer of a running recorder is procps' top, which reads /proc at
the same pace; both run at the same time, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
import psutil

from bench.held import pss
from lazyobs.bpf import event
from lazyobs.recording import samples
from lazyobs.recording.directory import Directory
from lazyobs.recording.events import event_rows
from lazyobs.recording.writer import Store
from lazyobs.sources.open import open_live
from tests.bpf import ring_producer as producer

EVENTS = 1_000_003
BATCH = 4096
SAMPLES = 101
SETTLED, STEADY = 10, 30  # seconds


def _plausible_events(count: int) -> numpy.ndarray[Any, Any]:
    """Events like those of a busy machine: 211 processes, log-normal times, scattered addresses."""
    chance = numpy.random.default_rng(211)
    found = numpy.zeros(count, event.dtype())
    process = chance.integers(0, 211, count)
    found["stamp"] = numpy.cumsum(chance.exponential(20_000, count)).astype("u8") + 10**13
    found["start"] = (process * 7_919_000_003).astype("u8")
    found["tgid"] = found["tid"] = process * 3 + 1000
    found["address"] = chance.integers(0x7F00_0000_0, 0x7FFF_FFFF_F, count).astype("u8") << 12
    found["duration"] = numpy.exp(chance.normal(8, 1, count)).astype("u4")
    found["pages"] = chance.integers(1, 1024, count)
    found["objects"] = numpy.exp(chance.normal(2, 1, count)).astype("u4")
    found["cpu"] = chance.integers(0, 8, count)
    found["kind"] = chance.integers(0, len(event.KINDS), count)
    found["detail"] = chance.integers(0, 8, count)
    found["comm"] = numpy.array([f"process-{number}".encode() for number in range(211)], "S16")[process]
    return found


class _Recording:
    """A recording in a directory of its own that is measured and removed."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(dir="/var/tmp"))
        self._path = self._place / "recording"
        self.store = Store(Directory(str(self._path)), {}, 1.0)
        self._before = time.process_time()

    def finish(self, *tables: str) -> tuple[int, float]:
        """(bytes of the tables' files, CPU seconds since the start), Parquet and sync included."""
        self.store.close()
        seconds = time.process_time() - self._before
        size = sum(file.stat().st_size for table in tables for file in self._path.glob(f"{table}-*"))
        shutil.rmtree(self._place)
        return size, seconds


def _of_events() -> dict[str, float]:
    found = _plausible_events(EVENTS)
    recording = _Recording()
    for start in range(0, EVENTS, BATCH):
        recording.store.append("events", event_rows(found[start : start + BATCH].tobytes(), 10**18))
        recording.store.maintain()
    size, seconds = recording.finish("events")
    return {
        "bytes_per_event": round(size / EVENTS, 2),
        "raw_bytes_per_event": event.BYTES,
        "cpu_seconds_per_million": round(seconds / EVENTS * 1e6, 3),
    }


def _through_the_ring() -> dict[str, float]:
    """From the ring to the disk: reading and writing, without the cost of producing the events."""
    from lazyobs.bpf.ring import Ring

    session = producer.load(2048)
    made = producer.Producer(session)
    made.want()
    ring = Ring(session.maps["events"])
    recording = _Recording()
    seconds, written = 0.0, 0
    while written < EVENTS:
        made.emit(min(ring.size // 72, EVENTS - written), written)
        before = time.process_time()
        while len(batch := ring.read_records()):
            recording.store.append("events", event_rows(batch, 10**18))
            written += len(batch) // event.BYTES
        recording.store.maintain()
        seconds += time.process_time() - before
    before = time.process_time()
    recording.finish("events")
    seconds += time.process_time() - before
    ring.close()
    session.close()
    return {"events": written, "cpu_seconds_per_million": round(seconds / written * 1e6, 3)}


def _of_samples() -> dict[str, float]:
    source = open_live(keep_root=True).source
    taken = []
    for _ in range(SAMPLES):
        taken.append(source.read())
        time.sleep(0.01)
    source.close()
    recording = _Recording()
    for number, sample in enumerate(taken, 1):
        recording.store.append("processes", samples.process_rows(number, sample.processes))
        recording.store.append("samples", samples.sample_row(number, number, sample))
        recording.store.maintain()
    size, seconds = recording.finish("processes", "samples")
    rows = sum(len(sample.processes) for sample in taken)
    return {
        "processes": round(rows / SAMPLES, 1),
        "bytes_per_sample": round(size / SAMPLES, 1),
        "bytes_per_process": round(size / rows, 2),
        "cpu_milliseconds_per_sample": round(seconds / SAMPLES * 1e3, 3),
    }


def _while_it_runs() -> dict[str, float]:
    """CPU of ``lazyobs record`` and of top, a sample a second, from the SETTLED-th second on; and that of the start."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    seconds = str(SETTLED + STEADY + 5)
    recorder = [sys.executable, "-m", "lazyobs", "record", "-o", str(place / "r"), "--duration", seconds]
    commands = [recorder, ["top", "-b", "-d", "1", "-n", seconds]]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    used = []
    for wait in (SETTLED, STEADY):
        time.sleep(wait)
        used.append([_cpu_seconds(process.pid) for process in running])
    recorder_pid = running[0].pid
    memory = sum(pss(pid) for pid in (recorder_pid, *(one.pid for one in psutil.Process(recorder_pid).children(True))))
    for process in running:
        process.wait()
    shutil.rmtree(place)
    ours, theirs = ((after - before) / STEADY for before, after in zip(*used))
    return {
        "cpu_percent": round(100 * ours, 2),
        "cpu_percent_of_top": round(100 * theirs, 2),
        "ratio": round(ours / theirs, 3),
        "pss_bytes": memory,
        "cpu_seconds_of_the_start": round(used[0][0] - SETTLED * ours, 3),
    }


def _cpu_seconds(pid: int) -> float:
    """Of all threads of a process, from the scheduler: ticks of 10 ms would be too coarse."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def run() -> dict[str, Any]:
    """Needs root, BPF, pyarrow and procps."""
    return {
        "events": _of_events(),
        "through_the_ring": _through_the_ring(),
        "samples": _of_samples(),
        "running": _while_it_runs(),
    }


if __name__ == "__main__":
    json.dump(run(), sys.stdout, indent=1)
    print()
