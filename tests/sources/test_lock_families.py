# SPDX-License-Identifier: MIT
"""Families that wait for the lock of their root anon_vma: told apart, with their members; and what is no anon_vma."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from lazyobs.bpf import features, kfuncs
from lazyobs.kernel.btf import Btf
from lazyobs.model import Sample
from tests.bpf.lookalike import LOCK_WRITE, lookalike, run_once
from tests.harness import ROOT, skip
from tests.sources.test_lock_waits import Family, contend, two_cpus  # noqa: F401

BEGIN, END = "lock_wait_begins:contention_begin", "lock_wait_ends:contention_end"
LOOKALIKES = 1_000_000


def _of(sample: Sample, pid: int):
    return [family for family in sample.families if family.pid == pid]


def test_members_of_a_family(live, contend, two_cpus):  # noqa: F811
    source = live()
    family = Family(contend, 1009, 6, 23)
    before = source.read().totals["lock_waits"]
    family.fight()
    sample = source.read()
    found = max(_of(sample, family.pid), key=lambda one: one.waited_ns)
    assert (found.comm, found.processes) == ("contend", 1)  # all its children have ended
    # Each part of the mapping is a VMA, and with no child left has one chain. What lies next to it can share the root.
    assert 1009 <= found.vmas == found.chains <= 1012
    assert 0 < found.waits == sum(found.waits_by_path.values())
    # Forks and exits write; reclaim can walk the family's pages meanwhile, which reads.
    assert 0 <= found.waits - found.write_waits <= found.waits_by_path["walk"]
    assert found.waited_ns >= found.longest_ns > 0
    assert found.waits == pytest.approx(sample.totals["lock_waits"] - before, rel=0.05)  # others wait, too
    assert Sample.from_json(sample.as_json()).families == sample.families
    family.end()
    # The root is freed, and the family with it; its waits stay in the totals.
    deadline = time.monotonic() + 10
    while any(one.number == found.number for one in source.read().families):
        assert time.monotonic() < deadline, "the family of an ended program stays"
        time.sleep(0.05)
    assert source.read().totals["lock_waits"] >= found.waits


def _wait(source, lock: int) -> None:
    run_once(source.session.programs[BEGIN], lock, LOCK_WRITE)
    run_once(source.session.programs[END], lock)


@pytest.fixture
def rwsem() -> int:
    return Btf.read(["anon_vma"]).member("anon_vma", "rwsem").offset


@pytest.fixture(scope="session")
def run_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("workloads") / "run_programs"
    source = ROOT / "tests/workloads/run_programs.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


@pytest.mark.parametrize("size", [512, 1 << 16], ids=["in a slab", "not in a slab"])
def test_a_million_locks_that_look_like_one(live, rwsem, run_programs, size):
    source = live()
    address, fds = lookalike(size, 64)
    programs = [source.session.programs[name] for name in (BEGIN, END)]
    before = source.read()
    arguments = [*programs, address + rwsem, LOCK_WRITE, LOOKALIKES // 2]
    subprocess.run([run_programs, *map(str, arguments)], pass_fds=programs, check=True, timeout=120)
    after = source.read()
    # It looked so much like one that its cache, or else the stack, was asked for each time. And nothing was counted.
    unplaced = after.health["locks_unplaced"] - before.health["locks_unplaced"]
    assert unplaced == pytest.approx(LOOKALIKES // 2, abs=1 + after.health["recursion_misses"])
    assert after.totals["lock_waits_by_path"]["other"] == before.totals["lock_waits_by_path"]["other"]
    assert not [one for one in after.processes if one.comm == "run_programs" and one.counts["lock_waits"]]
    for fd in fds:
        os.close(fd)


@pytest.fixture
def asks_the_cache() -> None:
    if not kfuncs.values(Btf.read(kfuncs.FUNCTIONS))["HAVE_CACHE_OF"]:
        skip("kernel", "it does not say which slab cache an object is of")


def _own_anon_vmas(source, pid: int) -> list[int]:
    assert not source.why_not(features.VMAS)
    return [row.anon_vma for row in source.vmas(pid) if row.state == "private"]


def test_a_real_one_is_recognised_by_its_cache(live, rwsem, islands, asks_the_cache):
    """The counterpart of the look-alikes: the same runs of the same programs, with the lock of an anon_vma."""
    source = live()
    program = islands(23)
    program.tell("touch")
    roots = _own_anon_vmas(source, program.pid)[-23:]
    before = source.read()
    for root in roots:
        _wait(source, root + rwsem)
    after = source.read()
    assert after.totals["lock_waits_by_path"]["other"] - before.totals["lock_waits_by_path"]["other"] == 23
    assert after.health["locks_unplaced"] == before.health["locks_unplaced"]
    found = _of(after, program.pid)
    assert len(found) == 23
    assert all((one.waits, one.vmas, one.processes, one.chains) == (1, 1, 1, 1) for one in found)


def test_fifty_servers_are_fifty_families(live, rwsem, islands, asks_the_cache):
    source = live()
    servers = [islands(1 + number % 7) for number in range(50)]
    for server in servers:
        server.tell("touch")
        server.tell("fork")
    wanted = {}
    for number, server in enumerate(servers, 1):
        # Shared with the child, and with no neighbour.
        rows = Counter(row.anon_vma for row in source.vmas(server.pid) if row.state == "shared")
        root = next(anon_vma for anon_vma, vmas in rows.items() if vmas == 1)
        for _ in range(number):
            _wait(source, root + rwsem)
        wanted[server.pid] = number
    sample = source.read()
    found = {family.pid: family for family in sample.families if family.pid in wanted}
    assert {pid: family.waits for pid, family in found.items()} == wanted
    assert {(family.processes, family.vmas, family.chains) for family in found.values()} == {(2, 2, 3)}
    assert len({family.number for family in sample.families}) == len(sample.families)
