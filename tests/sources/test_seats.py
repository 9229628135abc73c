# SPDX-License-Identifier: MIT
"""Counts stay exact where processes share CPUs, slots and their last moments."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from lazyobs.bpf import abi, maps
from lazyobs.bpf.counts import PROCESS_COUNTS
from lazyobs.bpf.layouts import ENTRIES
from lazyobs.bpf.maps import ProcessCounts
from tests.harness import ROOT, Islands, process_of, skip

SLOTS = ENTRIES["PROCESS_SLOTS"]
PID_MAX = int(Path("/proc/sys/kernel/pid_max").read_text())
SUMMED = ("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees", "forks", "fork_chains", "prepares")


@pytest.fixture(scope="session")
def crowd_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("crowd") / "crowd"
    source = ROOT / "tests/workloads/crowd.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-pthread", "-o", program, source], check=True)
    return program


@pytest.fixture
def crowd(crowd_program):
    """Function that starts ``crowd`` and waits for its "ok"; all are ended with the test."""
    started = []

    def start(*arguments: object) -> subprocess.Popen:
        command = [str(crowd_program), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ok\n"
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def deficits(source) -> dict[str, int]:
    """totals - exited - rows. A reading takes a while, in which processes act and end: what was missed by
    one reading is in the next, what is lost stays lost. So the best of many readings is looked at."""
    best: dict[str, int] = {}
    for _ in range(101):
        sample = source.read()
        for name in SUMMED:
            rows = sum(process.counts[name] for process in sample.processes)
            deficit = sample.totals[name] - sample.exited[name] - rows
            if name not in best or abs(deficit) < abs(best[name]):
                best[name] = deficit
        if not any(best.values()):
            break
    return best


def test_many_processes_on_one_cpu_are_told_apart(live, islands):
    source = live()
    programs = [islands(count) for count in (23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67) * 3]
    for program in programs:
        os.sched_setaffinity(program.pid, {0})
    before = {process.pid: process.counts["prepares"] for process in source.read().processes}
    for program in programs:
        program.tell("touch")
    now = {process.pid: process.counts["prepares"] for process in source.read().processes}
    assert [now[one.pid] - before.get(one.pid, 0) for one in programs] == [one.count for one in programs]


def test_threads_on_all_cpus_count_for_one_process(live, crowd):
    source = live()
    programs = [crowd("threads", count, 2) for count in (22, 5003)]
    sample = source.read()
    few, many = (process_of(sample, program.pid).counts for program in programs)
    for name in ("prepares", "anon_vma_allocs", "chain_allocs"):
        assert many[name] - few[name] == 5003 - 22, name


def test_processes_that_come_and_go_lose_nothing(live, crowd):
    source = live()
    before = source.read()
    children, count = 503, 23
    crowd("churn", children, count)
    after = source.read()
    # Each child's islands, and whatever else it touched.
    assert after.exited["prepares"] - before.exited["prepares"] >= children * count
    assert after.health["map_full"] == 0
    assert deficits(source) == dict.fromkeys(SUMMED, 0)


def test_who_ends_while_the_probes_attach_is_forgotten(live):
    """Otherwise its entry would stay for ever."""
    churn = subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"])
    try:
        sources = [live() for _ in range(3)]
    finally:
        churn.kill()
        churn.wait()
    for source in sources:
        first, second = source.read(), source.read()
        both = {one.pid for one in first.processes} & {one.pid for one in second.processes}
        gone = {pid for pid in both if not Path(f"/proc/{pid}").exists()}  # also those that have just ended
        assert gone & {one.pid for one in source.read().processes} == set()


class Chosen(Islands):
    """Islands in a process whose pid is chosen: ``pid`` or the next free one that points to the same slot."""

    def __init__(self, crowd: Path, islands: Path, count: int, pid: int) -> None:
        for number in range(pid, PID_MAX, SLOTS):
            self.count = count
            self.pid = number
            command = list(map(str, (crowd, "run", number, islands, count)))
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if self._process.stdout.readline() == b"ok\n":
                return
            self.end()
        skip("bpf", f"no free pid from {pid} in steps of {SLOTS}")


@pytest.fixture
def chosen(islands_program, crowd_program):
    started = []

    def start(count: int, pid: int) -> Chosen:
        started.append(Chosen(crowd_program, islands_program, count, pid))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_two_processes_that_point_to_one_slot_are_told_apart(live, islands, chosen):
    source = live()
    first = islands(101)
    first.tell("touch")
    second = chosen(307, (first.pid + SLOTS) % PID_MAX)
    before = source.read()
    second.tell("touch")
    first.tell("fork")
    first.tell("reap")
    after = source.read()
    change = {one.pid: counts_of(after, one.pid, before) for one in (first, second)}
    assert change[second.pid]["prepares"] == 307 and change[second.pid]["forks"] == 0
    assert change[first.pid]["prepares"] == 0 and change[first.pid]["forks"] == 1
    second.tell("unmap")
    assert counts_of(source.read(), second.pid, after)["anon_vma_frees"] == 307
    # An entry in the hash is folded as a slot is.
    ended = source.read().exited["prepares"]
    second.end()
    first.end()
    assert source.read().exited["prepares"] - ended >= 307 + 101
    assert deficits(source) == dict.fromkeys(SUMMED, 0)


def test_a_pid_that_is_used_again_is_another_process(live, islands, chosen):
    """The first one's mark is still on the slot: what the second does must not go to the ended."""
    source = live()
    first = islands(101)
    first.tell("touch")
    first.end()
    second = chosen(307, first.pid)
    assert second.pid == first.pid
    before = process_of(source.read(), second.pid).counts
    second.tell("touch")
    second.tell("unmap")
    after = process_of(source.read(), second.pid).counts
    assert [after[name] - before[name] for name in ("prepares", "anon_vma_frees", "forks")] == [307, 307, 0]
    assert deficits(source) == dict.fromkeys(SUMMED, 0)


def counts_of(sample, pid: int, before) -> dict[str, int]:
    old = process_of(before, pid).counts
    return {name: count - old[name] for name, count in process_of(sample, pid).counts.items() if count is not None}


def test_who_is_in_a_slot_and_in_the_hash_has_the_sum():
    def entry(tgid: int, start: int, count: int) -> ProcessCounts:
        return ProcessCounts(tgid, start, 0, b"", (count,) * len(PROCESS_COUNTS))

    found = maps.merged([entry(7, 1, 23), entry(8, 1, 101), entry(7, 1, 2**64 - 3), entry(7, 2, 5)])
    assert sorted((one.tgid, one.start_boottime, one.counts[0]) for one in found) == [
        (7, 1, 20),
        (7, 2, 5),
        (8, 1, 101),
    ]


def test_the_capacity_is_of_slots_and_entries(live):
    """What the entries are counted in, so that the share of the two cannot go above 1."""
    source = live()
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE
    ):  # a process that the probes have seen, and that has not ended
        health = source.read().health
    entries = struct.unpack_from("=6I", abi.object_info(source.session.maps["processes"]))[4]
    room = entries + SLOTS  # the map of slots is mapped, and its descriptor closed
    assert health["process_map_capacity"] == room
    assert 0 < health["process_map_entries"] < room
