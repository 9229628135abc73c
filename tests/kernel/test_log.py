# SPDX-License-Identifier: MIT
"""Which lines of the kernel log begin a splat, and which records are new."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.kernel.log import KernelLog, kind_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("WARNING: CPU: 1 PID: 23 at mm/rmap.c:101 unlink_anon_vmas+0x1a/0x200", "WARN"),
        ("BUG: KASAN: slab-use-after-free in anon_vma_clone+0x1/0x2", "KASAN"),
        ("BUG: KFENCE: out-of-bounds read in x", "KFENCE"),
        ("BUG: unable to handle page fault for address: 0000000000001000", "BUG"),
        ("BUG anon_vma (Not tainted): Poison overwritten", "BUG"),
        ("kernel BUG at mm/rmap.c:211!", "BUG"),
        ("BUG: Bad rss-counter state mm:0 type:MM_ANONPAGES val:1", "BUG"),
        ("BUG: Bad page state in process python3  pfn:12345", "BUG"),
        ("list_del corruption. prev->next should be ffff", "BUG"),
        ("refcount_t: underflow; use-after-free.", "BUG"),
        ("Oops: general protection fault, 0000 [#1] SMP", "Oops"),
        ("Unable to handle kernel paging request at virtual address 0", "Oops"),
        ("WARNING: possible circular locking dependency detected", "lockdep"),
        ("WARNING: suspicious RCU usage", "lockdep"),
        ("INFO: task khugepaged:53 blocked for more than 120 seconds.", "hung task"),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "RCU stall"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 23s!", "lockup"),
        ("Kernel panic - not syncing: Fatal exception", "panic"),
        ("UBSAN: shift-out-of-bounds in mm/x.c:1:2", "UBSAN"),
        ("random: crng init done", None),
        ("eth0: no BUG: here", None),
        ("a WARNING: in the middle", None),
        ("BUGS are reported elsewhere", None),
        ("zram: Added device: zram1", None),
        ("Soft offlining pfn 0x1", None),
    ],
)
def test_kinds(text: str, kind: str | None) -> None:
    assert kind_of(text) == kind


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_text("6,1,1000000,-;old\n")
    log = KernelLog(str(path))
    with path.open("a") as file:
        file.write("4,2,2500000,-;WARNING: CPU: 0 at mm/rmap.c:460\n KEY=value\n")
    assert [(r.sequence, r.level, r.since_boot, r.text) for r in log.records()] == [
        (2, 4, 2.5, "WARNING: CPU: 0 at mm/rmap.c:460")
    ]
    assert list(log.records()) == []
    log.close()
