# SPDX-License-Identifier: MIT
"""The slowest forks of the last minute, by name and part."""

from __future__ import annotations

import pytest

from lazyobs.bpf import slow_forks
from lazyobs.model import MOST_FORKS, Sample
from lazyobs.sources.slow_forks import forks_of
from tests.harness import process_of, skip

TRIES = 7


def test_a_fork_of_many_vmas_is_among_them(live, islands):
    source = live()
    if "slow_forks" in source.read().null_reasons:
        skip("kernel", "forks that copy are not told apart")
    program = islands(5003)
    program.tell("touch")
    for _ in range(TRIES):  # another process can have a slower fork at the same time
        before = process_of(source.read(), program.pid).counts
        program.tell("fork")
        sample = source.read()
        program.tell("reap")
        after = process_of(sample, program.pid).counts
        grown = {
            name: after[name] - before[name] for name in ("fork_vmas", "fork_chains", "copying_forks", "lock_waits")
        }
        found = [fork for fork in sample.slow_forks if fork.pid == program.pid and fork.vmas == grown["fork_vmas"]]
        if found:
            break
    else:
        pytest.fail("a fork of 5003 VMAs was never the slowest of its CPU in 4.3 s")
    fork = found[0]
    assert grown["copying_forks"] == 1
    assert (fork.comm, fork.threads, fork.chains) == ("islands", 1, grown["fork_chains"])
    assert fork.chains >= 5003 and fork.vmas > 5003 and fork.child != fork.pid
    assert fork.seconds > 0.0001 and fork.lock_waits == grown["lock_waits"]
    assert fork.seconds <= sample.histograms["fork_duration_seconds"]["sum"]
    assert [one.seconds for one in sample.slow_forks] == sorted(
        (one.seconds for one in sample.slow_forks), reverse=True
    )
    assert (fork.anon_seconds is None) == ("slow_forks.anon_seconds" in sample.null_reasons)
    for part in ("page_table_seconds", "rest_seconds"):
        assert (getattr(fork, part) is None) == (f"slow_forks.{part}" in sample.null_reasons)
    assert Sample.from_json(sample.as_json()).slow_forks == sample.slow_forks


def test_what_no_probe_gives_is_null():
    one = slow_forks.SlowFork(
        9 * 10**9, 5 * 10**9, 2_000_000, 300_000, 500_000, 0, 0, 23, 101, 7, 3, 4, b"server\0junk"
    )
    (bare,) = forks_of([one], (), 1000.0)
    assert (bare.anon_seconds, bare.lock_seconds, bare.lock_waits, bare.chains) == (None, None, None, None)
    assert (bare.page_table_seconds, bare.rest_seconds) == (None, None)
    assert (bare.time, bare.start_time, bare.seconds, bare.vmas, bare.threads) == (1009.0, 1005.0, 0.002, 101, 7)
    assert bare.comm == "server"
    (full,) = forks_of([one], ("lock_waits", "fork_seconds", "fork_chains"), 1000.0)
    assert (full.anon_seconds, full.lock_seconds, full.lock_waits, full.chains) == (0.0003, 0.0, 0, 23)
    assert (full.page_table_seconds, full.rest_seconds) == (None, None)
    (parted,) = forks_of([one], ("fork_seconds", "fork_page_table_seconds"), 1000.0)
    assert (parted.anon_seconds, parted.page_table_seconds, parted.rest_seconds) == (0.0003, 0.0005, 0.0012)
    (tables,) = forks_of([one], ("fork_page_table_seconds",), 1000.0)
    assert (tables.page_table_seconds, tables.rest_seconds) == (0.0005, None)
    assert len(forks_of([one] * 101, (), 0.0)) == MOST_FORKS
