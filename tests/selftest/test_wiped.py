# SPDX-License-Identifier: MIT
"""VMAs that a fork empties: found in smaps, and what they add to what a fork is expected to cause."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

import pytest

from lazyobs.selftest import syscalls, wiped
from lazyobs.selftest.expectations import NOTHING, forked
from lazyobs.selftest.judge import Judge
from lazyobs.selftest.readings import Observed
from lazyobs.selftest.scenario import Step

SMAPS = """\
7f00-7f01 rw-p 00000000 00:00 0                          [anon: getrandom]
Size:                  4 kB
Rss:                   {0} kB
VmFlags: rd wr mr mw me ac wf dd dp sd
7f02-7f03 rw-p 00000000 00:00 0
Size:                  4 kB
Rss:                   4 kB
VmFlags: rd wr mr mw me ac sd
7f04-7f05 rw-p 00000000 00:00 0
Rss:                   0 kB
VmFlags: rd wr mr mw me wf
"""
WIPE_ON_FORK = 18


@pytest.mark.parametrize(("kilobytes", "count"), [("4", 1), ("0", 0)])
def test_only_those_that_have_pages(kilobytes: str, count: int, tmp_path: Path) -> None:
    smaps = tmp_path / "smaps"
    smaps.write_text(SMAPS.format(kilobytes))
    assert wiped.written_to(str(smaps)) == count


def test_a_child_finds_them_empty_and_writes_to_them() -> None:
    """As glibc's getrandom() has one; here the child says how many it has before and after it writes."""
    page = syscalls.mmap(syscalls.PAGE)
    ctypes.memset(page, 1, 1)
    if syscalls.libc.madvise(page, syscalls.PAGE, WIPE_ON_FORK):
        raise syscalls.failed("madvise")
    before = wiped.written_to()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            empty = wiped.written_to()
            ctypes.memset(page, 1, 1)
            os.write(writing, json.dumps([empty, wiped.written_to()]).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    empty, written = json.loads(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    syscalls.munmap(page, syscalls.PAGE)
    assert before >= 1 and written == empty + 1


class Reading:
    def __init__(self, found: Observed) -> None:
        self._found = found

    def observed(self) -> Observed:
        return self._found

    def of_others(self, _counter: str) -> int | None:
        return 0


@pytest.mark.parametrize("lazy", [False, True])
def test_a_forks_child_has_its_first_fault_in_them(lazy: bool) -> None:
    """And nothing else has: without a fork the same first fault is one too many."""
    expected = forked(23).lazy if lazy else forked(23).regular
    found: Observed = {name: count.value(7) for name, count in expected.items()}
    own = ("first_faults", "lazy_prepares" if lazy else "prepares", "anon_vma_allocs")
    for name in own if lazy else (*own, "chain_allocs"):
        found[name] = (found.get(name) or 0) + 1
    step = Step("fork", forked(23))
    assert all(check.ok for check in Judge(None, lazy, 7, wiped=1).checks(step, Reading(found), {}))
    wrong = [check.what for check in Judge(None, lazy, 7).checks(step, Reading(found), {}) if not check.ok]
    assert "first_faults" in wrong and "anon_vma_allocs" in wrong
    quiet: Observed = dict.fromkeys(found, 0)
    assert not all(
        check.ok for check in Judge(None, lazy, 7, wiped=1).checks(Step("quiet", NOTHING), Reading({**quiet, "first_faults": 1}), {})
    )  # fmt: skip
