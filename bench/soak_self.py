# SPDX-License-Identifier: MIT
"""Staying power: ``record``, ``export`` and ``top -b`` together, while processes, threads, cgroups and mappings come and
go (bench/churn.py). ``python -m bench.soak_self [SECONDS [SPEED [EVERY]]]`` (make soak-self): exit status 1 where something
grew, or was miscounted, or where the control was not caught. With a speed their clocks run that much faster
(fast_clock.py): ``86400 48`` is a day of theirs in half an hour. The load and the limits stay as they are. EVERY: seconds
from sample to sample, and the load is less in proportion, for hours in a guest (bench/hours.py).

What each process holds is sampled: memory, descriptors, threads, BPF objects; and the exporter's entries of processes
beyond those that there are. A slope is held to a limit (bench/flat.py) over the last three quarters of the time. Beside
them runs a process that leaks four times the limit of everything (bench/leaking.py): where that is not found, "flat"
says nothing.

At the end, totals are held to a second source, and have to be equal: what ``record`` counted of the load it ran, and
``top`` in the row of the load, to what the load did; the exporter's count of all forks of the machine to the kernel's own
histogram of clone flags (CONFIG_HIST_TRIGGERS), or to bpftrace's where there is none, both between two moments at which
nothing forked. No BPF object that was seen may be left.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from bench.bpftrace import tracefs
from bench.counting_guest import PATIENCE
from bench.exporter import exporter, get, number
from bench.fast_clock import lazyobs
from bench.flat import FLAT, GROWS, judge
from bench.held import Object, held, still_there
from lazyobs.recording.reader import Recording
from lazyobs.soak.trend import blocks

SECONDS = 1800.0
_ROOT = Path(__file__).resolve().parent.parent
_POINTS = 360
_KIB = 1024
# What may come in the time judged, whatever its length.
LIMITS = {"rss": 512 * _KIB, "pss": 512 * _KIB, "fds": 1, "threads": 1, "bpf_objects": 1, "stale_entries": 1}
_LEAKED = 4  # times the limit, by the control
_CONTROL = "control"
_TOOLS = ("record", "export", "top")
_CLONE_THREAD = 0x10000
_FORKS = f"tracepoint:task:task_newtask /!(args->clone_flags & {_CLONE_THREAD:#x})/ {{ @forks = count(); }}"


class Histogram:
    """The second source of forks: a trigger on the tracepoint, which counts without BPF."""

    name = "kernel's histogram"
    _place = Path("/sys/kernel/tracing/events/task/task_newtask")
    _trigger = "hist:keys=clone_flags"

    @classmethod
    def is_there(cls) -> bool:
        return (cls._place / "hist").exists()

    def __init__(self) -> None:
        self._write(self._trigger)

    def _write(self, text: str) -> None:
        (self._place / "trigger").write_text(text)

    def forks(self) -> int:
        text = (self._place / "hist").read_text()
        if not re.search(r"^\s*Dropped: 0$", text, re.MULTILINE):
            raise RuntimeError("the histogram has dropped forks")
        rows = re.findall(r"clone_flags:\s+(\d+) \} hitcount:\s+(\d+)", text)
        return sum(int(hits) for flags, hits in rows if not int(flags) & _CLONE_THREAD)

    def end(self) -> None:
        self._write(f"!{self._trigger}")


class Bpftrace:
    """The second source where the kernel has no histograms: a program that bpftrace makes, whose count it prints when it
    gets SIGUSR1. It is not asked at a fork that preempts a task within a call to bpf(2): on a kernel that preempts its
    own code it may count too few."""

    name = "bpftrace"

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["bpftrace", "-f", "json", "-B", "line", "-e", _FORKS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._until("attached_probes")

    def forks(self) -> int:
        self.process.send_signal(signal.SIGUSR1)
        return int(self._until("map")["data"]["@forks"])

    def end(self) -> None:
        _end(self.process)

    def _until(self, kind: str) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() and (found := json.loads(line))["type"] == kind and found["data"]:
                return found
        raise RuntimeError("bpftrace ended")


def run(seconds: float = SECONDS, speed: float = 1.0, between: float = 1.0) -> dict[str, Any]:
    """Needs root, and bpftrace where the kernel has no histograms. RuntimeError where one of the processes ends early.
    ``seconds`` are those of clocks of that ``speed``, and so are those ``between`` two samples."""
    asked, seconds = seconds, seconds / speed
    every = f"{max(between, round(speed / 2)):g}"  # at most two samples in a second
    with tracefs(), tempfile.TemporaryDirectory(prefix="lazyobs-soak-self-") as name, contextlib.ExitStack() as stack:
        place = Path(name)
        peer = Histogram() if Histogram.is_there() else Bpftrace()
        stack.callback(peer.end)
        url, exporting = stack.enter_context(exporter(speed))
        last: dict[str, Any] = {}
        top = stack.enter_context(_top(place / "workload.json", last, speed, every))
        before = _at_rest(url, peer)
        command = [
            sys.executable,
            str(_ROOT / "bench/churn.py"),
            str(seconds),
            str(place / "workload.json"),
            str(between),
        ]
        record = _started(
            speed, "record", "-o", str(place / "r"), "-d", every, "--progress", "none", "--barrier", f"{60 * speed:g}",
            "--", *command,
        )  # fmt: skip
        stack.callback(_end, record)
        control = subprocess.Popen(
            [sys.executable, "-m", "bench.leaking", str(seconds), str(_LEAKED * 512 * 4 // 3), str(_LEAKED * 4 // 3 + 1)],
            cwd=_ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(_end, control)
        watched = {"record": record, "export": exporting, "top": top, _CONTROL: control}
        series, objects = _watched(watched, url, seconds)
        if record.wait(PATIENCE) != 0:
            raise RuntimeError(f"record ended with {record.returncode}")
        after = _at_rest(url, peer)
        told = json.loads((place / "workload.json").read_text())
        equal = _equalities(place / "r", told, last, before, after)
        bytes_recorded = sum(file.stat().st_size for file in (place / "r").iterdir())
    left = still_there(objects)
    judged = {name: _judged(one) for name, one in series.items()}
    flat = all(one["word"] == FLAT for name in _TOOLS for one in judged[name].values())
    caught = all(judged[_CONTROL][name]["word"] == GROWS for name in LIMITS if name in judged[_CONTROL])
    return {
        "seconds": asked,
        "speed": speed,
        "between": between,
        "second_source": peer.name,
        "held": flat and caught and not left and all(one["ours"] == one["other"] for one in equal.values()),
        "workload": told,
        "equal": equal,
        "judged": judged,
        "control_caught": caught,
        "scrapes_refused": len(series["export"]["rss"]) - len(series["export"].get("stale_entries", [])),
        "bpf_objects_seen": len(objects),
        "bpf_objects_left": sorted(map(str, left)),
        "recorded_bytes": bytes_recorded,
    }


def _equalities(recording: Path, told: dict[str, Any], last: dict[str, Any], before: Any, after: Any) -> dict[str, Any]:
    samples = list(Recording(str(recording)).samples())
    lost = {name: samples[-1].health[name] for name in ("ring_lost", "map_full")}
    return {
        "record: forks of the command": {"ours": (samples[-1].command or {}).get("forks"), "other": told["forks"]},
        "top: forks of the load": {"ours": last.get("forks"), "other": told["own_forks"]},
        "export: forks of the machine": {"ours": after[0] - before[0], "other": after[1] - before[1]},
        "record: events lost and counts without room": {"ours": sum(value or 0 for value in lost.values()), "other": 0},
    }


def _watched(
    processes: dict[str, subprocess.Popen[Any]], url: str, seconds: float
) -> tuple[dict[str, dict[str, list[tuple[float, float]]]], set[Object]]:
    """{process: {figure: [(seconds, value)]}} until the load is over, and every BPF object of ours that was seen."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in processes}
    objects: set[Object] = set()
    began = time.monotonic()
    every = max(seconds / _POINTS, 0.5)
    due = began
    while (now := time.monotonic()) < began + seconds:
        time.sleep(max(0.0, due - now))
        due = max(due + every, time.monotonic())
        try:
            stale = {"stale_entries": max(0.0, number(get(url), "lazyobs_process_map_entries") - len(psutil.pids()))}
        except OSError:  # a scrape has ten seconds, which a machine under load may not have for it
            stale = {}
        since = time.monotonic() - began
        for name, process in processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode} after {since:.0f} s")
            figures, its = held(process.pid)
            objects |= its if name in _TOOLS else set()
            figures |= stale if name == "export" else {}
            for figure, value in figures.items():
                series[name].setdefault(figure, []).append((since, value))
    return series, objects


def _judged(series: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, points in series.items():
        times, values = zip(*points)
        curve = blocks(np.array(values, "f8"), 24).tolist()  # says a step from a slope
        found[name] = {**vars(judge(times, values, LIMITS[name])), "curve": curve}
    return found


def _at_rest(url: str, peer: Histogram | Bpftrace) -> tuple[int, int]:
    """Forks since the start by the exporter and by the second source, at a moment at which nothing forks: either, asked
    twice in turn with the other, has not moved."""
    for _ in range(2000):
        with contextlib.suppress(OSError):
            other, ours = peer.forks(), _forks(url)
            if (peer.forks(), _forks(url), peer.forks()) == (other, ours, other):
                return ours, other
        time.sleep(0.05)
    raise RuntimeError("the machine never rests: forks go on all the time")


def _forks(url: str) -> int:
    return int(number(get(url), "lazyobs_forks_total"))


def _started(speed: float, *arguments: str, **streams: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen(lazyobs(speed, *arguments), cwd=_ROOT, **streams)


@contextlib.contextmanager
def _top(report: Path, last: dict[str, Any], speed: float, every: str) -> Iterator[subprocess.Popen[Any]]:
    """``last`` gets the row of the load in the last sample that has one."""
    process = _started(speed, "top", "-b", "-d", every, "-o", "json", stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first:
        raise RuntimeError("top ended at once")
    reader = threading.Thread(target=_rows, args=(process.stdout, report, last))
    reader.start()
    try:
        yield process
    finally:
        _end(process)
        reader.join()


def _rows(lines: IO[bytes], report: Path, last: dict[str, Any]) -> None:
    """Reads all that top says. The load has said which process it is when nothing is left to be counted."""
    pid = None
    for line in lines:
        if pid is None and report.exists() and (text := report.read_text()):
            pid = json.loads(text)["pid"]
        if pid is not None:
            last |= next((row for row in json.loads(line)["processes"] if row["pid"] == pid), {})


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(PATIENCE)


def main() -> int:
    found = run(*map(float, sys.argv[1:4]))
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0 if found["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
