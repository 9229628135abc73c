# SPDX-License-Identifier: MIT
"""The tier without BPF: what it knows is right, what it cannot know is null with a reason."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from lazyobs.kernel import smaps
from lazyobs.kernel.profile import built_in
from lazyobs.kernel.slab import Slabinfo
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES
from lazyobs.sources.procfs import ProcfsSource
from tests.harness import process_of, skip


def source() -> ProcfsSource:
    mainline = next(profile for profile in built_in() if profile.name == "mainline")
    return ProcfsSource("6.1.0-test", mainline, Slabinfo(), "because the test says so")


def test_vmas_are_those_of_smaps(islands):
    program = islands(101)
    program.tell("touch")
    row = process_of(source().read(), program.pid)
    mappings = smaps.read(program.pid)
    assert row.census["vmas"] == len(mappings)
    assert row.census["vmas_anon"] == sum(1 for m in mappings if m.anonymous or m.swap)
    assert row.comm == "islands"


def test_what_cannot_be_known_is_null_and_says_why(islands):
    islands(23)
    sample = source().read()
    assert all(sample.totals[name] is None for name in COUNTER_NAMES)
    assert all(process.counts[name] is None for process in sample.processes for name in COUNTER_NAMES)
    for name in set(CENSUS_NAMES) - {"vmas", "vmas_anon"}:
        assert sample.census[name] is None
    assert "because the test says so" in sample.null_reasons["totals"]


def test_smaps_parsers_agree(islands):
    program = islands(211)
    program.tell("touch")
    with open(f"/proc/{program.pid}/smaps", "rb") as file:
        text = file.read()
    mappings = smaps.parse(text)
    assert smaps.has_anonymous(text) == (len(mappings), sum(1 for m in mappings if m.anonymous or m.swap))
    assert sum(m.anonymous == 4096 for m in mappings) >= 211


def test_a_file_may_be_called_like_lines_of_smaps(tmp_path: Path) -> None:
    """The kernel escapes the line feed in its name, and no other end of a line."""
    file = tmp_path / "x\rAnonymous:  4 kB\rVmFlags: rd"
    file.write_bytes(bytes(4096))
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 4096, prot=mmap.PROT_READ):
        text = Path("/proc/self/smaps").read_bytes()
    mappings = smaps.parse(text)
    assert smaps.has_anonymous(text) == (len(mappings), sum(1 for m in mappings if m.anonymous or m.swap))
    assert b"\rVmFlags: rd" in text


def test_a_sum_over_some_processes_is_none() -> None:
    """What others' processes have is not known to nobody, so there is no sum; the one process that it may read has its
    own row."""
    found = source()  # its files and profiles are root's
    if os.getuid() != 0:
        skip("root", "only root can become another user")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            sample = found.read()
            own = process_of(sample, os.getpid())
            assert own.census["vmas"] > 0
            assert sample.census["vmas"] is sample.census["vmas_anon"] is None
            for name in ("census.vmas", "census.vmas_anon", "processes.vmas"):
                assert "may not be read" in sample.null_reasons[name]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    whole = found.read()  # root of a container may not read the first process
    assert whole.census["vmas"] == sum(process.census["vmas"] or 0 for process in whole.processes)
    assert "census.vmas" not in whole.null_reasons
