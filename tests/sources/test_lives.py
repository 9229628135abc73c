# SPDX-License-Identifier: MIT
"""What processes were in their lives: who forked, with how many VMAs and threads, and whose children forked again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.model import Program, Sample
from lazyobs.views import would
from tests.harness import ROOT, process_of

THREADS, FORKS = 5, 7
NAME = f"forker{os.getpid()}"[-15:]  # another suite can run beside this one
LIVES = ("copying_forks", "fork_vmas", "fork_threads", "forks_again")


@pytest.fixture
def forker(tmp_path: Path):
    """(the process, number of its VMAs), after it has forked."""
    program = tmp_path / NAME
    source = ROOT / "tests/workloads/forker.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-pthread", "-o", program, source], check=True)
    started = []

    def start() -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [program, str(THREADS), str(FORKS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        vmas = int(process.stdout.readline())
        assert process.stdout.readline() == "done\n"
        return process, vmas

    yield start
    for process in started:
        process.communicate()


def _program(sample: Sample, comm: str) -> Program | None:
    return next((program for program in sample.programs if program.comm == comm), None)


def test_a_process_that_forks_and_its_children(live, forker):
    source = live()
    before = source.read()
    process, vmas = forker()
    sample = source.read()
    parent = process_of(sample, process.pid)
    assert parent.counts["copying_forks"] == FORKS and parent.counts["forks_again"] == 0
    assert parent.counts["fork_threads"] == FORKS * (1 + THREADS)
    # /proc/PID/maps can have the vsyscall page, which is no VMA.
    assert parent.counts["fork_vmas"] in (FORKS * vmas, FORKS * (vmas - 1))
    if parent.census["vmas_copied"] is not None:
        each, rest = divmod(parent.census["vmas_copied"], FORKS)  # of those with anonymous pages
        assert rest == 0 and parent.census["vmas_anon"] == each
    process.communicate()
    sample = source.read()
    found = _program(sample, NAME)
    assert found is not None
    # The children, theirs, and the parent.
    assert (found.ends, found.ends_forked) == (2 * FORKS + 1, FORKS + 1)
    assert (found.copying_forks, found.forks_again) == (2 * FORKS, FORKS)
    assert found.fork_threads == FORKS * (1 + THREADS) + FORKS
    assert found.fork_vmas > parent.counts["fork_vmas"]
    assert 0 <= found.exclusive < found.prepares
    for name in LIVES:
        assert sample.totals[name] - before.totals[name] >= getattr(found, name)
    assert sample.totals["ends"] - before.totals["ends"] >= found.ends
    assert Sample.from_json(sample.as_json()).programs == sample.programs


def test_a_parent_whose_child_is_gone_has_forked(live, forker):
    """Counted from the events, and by the kernel itself: the present state shows no trace of the fork."""
    early, _ = forker()
    source = live()
    sample = source.read()
    found = would.of_process(process_of(sample, early.pid), None)
    copied = process_of(sample, early.pid).census["vmas_copied"]
    assert (found.forked, found.unknown) == ((1, 0) if copied is not None else (0, 1))
    late, _ = forker()
    assert would.of_process(process_of(source.read(), late.pid), None).forked == 1


def test_vfork_and_exec_copy_nothing(live, tmp_path):
    source = live()
    before = source.read().totals
    program = tmp_path / f"never{os.getpid()}"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    for _ in range(11):
        subprocess.run([program], check=True)  # vfork
    sample = source.read()
    found = _program(sample, program.name)
    assert found is not None and (found.ends, found.ends_forked, found.copying_forks) == (11, 0, 0)
    assert found.prepares >= 11 and found.exclusive == found.prepares
    assert sample.totals["forks"] - before["forks"] >= 11


def test_a_process_from_before_the_probes_is_no_end(live, forker):
    early, _ = forker()
    source = live()
    early.communicate()
    assert _program(source.read(), NAME) is None
