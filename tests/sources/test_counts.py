# SPDX-License-Identifier: MIT
"""Counters against known workloads: equality, not "more than zero"."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tests.harness import ROOT, Generations, process_of

COUNTED = ("prepares", "anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees", "forks", "fork_chains")


def changes(source, pid: int, before: dict) -> tuple[dict, dict]:
    """(counters since ``before``, counters now) of a process."""
    now = process_of(source.read(), pid).counts
    return {name: now[name] - before[name] for name in COUNTED}, now


@pytest.mark.parametrize("count", [23, 211, 5003])
def test_islands_are_counted_exactly(live, islands, count):
    source = live()
    program = islands(count)
    before = process_of(source.read(), program.pid).counts
    program.tell("touch")
    change, before = changes(source, program.pid, before)
    assert change == {
        "prepares": count, "anon_vma_allocs": count, "anon_vma_frees": 0,
        "chain_allocs": count, "chain_frees": 0, "forks": 0, "fork_chains": 0,
    }  # fmt: skip

    anonymous = process_of(source.read(), program.pid).census["vmas_anon"]
    program.tell("fork")
    change, before = changes(source, program.pid, before)
    # The child gets a chain cloned from each of its parent's, and an anon_vma with a chain of its own.
    assert change == {
        "prepares": 0, "anon_vma_allocs": anonymous, "anon_vma_frees": 0,
        "chain_allocs": 2 * anonymous, "chain_frees": 0, "forks": 1, "fork_chains": anonymous,
    }  # fmt: skip

    program.tell("reap")
    program.tell("unmap")
    change, _ = changes(source, program.pid, before)
    assert change["anon_vma_frees"] == change["chain_frees"] == count


def test_anon_vmas_of_forks_and_those_that_were_not_needed(live, tmp_path):
    """A VMA of the child keeps its own, unless it takes one over: then 7.x has made one in vain."""
    count = 211
    program = tmp_path / "generations"
    source_file = ROOT / "tests/workloads/generations.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source_file], check=True)
    source = live()
    family = Generations(program, count)
    before = process_of(source.read(), family.pid)
    for _ in range(3):
        family.tell("fork")
    after = process_of(source.read(), family.pid)
    gained = {name: after.counts[name] - before.counts[name] for name in after.counts if after.counts[name] is not None}
    family.end()
    assert gained["forks"] == 3
    kept = 3 * (before.census["vmas_anon"] - count)
    assert gained["fork_anon_vmas"] - gained["fork_anon_unused"] == kept
    # Nothing else makes one in this process, whatever the order in which the kernel does it.
    assert gained["anon_vma_allocs"] == gained["fork_anon_vmas"]
    assert gained["anon_vma_frees"] == gained["fork_anon_unused"]


def test_two_programs_are_told_apart(live, islands):
    source = live()
    one, other = islands(101), islands(307)
    first = source.read()
    before = {program.pid: process_of(first, program.pid).counts for program in (one, other)}
    one.tell("touch")
    other.tell("touch")
    other.tell("fork")
    assert changes(source, one.pid, before[one.pid])[0]["prepares"] == 101
    assert changes(source, one.pid, before[one.pid])[0]["forks"] == 0
    assert changes(source, other.pid, before[other.pid])[0]["prepares"] == 307
    assert changes(source, other.pid, before[other.pid])[0]["forks"] == 1


def test_short_lived_processes_are_in_the_totals(live):
    source = live()
    before = source.read()
    script = "i=0; while [ $i -lt 500 ]; do (exec /bin/true); i=$((i+1)); done"
    subprocess.run(["bash", "-c", script], check=True)
    after = source.read()
    assert after.totals["forks"] - before.totals["forks"] >= 501  # and bash itself
    # Each had its stack prepared, at the very least, and is gone: the counts are among the exited.
    assert after.exited["prepares"] - before.exited["prepares"] >= 500
    assert after.health["map_full"] == 0


def test_a_failed_fork_leaves_no_window_open(live, tmp_path, islands):
    """A fork refused by the pids limit is not counted, and later clones (a split) are not taken for its."""
    source = live()
    program = tmp_path / "failing.py"
    program.write_text(
        "import ctypes, mmap, os, resource, sys\n"
        "os.setgid(54321); os.setuid(54321)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
        "sys.stdin.readline()\n"
        "for _ in range(7):\n"
        "    try: os.fork(); print('forked', flush=True)\n"
        "    except OSError: pass\n"
        "print('done', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    program.chmod(0o644)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    child = subprocess.Popen(["/usr/bin/python3", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"done\n"
        counts = process_of(source.read(), child.pid).counts
        assert counts["forks"] == 0
        assert counts["fork_chains"] == 0
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_threads_are_not_forks_and_vforks_clone_nothing(live, tmp_path):
    source = live()
    code = (
        "import sys, threading, subprocess\n"
        "sys.stdin.readline()\n"
        "for _ in range(23): t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
        "for _ in range(11): subprocess.run(['/bin/true'])\n"  # vfork
        "print('done', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    child = subprocess.Popen(["/usr/bin/python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"done\n"
        counts = process_of(source.read(), child.pid).counts
        assert counts["forks"] == 11
        assert counts["fork_chains"] == 0
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_rows_and_exited_add_up_to_the_totals(live, islands):
    source = live()
    programs = [islands(count) for count in (23, 101, 211)]
    for program in programs:
        program.tell("touch")
        program.tell("fork")
    programs[0].end()
    sample = source.read()
    for name in ("forks", "fork_chains"):
        rows = sum(process.counts[name] for process in sample.processes)
        assert rows + sample.exited[name] == sample.totals[name], name


def test_counters_never_go_back(live, islands):
    source = live()
    program = islands(101)
    samples = [source.read()]
    for command in ("touch", "fork", "reap", "unmap"):
        program.tell(command)
        samples.append(source.read())
    for earlier, later in itertools.pairwise(samples):
        for name in COUNTED:
            assert later.totals[name] >= earlier.totals[name]
            assert later.exited[name] >= earlier.exited[name]


def test_each_fork_that_copies_an_address_space_is_timed(live, islands):
    source = live()
    program = islands(503)
    program.tell("touch")
    before = source.read()
    for _ in range(23):
        program.tell("fork")
        program.tell("reap")
    after = source.read()
    timed = [sample.histograms["fork_duration_seconds"] for sample in (before, after)]
    forks = after.totals["forks"] - before.totals["forks"]
    assert 23 <= timed[1]["count"] - timed[0]["count"] <= forks
    mean = (timed[1]["sum"] - timed[0]["sum"]) / (timed[1]["count"] - timed[0]["count"])
    assert 10e-6 < mean < 1  # 503 VMAs are not copied in ten microseconds
