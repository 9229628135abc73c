# SPDX-License-Identifier: MIT
"""The kernel's command line without what must not leave the machine: passwords of an installer, addresses, hosts,
identifiers of disks. What is kept is listed; everything else is in the hash alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

# Options that change what lazyobs measures, by what they change (Documentation/admin-guide/kernel-parameters.txt).
# The kernel takes "-" and "_" for the same in a name.
_KEPT: dict[str, tuple[str, ...]] = {
    "slab": (
        "slab_merge", "slab_nomerge", "slub_merge", "slub_nomerge", "slab_debug", "slub_debug", "slab_max_order",
        "slub_max_order", "slab_min_order", "slub_min_order", "slab_min_objects", "slub_min_objects",
        "slab_strict_numa", "init_on_alloc", "init_on_free", "hardened_usercopy",
    ),
    "memory": (
        "transparent_hugepage", "transparent_hugepage_anon", "thp_anon", "thp_shmem", "hugepages", "hugepagesz",
        "default_hugepagesz", "hugetlb_cma", "mem", "memory_hotplug.memmap_on_memory", "movable_node", "kernelcore",
        "movablecore", "numa", "numa_balancing", "swapaccount", "cgroup.memory", "cgroup_disable", "page_owner",
        "page_poison", "page_table_check", "debug_pagealloc", "memmap.disabled", "zswap.enabled", "zswap.compressor",
        "lru_gen.enabled", "randomize_va_space", "norandmaps", "vm_debug",
    ),
    "processors": (
        "isolcpus", "nohz_full", "nohz", "rcu_nocbs", "rcu_expedited", "nosmp", "maxcpus", "nr_cpus", "nosmt",
        "threadirqs", "preempt", "cpuidle.off", "idle", "intel_idle.max_cstate", "processor.max_cstate",
        "intel_pstate", "amd_pstate", "clocksource", "tsc",
    ),
    "security": (
        "lsm", "lockdown", "security", "apparmor", "selinux", "mitigations", "pti", "nopti", "nospectre_v1",
        "nospectre_v2", "spectre_v2", "spec_store_bypass_disable", "l1tf", "mds", "retbleed", "nokaslr",
        "module.sig_enforce",
    ),
    "debugging": (
        "kasan", "kasan.mode", "kasan_multi_shot", "kfence.sample_interval", "kmemleak", "lockdep", "prove_locking",
        "debug_objects", "panic", "panic_on_warn", "oops", "panic_on_oops", "bpf_jit_enable", "kprobes",
        "kretprobe_blacklist", "no_timer_check", "watchdog_thresh", "rcupdate.rcu_cpu_stall_timeout",
    ),
}  # fmt: skip
_NAMES = frozenset(name for names in _KEPT.values() for name in names)
_FILES_OF_THE_KERNEL = frozenset({"BOOT_IMAGE", "initrd"})  # other kernels have others
_OPTION = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def kept(cmdline: str) -> str:
    """The options that matter here, in their order; what follows ``--`` is for init."""
    return " ".join(option for option in _options(cmdline) if _name(option) in _NAMES)


def digest(cmdline: str) -> str:
    """SHA-256 of all options, in their order, without the names of the kernel's own files."""
    text = " ".join(option for option in _options(cmdline) if _name(option) not in _FILES_OF_THE_KERNEL)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def without_secrets(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity block of a recording with no more of its command line. Recordings of 0.1.0 have all of it, and no
    hash."""
    found = dict(identity)
    cmdline = found.get("cmdline")
    if isinstance(cmdline, str):
        found["cmdline"] = kept(cmdline)
        found.setdefault("cmdline_sha256", digest(cmdline))
    return found


def _options(cmdline: str) -> list[str]:
    found = _OPTION.findall(cmdline)
    return found[: found.index("--")] if "--" in found else found


def _name(option: str) -> str:
    name = option.partition("=")[0].strip('"')
    return name if name in _FILES_OF_THE_KERNEL else name.replace("-", "_")
