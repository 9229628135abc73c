# SPDX-License-Identifier: MIT
"""The tier without BPF: what it knows is right, what it cannot know is null with a reason."""

from __future__ import annotations

import mmap
from pathlib import Path

from lazyobs.kernel import smaps
from lazyobs.kernel.profile import built_in
from lazyobs.kernel.slab import Slabinfo
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES
from lazyobs.sources.procfs import ProcfsSource
from tests.harness import process_of


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


def fake_process(proc: Path, pid: int, smaps_text: bytes | None) -> None:
    """``smaps_text`` None: it may not be read."""
    root = proc / str(pid)
    root.mkdir(parents=True)
    (root / "stat").write_text(f"{pid} (x) S 1 " + "0 " * 30)
    if smaps_text is not None:
        (root / "smaps").write_bytes(smaps_text)


def test_a_sum_says_how_many_processes_it_lacks_and_is_null_without_any(tmp_path: Path) -> None:
    mainline = next(profile for profile in built_in() if profile.name == "mainline")
    proc = tmp_path / "proc"
    for pid in (11, 12):
        fake_process(proc, pid, None)
    sample = ProcfsSource("6.1.0-test", mainline, Slabinfo(), "a test", proc_root=str(proc)).read()
    assert sample.census["vmas"] is sample.census["vmas_anon"] is None
    assert sample.null_reasons["census.vmas"] == "2 processes of other users may not be read"
    text = Path("/proc/self/smaps").read_bytes()
    fake_process(proc, 13, text)
    found = ProcfsSource("6.1.0-test", mainline, Slabinfo(), "a test", proc_root=str(proc)).read().as_json()
    assert found["census"]["vmas"] == len(smaps.parse(text))
    assert found["null_reasons"]["processes.vmas"] == "2 processes of other users may not be read"
    assert "census.vmas" not in found["null_reasons"]
    assert [row["vmas"] for row in found["processes"]] == [None, None, len(smaps.parse(text))]


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
