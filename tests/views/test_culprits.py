# SPDX-License-Identifier: MIT
"""The culprit of a leak: right on workloads that leak in a known way, and in samples made by hand."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lazyobs.views.blame import blamed, ends
from lazyobs.views.culprits import CGROUP, FAMILY, FORK, NAME, PREPARE, PROCESS, PROMOTION, SPLIT, Culprit, culprit
from tests.harness import ROOT, cgroup_root, need_root, skip
from tests.views.handmade import process

LEAKING = ROOT / "tests/workloads/leaking.py"


@contextlib.contextmanager
def leaking(kind: str, count: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    program = subprocess.Popen(
        [sys.executable, LEAKING, kind, str(count), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        yield program
    finally:
        program.communicate()


def _leak(source, program: subprocess.Popen[str]) -> Culprit:
    return _leaked(source, program)[0]


def _leaked(source, program: subprocess.Popen[str]) -> tuple[Culprit, int]:
    """The culprit, and the pid of the process that leaked."""
    first = source.read()
    assert program.stdin is not None and program.stdout is not None
    program.stdin.write("leak\n")
    program.stdin.flush()
    done, *other = program.stdout.readline().split()
    found = culprit(first.processes, source.read().processes)
    assert done == "done" and found is not None
    return found, int(other[0]) if other else program.pid


def test_many_mappings(live):
    source = live()
    with leaking("mappings", 1511) as program:
        found = _leak(source, program)
    assert (found.kind, found.pid, found.path, found.begun) == (PROCESS, program.pid, PREPARE, 0)
    assert found.chains == pytest.approx(1511, abs=20) and found.anon_vmas == pytest.approx(1511, abs=20)


@pytest.mark.parametrize(
    ("kind", "count", "path"),
    [
        ("moves", 1009, SPLIT),
        ("files", 1009, PREPARE),
        ("threads", 211, PREPARE),
        ("worker", 1511, PREPARE),
        ("daemon", 1511, PREPARE),
    ],
)
def test_other_ways_of_one_process(live, kind: str, count: int, path: str):
    """bench/leaks.py asks the commands, in more set-ups."""
    source = live()
    with leaking(kind, count) as program:
        found, pid = _leaked(source, program)
    assert (found.kind, found.pid, found.path) == (PROCESS, pid, path) and found.chains >= count


def test_splits_of_one_mapping(live):
    """Its parts share one anon_vma: chains alone grow."""
    source = live()
    with leaking("splits", 2003) as program:
        found = _leak(source, program)
    assert (found.kind, found.pid, found.path) == (PROCESS, program.pid, SPLIT)
    assert found.chains == pytest.approx(2002, abs=20) and found.anon_vmas < 20


def test_a_server_whose_children_do_not_end(live):
    source = live()
    with leaking("server", 29) as program:
        found = _leak(source, program)
    assert (found.kind, found.pid, found.path) == (FAMILY, program.pid, FORK)
    assert (found.processes, found.begun) == (30, 29)
    assert found.chains > 29 * 2 * 23


def test_generations_each_of_which_holds_those_before(live):
    source = live()
    with leaking("pedigree", 11) as program:
        found = _leak(source, program)
    assert (found.kind, found.pid, found.path) == (FAMILY, program.pid, FORK)
    assert (found.processes, found.begun) == (12, 11)
    # A VMA of generation n has n + 1 chains; the mean of 0 to 11 of them is 6.5, less what has no page.
    assert found.chains_per_vma is not None and found.chains_per_vma > 4


def test_a_cgroup_of_many_small_processes(live):
    need_root("it makes a cgroup")
    folder = cgroup_root() / f"lazyobs-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        skip("host", f"no cgroup can be made below {folder.parent}: {error.strerror}")
    source = live()
    try:
        with leaking("crowd", 31, str(folder)) as program:
            found = _leak(source, program)
        assert (found.kind, found.name, found.processes, found.begun) == (CGROUP, f"/{folder.name}", 31, 31)
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            os.sched_yield()


def _holding(pid: int, chains: int, **more):
    return process(pid, chains_held=chains, anon_vmas_held=chains, vmas_anon=chains, **more)


def test_replaced_workers_are_no_growth():
    """A prefork server recycles its children: new ones come, as many go."""
    first = [_holding(7, 100, ppid=1), *(_holding(100 + child, 50, ppid=7) for child in range(9))]
    last = [_holding(7, 100, ppid=1), *(_holding(200 + child, 50, ppid=7) for child in range(9))]
    assert culprit(first, last) is None


def test_what_ended_children_had_is_not_the_path():
    """A server has replaced its workers many times; those of now hold more, which they have made themselves."""

    def counts(prepares: int, cloned: int) -> dict[str, int]:
        return {"prepares": prepares, "fork_chains": cloned, "chain_allocs": prepares + cloned}

    first = [_holding(7, 100, ppid=1, **counts(0, 0))]
    workers = [_holding(100 + child, 300, ppid=7, **counts(250, 0)) for child in range(7)]
    found = culprit(first, [_holding(7, 100, ppid=1, **counts(0, 5003)), *workers])
    assert found is not None and (found.kind, found.pid, found.path) == (FAMILY, 7, PREPARE)


@pytest.mark.parametrize("own", [9001, None], ids=["counted", "an earlier lazyobs"])
def test_the_own_chains_of_children_are_no_splits(own: int | None):
    """A fork makes two chains for each VMA: one to the parent's anon_vma, one to the child's own. Most of a server's
    children have ended, those of now hold a part of what was made; a program beside it holds more."""
    forked = {"prepares": 236, "fork_chains": 9001, "fork_anon_vmas": own, "chain_allocs": 236 + 2 * 9001}
    children = [_holding(100 + child, 472, comm="web", ppid=8) for child in range(5)]
    leak = _holding(9, 3001, comm="cache", ppid=7, prepares=3001, fork_chains=0, fork_anon_vmas=0, chain_allocs=3001)
    found = culprit([_holding(7, 10, ppid=1)], [_holding(7, 10, ppid=1), _holding(8, 236, comm="web", ppid=7, **forked), leak, *children])  # fmt: skip
    assert found is not None and found.path == PREPARE


@pytest.mark.parametrize(
    ("split", "path"),
    [(0, PROMOTION), (2006, SPLIT), (1000, PROMOTION)],
    ids=["forks", "each is split, too", "some are"],
)
def test_chains_of_promotions_are_no_splits(split: int, path: str):
    """A database on a lazy kernel forks: its 2,006 lazy VMAs get a chain each, and each of 40 children, all of which have
    ended, two a VMA."""
    before = process(78, "database", ppid=1, chains_held=49, anon_vmas_held=1, vmas_anon=2055)
    counts: dict[str, Any] = {
        "promotions": 2006,
        "fork_chains": 82_200,
        "fork_anon_vmas": 82_200,
        "chain_allocs": 166_406 + split,
    }
    after = process(
        78, "database", ppid=1, chains_held=2055 + split, anon_vmas_held=1, vmas_anon=2055 + split, **counts
    )
    found = culprit([before], [after])
    assert found is not None and (found.kind, found.pid, found.path) == (PROCESS, 78, path)
    if not split:
        assert blamed(found, 0).endswith("100% of the growth: by promotions of VMAs that were lazy")
        assert ends(found) == "49 to 2,055 chains and 1 to 1 anon_vmas"


def test_what_a_group_held_counts_those_that_have_ended():
    """Both ends are of all that were there then."""
    first = [_holding(7, 100, ppid=1), _holding(8, 50, comm="web", ppid=7)]
    last = [_holding(7, 100, ppid=1), *(_holding(100 + child, 90, comm="web", ppid=7) for child in range(5))]
    found = culprit(first, last)
    assert found is not None and found.kind == FAMILY
    assert ends(found) == "150 to 550 chains and 150 to 550 anon_vmas"


def test_a_name_where_there_is_no_tree_and_no_cgroup():
    last = [_holding(10 + number, 40, comm="cron", ppid=1) for number in range(5)]
    found = culprit([], [*last, _holding(99, 90, comm="other", ppid=1)])
    assert found is not None
    assert (found.kind, found.name, found.processes, found.begun, found.chains) == (NAME, "cron", 5, 5, 200)
    assert found.share == pytest.approx(400 / 580)


def test_nobody_where_the_growth_is_everywhere():
    first = [_holding(pid, 10, comm=f"p{pid}", ppid=1, cgroup=f"/{pid}") for pid in range(10, 20)]
    last = [_holding(pid, 40, comm=f"p{pid}", ppid=1, cgroup=f"/{pid}") for pid in range(10, 20)]
    assert culprit(first, last) is None


def test_a_loop_of_parents_ends():
    """A pid that was used again while the census ran can make one."""
    last = [_holding(5, 300, ppid=6), _holding(6, 300, ppid=5), _holding(8, 1000, ppid=1)]
    found = culprit([], last)
    assert found is not None and found.pid == 8


def test_the_sentence_names_who_how_much_and_how():
    found = Culprit(FAMILY, "evil\x1b]0;", 7, "/", 42, 41, 5003, 211, 0.8, FORK, 4.5, 5010, 218)
    assert blamed(found, 60.0) == (
        "evil?]0; (pid 7) and its descendants (42 processes, 41 of them begun since): +5,003 chains and +211 anon_vmas "
        "(5214/min), 80% of the growth: by forks of children that have not ended, 4.5 chains a VMA"
    )


def test_what_ended_elsewhere_hides_no_leak():
    """A build that has ended gave back more than the leak took, below the same shell."""
    shell = _holding(7, 10, comm="sh", ppid=1)
    first = [shell, _holding(8, 9000, comm="cc1", ppid=7), _holding(9, 100, comm="leak", ppid=7)]
    found = culprit(first, [shell, _holding(9, 1100, comm="leak", ppid=7)])
    assert found is not None and (found.kind, found.pid, found.chains, found.share) == (PROCESS, 9, 1000, 1.0)


def test_a_process_that_took_the_place_of_another_of_its_name_is_none():
    first = [_holding(8, 9000, comm="cc1", ppid=1), _holding(9, 100, comm="leak", ppid=1)]
    found = culprit(first, [_holding(18, 9000, comm="cc1", ppid=1), _holding(9, 1100, comm="leak", ppid=1)])
    assert found is not None and (found.kind, found.pid, found.share) == (PROCESS, 9, 1.0)
