# SPDX-License-Identifier: MIT
"""Reading /dev/kmsg, and telling a complaint of the kernel from its ordinary talk."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.selftest.kernel_log import KernelLog, complaints


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path / "kmsg"))
    assert "No such file" in log.why_not
    assert log.lines() == []
    log.close()


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_text("6,1,1000000,-;old\n")
    log = KernelLog(str(path))
    with path.open("a") as file:
        file.write("4,2,2500000,-;WARNING: CPU: 0 at mm/rmap.c:460\n KEY=value\n")
    assert log.lines() == ["[    2.500000] WARNING: CPU: 0 at mm/rmap.c:460"]
    assert log.lines() == []
    log.close()


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 1 PID: 7 at mm/rmap.c:460 unlink_anon_vmas+0x1/0x2",
        "BUG: unable to handle page fault for address: ffff",
        "kernel BUG at mm/rmap.c:101!",
        "BUG: Bad rss-counter state mm:0000 type:MM_ANONPAGES val:1",
        "BUG: Bad page state in process python3  pfn:12345",
        "list_del corruption. prev->next should be ffff",
        "refcount_t: underflow; use-after-free.",
        "INFO: task python3:101 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
    ],
)
def test_complaints(line: str) -> None:
    assert complaints([f"[   12.345678] {line}"]) == [f"[   12.345678] {line}"]


@pytest.mark.parametrize(
    "line", ["zram: Added device: zram1", "Adding 65532k swap on /dev/zram1.", "Soft offlining pfn 0x1"]
)
def test_ordinary_talk(line: str) -> None:
    assert complaints([f"[   12.345678] {line}"]) == []
