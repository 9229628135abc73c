# SPDX-License-Identifier: MIT
"""Allocations minus frees against the live objects slabinfo shows.

slabinfo's "active" counts free objects on per-CPU slabs until they are flushed, so both readings are
barrier readings: RCU grace period, then shrink. Other processes go on meanwhile; what they do is in both.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.harness import skip


def settle() -> None:
    try:
        for _ in range(2):
            time.sleep(0.2)  # an RCU grace period and the callbacks after it
            with open("/sys/kernel/slab/anon_vma/shrink", "w") as file:
                file.write("1")
    except OSError as error:
        skip("bpf", f"/sys/kernel/slab/anon_vma/shrink: {error.strerror}")


def residual(source) -> int:
    settle()
    found = source.read().health["ledger_residual"]
    assert found is not None
    return int(found)


def test_residual_is_small_against_what_was_moved(live, islands):
    settle()
    source = live()
    programs = [islands(5003) for _ in range(2)]
    allowed = 503  # 5 % of 10,006: per-CPU slabs that were in use again by the time of the reading
    for program in programs:
        program.tell("touch")
    assert abs(residual(source)) <= allowed
    for program in programs:
        program.end()
    sample = source.read()
    assert sample.totals["anon_vma_frees"] >= 10_006
    assert abs(residual(source)) <= allowed


def test_without_slabinfo_the_residual_is_null_with_a_reason(live, monkeypatch, tmp_path):
    from lazyobs.kernel import slab

    (tmp_path / "proc").mkdir()
    real = slab.Slabinfo
    monkeypatch.setattr("lazyobs.sources.open.Slabinfo", lambda: real(str(tmp_path / "proc")))
    sample = live().read()
    assert sample.health["ledger_residual"] is None
    assert "slabinfo" in sample.null_reasons["health.ledger_residual"]
    assert all(row.objects is None for row in sample.slabs)


def test_slabs_are_those_of_slabinfo(root, live):
    source = live()
    text = {
        line.split()[0]: line.split()
        for line in Path("/proc/slabinfo").read_text().splitlines()
        if not line.startswith("#")
    }
    for row in source.read().slabs:
        names = [row.cache, *row.merged_with]
        fields = next(text[name] for name in names if name in text)
        assert row.object_bytes == int(fields[3])
