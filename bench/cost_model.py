# SPDX-License-Identifier: MIT
"""How the cost of lazyobs grows with the machine: CPU of one reading over processes, VMAs, cgroups and events.

Each axis has a fitted exponent, by least squares on the logarithms of size and CPU seconds, and the exponent of its last
step alone: what does not depend on the size makes the first smaller. 1 is linear, and nothing may be more; a fifth more
is the CPU's caches, which 10,000 processes do not fit into. The processes are idle children of one small program; VMAs are islands that nothing has touched.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from bench.islands import islands
from bench.live import live_source
from lazyobs.bpf import abi, census, event, maps
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.recorder.recorder import EVENTS_A_BATCH
from lazyobs.recording.events import event_rows
from lazyobs.sources.live import LiveSource
from tests.harness import cgroup_root

PROCESSES = (10, 100, 1_000, 5_000, 10_000)
CGROUPS = (10, 100, 1_000, 10_000)
VMAS = (1_000, 10_000, 100_000, 1_000_000)
EVENTS = (100, 1_000, 10_000, 100_000, 1_000_000)
CPUS = (1, 4, 16, 64, 256)
ROUNDS = 9
_VMAS_A_PROCESS = 50_000  # vm.max_map_count is 65530 by default

# Prints the pids of its children, which sleep until it ends.
_CROWD = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	pid_t parent = getpid();

	for (int left = atoi(argv[1]); left > 0; left--) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (getppid() == parent)
				pause();
		}
		printf("%d%c", pid, left > 1 ? ' ' : '\n');
	}
	fflush(stdout);
	return getchar() == EOF ? 0 : 2;
}
"""

Points = list[tuple[int, float]]  # (size, CPU seconds)


def run() -> dict[str, Any]:
    """{axis: {"points", "exponent", "last_step"}}, and by axis ``exponents``, the larger of both, the ``most`` that was
    measured, and the CPU seconds of ``each`` there. Needs root."""
    axes: dict[str, Callable[[], Points]] = {
        "processes": of_processes,
        "vmas": of_vmas,
        "cgroups": of_cgroups,
        "events": of_events,
        "cpus": of_cpus,
    }
    found = {name: fitted(measure()) for name, measure in axes.items()}
    return {name: one._asdict() for name, one in found.items()} | {
        "exponents": {name: max(one.exponent, one.last_step) for name, one in found.items()},
        "most": {name: one.points[-1][0] for name, one in found.items()},
        "each": {name: one.points[-1][1] / one.points[-1][0] for name, one in found.items()},
    }


class Fit(NamedTuple):
    """``last_step``: the exponent of the last two points alone."""

    points: Points
    exponent: float
    last_step: float


def fitted(points: Points) -> Fit:
    """The exponents of these points."""
    return Fit(points, round(exponent(points), 3), round(exponent(points[-2:]), 3))


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """b of cost = a * size**b, by least squares on the logarithms."""
    sizes, costs = ([math.log(point[at]) for point in points] for at in (0, 1))
    return statistics.linear_regression(sizes, costs).slope


def cpu_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Least CPU time of ``work``, after one round that fills what it keeps: what else runs can only add to it, through
    the caches, and more so where much is read."""
    work()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def of_processes() -> Points:
    """A whole sample of so many idle processes, those that are there anyway included."""
    points = []
    for count in PROCESSES:
        source = live_source()
        with crowd(count):
            points.append((len(source.read().processes), cpu_seconds(source.read)))
        source.close()
    return points


def of_vmas() -> Points:
    """A census of so many VMAs more than there are anyway; in processes of at most _VMAS_A_PROCESS."""
    source = live_source()
    link = source.session.links["census:task_vma"]

    def rows() -> list[census.CensusRow]:
        return census.CensusRows().read(maps.read_iterator(link))

    points = []
    for count in VMAS:
        with contextlib.ExitStack() as stack:
            for begin in range(0, count, _VMAS_A_PROCESS):
                stack.enter_context(islands(min(_VMAS_A_PROCESS, count - begin) // 2))
            points.append((sum(row.vmas for row in rows()), cpu_seconds(rows)))
    source.close()
    return points


def of_cgroups() -> Points:
    """A whole sample, folded as the exporter does, of as many processes as there are cgroups, each in its own."""
    root, fold, points = cgroup_root(), CgroupFold(3, 10), []
    for count in CGROUPS:
        source = live_source()

        def read(source: LiveSource = source) -> int:
            return fold.fold(source.read().processes).found

        with crowd(count) as pids, in_cgroups(root, pids):
            found = read()
            if found < count:
                raise RuntimeError(f"only {found} of {count} cgroups were found")
            points.append((found, cpu_seconds(read)))
        source.close()
    return points


def of_events() -> Points:
    """What ``record`` does with so many events, in its batches: rows for the file, and the longest walk."""
    kind = event.KIND_NAMES.index("rmap_walk")
    some = random.Random(23)
    one = [bytes(some.randrange(1, 100) if at % 8 == 0 else 0 for at in range(event.BYTES)) for _ in range(211)]
    points = []
    for count in EVENTS:
        records = bytearray(b"".join(one[number % len(one)] for number in range(count)))
        batch = EVENTS_A_BATCH * event.BYTES

        def rows(records: bytearray = records, batch: int = batch) -> None:
            for begin in range(0, len(records), batch):
                part = records[begin : begin + batch]
                event_rows(part, 0)
                event.longest(part, kind)

        # A round of few events is too short for the clock of CPU time.
        often = max(1, 20_000 // count)
        points.append((count, cpu_seconds(lambda rows=rows, often=often: [rows() for _ in range(often)]) / often))  # type: ignore[misc]
    return points


def of_cpus() -> Points:
    """Adding up per-CPU maps, each value of which has changed, for so many possible CPUs: the lookups are given, since
    a machine has one number of CPUs."""
    points = []
    for cpus in CPUS:
        turn = iter(range(1 << 30))

        def lookup(_fd: int, _key: bytes, size: int, turn: Iterator[int] = turn) -> bytes:
            return bytes([next(turn) & 1]) * size

        with mock.patch.object(abi, "map_lookup", lookup):

            def read(cpus: int = cpus) -> None:
                maps.totals(-1, cpus)
                maps.exited(-1, cpus)
                maps.Histograms(-1, cpus).read()

            points.append((cpus, cpu_seconds(read)))
    return points


@contextlib.contextmanager
def crowd(count: int) -> Iterator[list[int]]:
    """So many idle processes; yields their pids."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "crowd")
        subprocess.run(["gcc", "-O1", "-static", "-x", "c", "-o", program, "-"], input=_CROWD, text=True, check=True)
        process = subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        try:
            pids = [int(word) for word in process.stdout.readline().split()]
            if len(pids) != count:
                raise RuntimeError(f"only {len(pids)} of {count} processes could be started")
            yield pids
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


@contextlib.contextmanager
def in_cgroups(root: Path, pids: Sequence[int]) -> Iterator[None]:
    """Each of these processes in a cgroup of its own."""
    top = root / f"lazyobs-cost-{os.getpid()}"
    directories = [top / str(number) for number in range(len(pids))]
    top.mkdir()
    try:
        for directory, pid in zip(directories, pids):
            directory.mkdir()
            (directory / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        for directory in [*directories, top]:
            _remove(directory)


def _remove(directory: Path) -> None:
    """A cgroup can be removed a moment after its last process has ended."""
    for _ in range(1000):
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)


if __name__ == "__main__":  # one axis: python -m bench.cost_model vmas
    print(json.dumps({name: fitted(globals()[f"of_{name}"]())._asdict() for name in sys.argv[1:]}))
