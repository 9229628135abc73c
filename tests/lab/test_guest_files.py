# SPDX-License-Identifier: MIT
"""The initramfs, and what is read out of a console log."""

from __future__ import annotations

import gzip
import lzma
import subprocess
from pathlib import Path

import pytest

from lab import initramfs, splats
from tests.harness import need_programs

pytestmark = pytest.mark.lab

MODULES_DEP = """kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko
kernel/net/9p/9pnet.ko:
kernel/fs/netfs/netfs.ko:
kernel/drivers/other-one.ko:
"""


def test_modules_come_after_what_they_need() -> None:
    order = initramfs.module_order(initramfs.read_modules_dep(MODULES_DEP), ["virtio_pci", "9pnet_virtio", "9p"])
    assert order == [
        "kernel/net/9p/9pnet.ko",
        "kernel/net/9p/9pnet_virtio.ko",
        "kernel/fs/netfs/netfs.ko",
        "kernel/fs/9p/9p.ko.xz",
    ]


def test_the_archive_holds_init_and_plain_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_programs("cpio", "gcc", feature="lab")
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "cache"))
    base = tmp_path / "image" / "modules" / "6.6.6"
    for line in MODULES_DEP.splitlines():
        path = base / line.split(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.name.encode()
        path.write_bytes(lzma.compress(data) if path.suffix == ".xz" else data)
    (base / "modules.dep").write_text(MODULES_DEP)
    archive = gzip.decompress(initramfs.initramfs(tmp_path / "image").read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=out, check=True)
    assert (out / "init").stat().st_mode & 0o777 == 0o755
    assert (out / "modules.list").read_text().split() == [
        "/modules/9pnet.ko",
        "/modules/9pnet_virtio.ko",
        "/modules/netfs.ko",
        "/modules/9p.ko",
    ]
    assert (out / "modules/9p.ko").read_bytes() == b"9p.ko.xz"


LOG = """[    0.1] Linux version 6.12
[    1.000000] Lockdown: swapper/0: hibernation is restricted
[    2.000000] WARNING: CPU: 1 PID: 7 at mm/rmap.c:480 unlink_anon_vmas+0x1/0x2
[    2.100000][   T12] BUG: KASAN: slab-use-after-free in rmap_walk_anon+0x1/0x2
[    2.200000] WARNING: possible circular locking dependency detected
[    2.300000] Memory failure: 0x1234: recovery action for dirty LRU page: Recovered
[    2.400000] Kernel panic - not syncing: Fatal exception
"""


def test_splats_are_found_once_each() -> None:
    assert splats.splats(LOG) == [
        "WARNING: CPU: 1 PID: 7 at mm/rmap.c:480 unlink_anon_vmas+0x1/0x2",
        "BUG: KASAN: slab-use-after-free in rmap_walk_anon+0x1/0x2",
        "WARNING: possible circular locking dependency detected",
        "Kernel panic - not syncing: Fatal exception",
    ]
    assert splats.fatal(LOG) == "Kernel panic - not syncing: Fatal exception"
    assert splats.fatal("all well\n") == ""


@pytest.mark.parametrize("byte, stale", [("e9", True), ("cc", False)])
def test_a_breakpoint_that_memory_does_not_hold_is_the_emulators(byte: str, stale: bool) -> None:
    oops = f"[    3.000000] Oops: int3: 0000 [#1] PREEMPT SMP\r\n[    3.0]  </TASK>\r\n[    3.0] Code: cc cc {byte} <a7> 00\r\n"
    assert splats.is_stale_breakpoint(oops.replace("\r", "")) is stale
    assert not splats.is_stale_breakpoint("[    3.000000] Oops: int3: 0000 [#1] PREEMPT SMP\n")
    assert not splats.is_stale_breakpoint(LOG)
