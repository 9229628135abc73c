# SPDX-License-Identifier: MIT
"""The census against /proc/PID/smaps, VMA for VMA."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs.kernel import mappings, smaps
from tests.harness import process_of


def assert_agrees(source, pid: int) -> dict[int, str]:
    """Same VMAs, and anonymous pages only where the census sees an anon_vma. Returns {start: state}."""
    by_census = {row.start: row for row in source.vmas(pid)}
    # The gate area ([vsyscall]) is listed by /proc but is no VMA of the process.
    by_smaps = {m.start: m for m in smaps.read(pid) if m.start < 1 << 63}
    assert by_census.keys() == by_smaps.keys()
    for start, row in by_census.items():
        assert row.end == by_smaps[start].end
        if by_smaps[start].anonymous or by_smaps[start].swap:
            assert row.state != "plain", hex(start)
        if row.state == "plain":
            assert by_smaps[start].anonymous == 0, hex(start)
    return {start: row.state for start, row in by_census.items()}


@pytest.mark.parametrize("count", [23, 211])
def test_agrees_with_smaps_before_and_after_a_fork(live, islands, count):
    source = live()
    program = islands(count)
    before = assert_agrees(source, program.pid)
    program.tell("touch")
    touched = assert_agrees(source, program.pid)
    fresh = [start for start in touched if touched[start] != before.get(start)]
    assert len(fresh) == count and all(touched[start] == "private" for start in fresh)

    child = int(program.tell("fork"))
    shared = assert_agrees(source, program.pid)
    assert all(shared[start] == "shared" for start in fresh)
    children = assert_agrees(source, child)
    assert {start for start, state in children.items() if state != "plain"} == {
        start for start, state in shared.items() if state != "plain"
    }

    program.tell("reap")
    assert all(assert_agrees(source, program.pid)[start] == "private" for start in fresh)


def test_sums_are_those_of_the_vmas(live, islands):
    source = live()
    program = islands(101)
    program.tell("touch")
    sample = source.read()
    row = process_of(sample, program.pid)
    vmas = source.vmas(program.pid)
    states = [vma.state for vma in vmas]
    assert row.census["vmas"] == len(states)
    assert row.census["vmas_private"] == states.count("private")
    assert row.census["vmas_shared"] == states.count("shared")
    assert row.census["vmas_anon"] == len(states) - states.count("plain")
    slabs = {slab.cache: slab for slab in sample.slabs}
    anon_vma, chain = (slabs[name].object_bytes for name in ("anon_vma", "anon_vma_chain"))
    anon_vmas = {vma.anon_vma for vma in vmas} - {0}
    assert row.census["savable_bytes"] == len(anon_vmas) * anon_vma + row.census["vmas_anon"] * chain


@pytest.mark.parametrize("count", [23, 211])
def test_what_vmas_hold_is_what_was_allocated(live, islands, count):
    """Object by object: chains and anon_vmas held, against allocations less frees of the process that made them."""
    source = live()
    program = islands(count)

    def held(*pids: int) -> tuple[int, int]:
        rows = [process_of(sample, pid).census for pid in pids]
        return sum(row["chains_held"] for row in rows), sum(row["anon_vmas_held"] for row in rows)

    def made() -> tuple[int, int]:
        counts = process_of(sample, program.pid).counts
        return counts["chain_allocs"] - counts["chain_frees"], counts["anon_vma_allocs"] - counts["anon_vma_frees"]

    sample = source.read()
    chains, anon_vmas = held(program.pid)
    offset = chains - made()[0], anon_vmas - made()[1]  # what it had before the probes
    program.tell("touch")
    sample = source.read()
    assert held(program.pid) == (chains + count, anon_vmas + count)
    child = int(program.tell("fork"))
    sample = source.read()
    assert held(program.pid, child) == (made()[0] + offset[0], made()[1] + offset[1])
    assert held(child)[0] >= 2 * count  # each VMA of the child is chained to the parent's anon_vma and to its own
    program.tell("reap")
    sample = source.read()
    assert held(program.pid) == (chains + count, anon_vmas + count)


def test_each_vma_says_what_it_holds(live, islands):
    """The chains and anon_vmas of its VMAs are those of the process; of an island touched and forked: its own and the
    parent's."""
    source = live()
    program = islands(101)
    untouched = {vma.start for vma in source.vmas(program.pid) if vma.state == "plain"}
    program.tell("touch")
    child = int(program.tell("fork"))
    sample = source.read()
    for pid, chains, anon_vmas in ((program.pid, 1, 1), (child, 2, 1)):
        vmas = source.vmas(pid)
        census = process_of(sample, pid).census
        assert sum(vma.chains for vma in vmas) == census["chains_held"]
        assert sum(vma.anon_vmas for vma in vmas) == census["anon_vmas_held"]
        touched = [vma for vma in vmas if vma.start in untouched and vma.state != "plain"]
        assert [(vma.chains, vma.anon_vmas) for vma in touched] == [(chains, anon_vmas)] * 101


NAMES_IN_OTHER_WORDS = dict.fromkeys(("[vdso]", "[vvar]", "[vvar_vclock]"), "[special]")
NAMER = r"""
import ctypes, mmap, sys
file = open(sys.argv[1], "r+b")
private = mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE)
named = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
named[0] = private[0] = 1
at = ctypes.addressof(ctypes.c_char.from_buffer(named))
failed = ctypes.CDLL(None).prctl(0x53564D41, 0, ctypes.c_ulong(at), ctypes.c_ulong(4096), b"arena 7")
print(at, private[0], failed, flush=True)
sys.stdin.read()
"""


def test_names_are_those_of_proc_maps(live, tmp_path):
    """Of a file the last part of its path; a program may name its mappings where the kernel has CONFIG_ANON_VMA_NAME."""
    source = live()
    hostile = tmp_path / "\x1b]0;owned\x07\u202e.so"
    hostile.write_bytes(bytes(4096))
    child = subprocess.Popen(
        [sys.executable, "-c", NAMER, hostile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        at, _, failed = map(int, child.stdout.readline().split())
        expected = {}
        for start, name in mappings.parse(Path(f"/proc/{child.pid}/maps").read_bytes()).items():
            name = name.removesuffix(" (deleted)").rpartition("/")[2] if name.startswith("/") else name
            expected[start] = NAMES_IN_OTHER_WORDS.get(name, name)
        found = {vma.start: vma.name for vma in source.vmas(child.pid)}
        assert found == {start: name for start, name in expected.items() if start < 1 << 63}
        assert {"[heap]", "[stack]", hostile.name} < set(found.values())
        assert found[at] == ("" if failed else "[anon:arena 7]")
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_threads_and_vfork_children_count_once(live, tmp_path):
    source = live()
    code = (
        "import sys, threading, time\n"
        "for _ in range(7): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    child = subprocess.Popen(["/usr/bin/python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        assert len(os.listdir(f"/proc/{child.pid}/task")) == 8
        rows = [process for process in source.read().processes if process.pid == child.pid]
        assert len(rows) == 1
        assert rows[0].census["vmas"] == len([m for m in smaps.read(child.pid) if m.start < 1 << 63])
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_a_dead_leader_does_not_hide_its_threads(live, tmp_path):
    """A process whose first thread has ended lives on in the others."""
    program = tmp_path / "leaderless"
    source_text = tmp_path / "leaderless.c"
    source_text.write_text(
        "#include <pthread.h>\n#include <unistd.h>\n"
        'static void *rest(void *x) { char c; write(1, "r", 1); read(0, &c, 1); _exit(0); }\n'
        "int main(void) { pthread_t t[3]; for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, rest, 0);"
        " pthread_exit(0); }\n"
    )
    subprocess.run(["gcc", "-o", program, source_text, "-lpthread"], check=True)
    source = live()
    child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for _ in range(3):
            child.stdout.read(1)
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        rows = [process for process in source.read().processes if process.pid == child.pid]
        assert len(rows) == 1
        thread = next(t for t in os.listdir(f"/proc/{child.pid}/task") if int(t) != child.pid)
        with open(f"/proc/{child.pid}/task/{thread}/maps") as file:
            assert rows[0].census["vmas"] == len([line for line in file if "vsyscall" not in line])
    finally:
        child.stdin.write(b"x")
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_parents_are_those_of_proc(live, islands):
    source = live()
    program = islands(23)
    of_proc = {}
    sample = source.read()
    for process in sample.processes:
        try:
            of_proc[process.pid] = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    assert process_of(sample, program.pid).ppid == os.getpid()
    told = [process for process in sample.processes if process.ppid is not None and process.pid in of_proc]
    # An orphan can have got another parent between the census and the look into /proc, others not.
    others = [process.pid for process in told if process.ppid != of_proc[process.pid] and of_proc[process.pid] != 1]
    assert len(told) > 2 and others == []
