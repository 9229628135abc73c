# SPDX-License-Identifier: MIT
"""Kernel features that scenarios need: how to test for each, and how to enable it for a scenario.

``why_not`` returns why a feature is missing, or "". ``set_up`` informs the guardian before each change.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lazyobs.selftest import swap, syscalls, userfaultfd
from lazyobs.selftest.settings_guard import Guardian
from lazyobs.selftest.syscalls import PAGE
from lazyobs.unix import capabilities
from lazyobs.unix.syscalls import number

_THP = "/sys/kernel/mm/transparent_hugepage"
_KSM = "/sys/kernel/mm/ksm"
_CAP_SYS_NICE = 23
UNPOISON = "/sys/kernel/debug/hwpoison/unpoison-pfn"


@dataclass(frozen=True)
class Feature:
    """``why_not`` runs before every scenario; ``set_up`` returns the value that the scenario finds in its settings."""

    why_not: Callable[[], str]
    set_up: Callable[[Guardian], Any] = lambda _guardian: True


def change(guardian: Guardian, path: str, value: str) -> None:
    """Writes a setting; the guardian restores the old value."""
    with open(path, encoding="ascii") as file:
        old = file.read().strip()
    if "[" in old:  # one of several words: "always [madvise] never"
        old = old.partition("[")[2].partition("]")[0]
    if old == value:
        return
    guardian.remember("write", path, old)
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _advice(name: str) -> Callable[[], str]:
    def why_not() -> str:
        # Length 0: advice that the kernel knows succeeds and does nothing.
        page = syscalls.mmap(PAGE)
        try:
            syscalls.madvise(page, 0, name)
        except OSError as error:
            return f"madvise refuses MADV_{name} ({os.strerror(error.errno or 0)})"
        finally:
            syscalls.munmap(page, PAGE)
        return ""

    return why_not


def _thp() -> str:
    if not os.path.exists(f"{_THP}/hpage_pmd_size"):
        return f"no transparent huge pages ({_THP} is missing)"
    if "[never]" in _read(f"{_THP}/enabled") and not os.access(f"{_THP}/enabled", os.W_OK):
        return "transparent huge pages are set to never; changing that needs root"
    return ""


def _set_up_thp(guardian: Guardian) -> int:
    # "madvise", not "always": the interpreter's heap must not get huge pages.
    if os.access(f"{_THP}/enabled", os.W_OK):
        change(guardian, f"{_THP}/enabled", "madvise")
    return int(_read(f"{_THP}/hpage_pmd_size"))


def _mthp_path() -> str:
    return f"{_THP}/hugepages-{16 * PAGE >> 10}kB/enabled"


def _mthp() -> str:
    if not os.path.exists(_mthp_path()):
        return f"no folios of 16 pages ({_mthp_path()} is missing)"
    return "" if os.access(_mthp_path(), os.W_OK) else "changing huge page sizes needs root"


def _set_up_mthp(guardian: Guardian) -> int:
    change(guardian, f"{_THP}/hugepages-{int(_read(f'{_THP}/hpage_pmd_size')) >> 10}kB/enabled", "never")
    change(guardian, _mthp_path(), "madvise")
    return 16


def _ksm() -> str:
    if not os.path.exists(f"{_KSM}/run"):
        return f"no KSM ({_KSM} is missing)"
    if not os.path.exists("/proc/self/ksm_merging_pages"):
        return "/proc/self/ksm_merging_pages is missing: merged pages cannot be counted"
    return "" if os.access(f"{_KSM}/run", os.W_OK) else "starting KSM needs root"


def _set_up_ksm(guardian: Guardian) -> bool:
    if _read(f"{_KSM}/run") == "0" and _read(f"{_KSM}/pages_shared") == "0":
        # ksmd also merges other processes' pages while it runs. Nothing was merged before: unmerge all at the end.
        guardian.remember("write", f"{_KSM}/run", "0")
        guardian.remember("write", f"{_KSM}/run", "2")
    if os.path.exists(f"{_KSM}/advisor_mode"):
        change(guardian, f"{_KSM}/advisor_mode", "none")
    if os.path.exists(f"{_KSM}/smart_scan"):
        change(guardian, f"{_KSM}/smart_scan", "0")
    change(guardian, f"{_KSM}/sleep_millisecs", "2")
    change(guardian, f"{_KSM}/pages_to_scan", "5000")
    change(guardian, f"{_KSM}/run", "1")
    return True


def _memory_nodes() -> list[int]:
    nodes: list[int] = []
    for part in _read("/sys/devices/system/node/has_memory").split(","):
        if part:
            first, _, last = part.partition("-")
            nodes += range(int(first), int(last or first) + 1)
    return nodes


def _numa() -> str:
    nodes = _memory_nodes()
    if len(nodes) < 2:
        return f"{len(nodes)} NUMA node with memory: page migration needs two"
    try:
        syscalls.syscall("move_pages", 0, 0, None, None, None, 0)
    except OSError as error:
        return f"move_pages is refused ({os.strerror(error.errno or 0)})"
    return ""


def _writable(path: str, what: str) -> Callable[[], str]:
    def why_not() -> str:
        if not os.path.exists(path):
            return f"{what} needs {path}, which is missing"
        return "" if os.access(path, os.W_OK) else f"{what} needs {path}, which only root may write"

    return why_not


def _frames() -> str:
    """Page frame numbers are hidden (zero) from processes without CAP_SYS_ADMIN."""
    buffer = ctypes.create_string_buffer(1)
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            file.seek(ctypes.addressof(buffer) // PAGE * 8)
            word = struct.unpack("=Q", file.read(8))[0]
    except OSError as error:
        return f"/proc/self/pagemap: {error.strerror}"
    return "" if word & (1 << 55) - 1 else "page frame numbers in /proc/self/pagemap need CAP_SYS_ADMIN"


def _page_flags() -> str:
    return _frames() or ("" if os.access("/proc/kpageflags", os.R_OK) else "/proc/kpageflags cannot be read")


def _io_uring() -> str:
    parameters = ctypes.create_string_buffer(120)
    try:
        fd = syscalls.syscall("io_uring_setup", 2, parameters)
    except OSError as error:
        return f"io_uring_setup is refused ({os.strerror(error.errno or 0)})"
    os.close(fd)
    return ""


def _process_madvise() -> str:
    try:
        syscalls.syscall("process_madvise", -1, None, 0, syscalls.ADVICE["COLD"], 0)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return f"process_madvise is refused ({os.strerror(error.errno)})"
    if not capabilities.effective() >> _CAP_SYS_NICE & 1:
        return "advice for another process needs CAP_SYS_NICE"
    return ""


def _set_up_unpoison(guardian: Guardian) -> str:
    """Path of the file in which the scenario records each frame before it soft-offlines it."""
    path = os.path.join(tempfile.gettempdir(), f"lazyobs-selftest-{os.getpid()}.frames")
    guardian.remember("remove", path)
    guardian.remember("unpoison", UNPOISON, path)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    return path


def _vmsplice() -> str:
    try:
        number("vmsplice")
    except OSError as error:
        return str(error.strerror)
    return ""


FEATURES: dict[str, Feature] = {
    "swap": Feature(swap.why_not, swap.set_up),
    "thp": Feature(_thp, _set_up_thp),
    "mthp": Feature(_mthp, _set_up_mthp),
    "collapse": Feature(_advice("COLLAPSE")),
    "cold": Feature(_advice("COLD")),
    "pageout": Feature(_advice("PAGEOUT")),
    "free": Feature(_advice("FREE")),
    "ksm": Feature(_ksm, _set_up_ksm),
    "numa": Feature(_numa, lambda _guardian: _memory_nodes()),
    "compaction": Feature(_writable("/proc/sys/vm/compact_memory", "compacting")),
    "frames": Feature(_frames),
    "page_flags": Feature(_page_flags),
    "soft_offline": Feature(_advice("SOFT_OFFLINE")),
    "unpoison": Feature(_writable(UNPOISON, "restoring an offlined page"), _set_up_unpoison),
    "userfaultfd": Feature(lambda: userfaultfd.why_not(0)),
    "userfaultfd_wp": Feature(lambda: userfaultfd.why_not(userfaultfd.FEATURE_PAGEFAULT_FLAG_WP)),
    "userfaultfd_move": Feature(lambda: userfaultfd.why_not(userfaultfd.FEATURE_MOVE)),
    "io_uring": Feature(_io_uring),
    "vmsplice": Feature(_vmsplice),
    "process_madvise": Feature(_process_madvise),
}


def missing(needs: tuple[str, ...]) -> str:
    """The first missing feature and why it is missing; "" if all are present."""
    for name in needs:
        why = FEATURES[name].why_not()
        if why:
            return f"{name}: {why}"
    return ""


def set_up(needs: tuple[str, ...], guardian: Guardian) -> dict[str, Any]:
    """Enables the features: {name: settings value}. OSError on failure; the guardian undoes what was done."""
    return {name: FEATURES[name].set_up(guardian) for name in needs}
