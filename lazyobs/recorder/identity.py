# SPDX-License-Identifier: MIT
"""The identity of a recording: the facts that decide whether two recordings are comparable."""

from __future__ import annotations

import gzip
import hashlib
import mmap
import os
import platform
import re
import struct
import zlib
from pathlib import Path
from typing import Any

from lazyobs import __version__
from lazyobs.kernel import command_line
from lazyobs.kernel.slab import CACHES, merged_with

_NT_GNU_BUILD_ID = 3
_MOST_DIGITS = 19
_SETTINGS = {
    "thp": "kernel/mm/transparent_hugepage",
    "ksm": "kernel/mm/ksm",
}
_THP_FILES = ("enabled", "defrag", "shmem_enabled", "khugepaged/scan_sleep_millisecs", "khugepaged/pages_to_scan")
_KSM_FILES = ("run", "pages_to_scan", "sleep_millisecs", "merge_across_nodes")
_SYSCTLS = (
    "vm.swappiness",
    "vm.overcommit_memory",
    "vm.max_map_count",
    "kernel.threads-max",
    "kernel.bpf_stats_enabled",
)


def identity(
    profile: str,
    lazy_enabled: bool | None,
    tiers: dict[str, str | None],
    compiler: str | None,
    proc_root: str = "/proc",
    sys_root: str = "/sys",
    whole_cmdline: bool = False,
) -> dict[str, Any]:
    """The identity block; values that cannot be read are None. ``compiler`` is BCC's version; ``whole_cmdline``: the
    kernel's command line with everything in it, not only what kernel/command_line.py keeps."""
    release = _line(f"{proc_root}/sys/kernel/osrelease")
    cmdline = _line(f"{proc_root}/cmdline")
    return {
        "lazyobs": __version__,
        "bcc": compiler,
        "release": release,
        "version": _line(f"{proc_root}/sys/kernel/version"),
        "build_id": build_id(sys_root),
        "config_sha256": config_hash(release or "", proc_root),
        "cmdline": cmdline if cmdline is None or whole_cmdline else command_line.kept(cmdline),
        "cmdline_sha256": None if cmdline is None else command_line.digest(cmdline),
        "boot_id": _line(f"{proc_root}/sys/kernel/random/boot_id"),
        "tainted": _number(f"{proc_root}/sys/kernel/tainted"),
        "clock_source": _line(f"{sys_root}/devices/system/clocksource/clocksource0/current_clocksource"),
        "machine": platform.machine(),
        "page_bytes": mmap.PAGESIZE,
        "cpu": _cpu(proc_root),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": _memory(proc_root),
        "swap": _swap(proc_root),
        "profile": profile,
        "lazy_enabled": lazy_enabled,
        "tiers": tiers,
        "slab_merging": {cache: merged_with(cache, sys_root) for cache in CACHES},
        "thp": {name: _line(f"{sys_root}/{_SETTINGS['thp']}/{name}") for name in _THP_FILES},
        "ksm": {name: _line(f"{sys_root}/{_SETTINGS['ksm']}/{name}") for name in _KSM_FILES},
        "sysctl": {name: _line(f"{proc_root}/sys/{name.replace('.', '/')}") for name in _SYSCTLS},
    }


def _line(path: str) -> str | None:
    try:
        return " ".join(Path(path).read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return None


def _number(path: str) -> int | None:
    text = _line(path)
    return int(text) if text is not None and text.isdecimal() and len(text) < _MOST_DIGITS else None


def build_id(sys_root: str = "/sys") -> str | None:
    """The kernel's GNU build id, from its ELF notes (elf(5): Elf64_Nhdr, name and description padded to 4)."""
    try:
        notes = Path(sys_root, "kernel/notes").read_bytes()
    except OSError:
        return None
    offset = 0
    while offset + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("=III", notes, offset)
        start = offset + 12 + (name_size + 3 & ~3)
        if kind == _NT_GNU_BUILD_ID and notes[offset + 12 : offset + 16] == b"GNU\0":
            return notes[start : start + size].hex()
        offset = start + (size + 3 & ~3)
    return None


def config_hash(release: str, proc_root: str = "/proc", boot_root: str = "/boot") -> str | None:
    """SHA-256 of the kernel's configuration without blank and comment lines."""
    try:
        with gzip.open(f"{proc_root}/config.gz", "rb") as packed:
            raw = packed.read()
    except (OSError, EOFError, zlib.error):
        try:
            raw = Path(boot_root, f"config-{release}").read_bytes()
        except OSError:
            return None
    lines = sorted(line for line in raw.splitlines() if line.startswith(b"CONFIG_"))
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _cpu(proc_root: str) -> str | None:
    try:
        text = Path(proc_root, "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^(?:model name|Processor|cpu)\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else None


def _memory(proc_root: str) -> int | None:
    text = _line(f"{proc_root}/meminfo") or ""
    found = re.search(r"MemTotal: ([0-9]{1,15}) kB", text)
    return int(found[1]) * 1024 if found else None


def _swap(proc_root: str) -> list[dict[str, Any]] | None:
    """Kind and size of each swap area, without its path."""
    try:
        text = Path(proc_root, "swaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    rows = [line.split() for line in text.splitlines()[1:]]
    return [
        {"kind": row[1], "bytes": int(row[2]) * 1024}
        for row in rows
        if len(row) >= 3 and row[2].isascii() and row[2].isdecimal() and len(row[2]) < _MOST_DIGITS
    ]
