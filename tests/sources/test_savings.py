# SPDX-License-Identifier: MIT
"""What laziness would save: the bounds by the rule of a design, and what the census sees for them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf.census import CensusRow
from lazyobs.bpf.counts import PROCESS_COUNTS
from lazyobs.bpf.layouts import FORK_COPIES_UNKNOWN, ROOT_SHARE
from lazyobs.kernel import profile
from lazyobs.kernel.facts import Subject
from lazyobs.sources.census_columns import CensusColumns
from lazyobs.sources.history import History
from lazyobs.sources.savings import ObjectBytes, Rule, untraced_copies
from tests.harness import ROOT, need_programs, process_of

A, C = 104, 64
SIZE = ObjectBytes(A, C)
RULES = {one.name: Rule.of(one) for one in profile.built_in()}
MAINLINE, LAB, V1 = RULES["mainline"], RULES["lab"], RULES["lazy-v1"]
BOUNDS = ("savable_low_bytes", "savable_bytes", "savable_high_bytes")


def row(**values: int) -> CensusRow:
    """A row of zeros but for these; ``anon_roots`` and ``file_roots`` are whole anon_vmas."""
    for name in ("anon_roots", "file_roots"):
        values[name] = values.get(name, 0) * ROOT_SHARE
    zeros: dict[str, Any] = dict.fromkeys(CensusRow._fields, 0)
    return CensusRow(**{**zeros, "comm": b"", **values})


def bounds(found: CensusRow, rule: Rule, untraced: int | None = 0) -> tuple[int, int, int]:
    savable = SIZE.savable(found, rule, untraced)
    return savable.low, savable.value, savable.high


ISLANDS = {"own_anon": 101, "anon_roots": 101}
RELRO = {"own_file": 46, "file_roots": 23, "joint_file": 46}


@pytest.mark.parametrize(
    ("values", "rule", "untraced", "expected"),
    [
        (ISLANDS, MAINLINE, None, (101 * (A + C),) * 3),
        (ISLANDS, LAB, 0, (100 * A + 101 * C,) * 3),
        # Whatever may have cut them has left each with a chain.
        (ISLANDS, LAB, None, (100 * A, 100 * A + 101 * C, 100 * A + 101 * C)),
        (ISLANDS, LAB, 7, (100 * A + 94 * C, 100 * A + 101 * C, 100 * A + 101 * C)),
        (ISLANDS, V1, None, (0, 101 * (A + C), 101 * (A + C))),
        (ISLANDS, V1, 7, (94 * (A + C), 101 * (A + C), 101 * (A + C))),
        # The parts of a data segment share an anon_vma.
        (RELRO, MAINLINE, None, (23 * A + 46 * C,) * 3),
        (RELRO, LAB, None, (22 * A,) * 3),
        (RELRO, V1, 0, (0, 23 * A + 46 * C, 23 * A + 46 * C)),
        # Forked, and the children have gone: how many are known to have been copied.
        ({**ISLANDS, "fork_copies": 23}, MAINLINE, None, (78 * (A + C), 78 * (A + C), 101 * (A + C))),
        ({**ISLANDS, "fork_copies": 303}, MAINLINE, None, (0, 0, 101 * (A + C))),
        ({**ISLANDS, "fork_copies": FORK_COPIES_UNKNOWN}, MAINLINE, None, (0, 0, 101 * (A + C))),
        ({**ISLANDS, "fork_copies": 303}, LAB, 0, (100 * A, 100 * A, 100 * A + 101 * C)),
        # Children live: promoted for certain.
        ({**ISLANDS, "fork_copies": 202, "forked_anon": 101}, MAINLINE, None, (0, 0, 0)),
        ({**ISLANDS, "fork_copies": 202, "forked_anon": 101}, LAB, None, (100 * A,) * 3),
        # A child's own VMAs are as any; those that it was given are not.
        ({**ISLANDS, "inherited": 11}, MAINLINE, None, (101 * (A + C),) * 3),
        ({**ISLANDS, "inherited": 11}, V1, 0, (101 * (A + C), 101 * (A + C), 112 * (A + C))),
        ({**ISLANDS, "mergeable": 3}, MAINLINE, None, (98 * (A + C), 101 * (A + C), 101 * (A + C))),
        # An ended parent's anon_vmas: with a pool there would be one.
        ({**ISLANDS, "orphan_roots": 5}, LAB, 0, (100 * A + 101 * C, 100 * A + 101 * C, 105 * A + 101 * C)),
        ({**ISLANDS, "orphan_roots": 5, "parent_orphans": 3}, LAB, 0, (102 * A + 101 * C, 102 * A + 101 * C, 105 * A + 101 * C)),
        ({**ISLANDS, "orphan_roots": 5, "parent_orphans": 3}, MAINLINE, 0, (101 * (A + C),) * 3),
        # The pool is there already: the switch was turned on later.
        ({**ISLANDS, "vmas_lazy": 1}, LAB, 0, (101 * (A + C),) * 3),
        ({}, LAB, None, (0, 0, 0)),
        ({**ISLANDS, **RELRO}, Rule(), None, (0, 124 * A + 147 * C, 124 * A + 147 * C)),
    ],
)  # fmt: skip
def test_the_bounds_follow_from_the_rule(
    values: dict[str, int], rule: Rule, untraced: int | None, expected: tuple[int, int, int]
) -> None:
    assert bounds(row(**values), rule, untraced) == expected


def test_what_cannot_have_gone_unseen() -> None:
    """Chains less anon_vmas less clones of forks, less the VMAs that share an anon_vma still."""
    found = row(own_anon=101, anon_roots=101, own_file=46, file_roots=23)
    assert untraced_copies(found, chain_allocs=147, anon_vma_allocs=124, fork_chains=0) == 0
    assert untraced_copies(found, chain_allocs=158, anon_vma_allocs=124, fork_chains=0) == 11
    assert untraced_copies(found, chain_allocs=158, anon_vma_allocs=124, fork_chains=11) == 0
    assert untraced_copies(found, chain_allocs=0, anon_vma_allocs=0, fork_chains=0) == 0


def history(*readings: tuple[int, int, int]) -> History:
    """``readings``: (time, missed runs, processes without a place in the map)."""
    times = iter([time for time, _, _ in readings])
    found = History(lambda: next(times))
    for _, misses, full in readings:
        found.note(misses, full)
    return found


@pytest.mark.parametrize(
    ("readings", "start", "missed"),
    [
        ([], 1001, None),
        ([(1000, 3, 0)], 999, None),
        ([(1000, 3, 0)], 1000, None),
        ([(1000, 3, 0)], 1001, 0),
        ([(1000, 3, 0), (2000, 5, 0)], 1500, 2),
        ([(1000, 3, 0), (2000, 5, 0)], 2001, 0),
        ([(1000, 3, 0), (2000, 3, 1)], 1500, None),
        ([(1000, 3, 0), (2000, 3, 1), (3000, 10, 1)], 2001, 7),
    ],
)
def test_a_history_says_how_much_of_it_is_missing(
    readings: list[tuple[int, int, int]], start: int, missed: int | None
) -> None:
    assert history(*readings).missed(start) == missed


def test_readings_without_a_change_are_not_kept() -> None:
    found = history((1000, 3, 0))
    found.note(3, 0)  # asks for no time
    assert found.changes == 1


class TestHistory:
    def columns(self, *readings: tuple[int, int, int]) -> CensusColumns:
        lab = next(one for one in profile.built_in() if one.name == "lab")
        return CensusColumns(Subject("", lab, {"anon_vma": A, "anon_vma_chain": C}), {}, {}, history(*readings))

    def counts(self, **values: int) -> tuple[int, ...]:
        return tuple(values.get(name, 0) for name in PROCESS_COUNTS)

    def test_the_lower_bound_follows_from_what_was_allocated(self) -> None:
        columns = self.columns((1000, 3, 0), (2000, 5, 0))
        for start, chains, low in (
            (2001, 101, 100 * A + 101 * C),
            (2001, 108, 100 * A + 94 * C),
            (1001, 101, 100 * A + 99 * C),
            (1000, 101, 100 * A),
        ):
            counts = self.counts(chain_allocs=chains, anon_vma_allocs=101)
            assert columns.of_process(row(**ISLANDS, start_boottime=start), counts)["savable_low_bytes"] == low
            assert columns.of_process(row(**ISLANDS, start_boottime=start))["savable_low_bytes"] == 100 * A

    def test_those_who_share_an_address_space_have_no_history_of_their_own(self) -> None:
        columns = self.columns((1000, 0, 0))
        one, two = (row(**ISLANDS, start_boottime=1001, tgid=tgid, mm=7) for tgid in (3, 5))
        counts = {(tgid, 1001): self.counts(chain_allocs=101, anon_vma_allocs=101) for tgid in (3, 5)}
        assert columns.of_all([one], counts)["savable_low_bytes"] == 100 * A + 101 * C
        assert columns.of_all([one, two], counts)["savable_low_bytes"] == 100 * A

    def test_a_column_that_is_unknown_is_null(self) -> None:
        lab = next(one for one in profile.built_in() if one.name == "lab")
        columns = CensusColumns(Subject("", lab, {}), {}, {"savable_bytes": "why"}, None)
        assert columns.of_process(row(**ISLANDS))["savable_bytes"] is columns.of_all([row()])["savable_bytes"] is None
        assert columns.of_process(row(vmas=3))["vmas"] == 3
        assert columns.of_none()["savable_bytes"] is None and columns.of_none()["vmas_lazy"] == 0


def of_process(source: Any, pid: int) -> tuple[int, ...]:
    census = process_of(source.read(), pid).census
    return tuple(census[name] for name in BOUNDS)


def object_bytes(source: Any) -> tuple[int, int]:
    slabs = {slab.cache: slab.object_bytes for slab in source.read().slabs}
    return slabs["anon_vma"], slabs["anon_vma_chain"]


@pytest.mark.parametrize("count", [23, 211])
def test_a_fork_lowers_the_value_for_good(live: Any, islands: Any, count: int) -> None:
    """On a mainline kernel, where the census sees how many VMAs forks have copied."""
    source = live()
    anon_vma, chain = object_bytes(source)
    program = islands(count)
    before = of_process(source, program.pid)
    program.tell("touch")
    touched = of_process(source, program.pid)
    assert touched == tuple(one + count * (anon_vma + chain) for one in before)
    assert len(set(touched)) == 1  # it has not forked: nothing is in doubt
    program.tell("fork")
    low, value, high = of_process(source, program.pid)
    assert low == value == 0 and high < touched[0] - count * (anon_vma + chain) + 1
    program.tell("reap")
    assert of_process(source, program.pid) == (0, 0, touched[2])


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_programs("gcc")
    program = tmp_path_factory.mktemp("kinds") / "kinds"
    source = ROOT / "tests/lab/guest/kinds.c"
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", program, source], check=True)
    return program


@pytest.mark.parametrize(("kind", "anon_vmas", "chains"), [("relro", 1, 2), ("threads", 1, 1), ("cut", 1, 1)])
def test_each_vma_of_a_kind_would_save_its_objects(
    live: Any, kinds: Path, kind: str, anon_vmas: int, chains: int
) -> None:
    """Between 23 and 101 of a kind: parts of split VMAs share an anon_vma, and would stay lazy in mainline's rule.
    A thread has a stack; all threads share a few arenas."""
    source = live()
    anon_vma, chain = object_bytes(source)
    found = []
    for count in (23, 101):
        with subprocess.Popen([kinds, kind, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None
            assert process.stdout.readline() == b"ok\n"
            found.append(of_process(source, process.pid))
            process.stdin.close()
    each = anon_vmas * anon_vma + chains * chain
    assert [more - less for less, more in zip(*found)] == [78 * each] * 3


def test_anon_vmas_of_a_parent_that_has_gone_are_seen(live: Any, kinds: Path) -> None:
    """The process forks and executes another program: what its VMAs had is held by the child alone."""
    source = live()
    with subprocess.Popen([kinds, "exec_chain", "101"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"ok\n"
        rows = {census.tgid: census for census in source._maps.census() if process.pid in (census.tgid, census.ppid)}
        own = rows.pop(process.pid)
        assert (own.orphan_roots, own.inherited) == (0, 0)
        assert len(rows) == 5
        for child in rows.values():
            assert child.parent_orphans == child.orphan_roots >= 101
            assert child.inherited >= child.orphan_roots and child.own_anon >= 23
            os.kill(child.tgid, signal.SIGKILL)
        process.stdin.close()
