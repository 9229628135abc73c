# SPDX-License-Identifier: MIT
"""Names of VMA flags: those of the line VmFlags in /proc/PID/smaps (proc_pid_smaps(5), fs/proc/task_mmu.c)."""

from __future__ import annotations

# VM_* of include/linux/mm.h. These bits are the same from 6.1 to 6.18 and on every architecture. VM_ARCH_1 and those
# above 31 are not, so they have no name here.
NAMES = {
    0x00000001: "rd",  # read
    0x00000002: "wr",  # write
    0x00000004: "ex",  # execute
    0x00000008: "sh",  # shared
    0x00000010: "mr",  # may read
    0x00000020: "mw",  # may write
    0x00000040: "me",  # may execute
    0x00000080: "ms",  # may share
    0x00000100: "gd",  # a stack: grows down
    0x00000200: "um",  # userfaultfd, missing pages
    0x00000400: "pf",  # page frame numbers, no struct page
    0x00001000: "uw",  # userfaultfd, write protection
    0x00002000: "lo",  # locked
    0x00004000: "io",  # a device's memory
    0x00008000: "sr",  # MADV_SEQUENTIAL
    0x00010000: "rr",  # MADV_RANDOM
    0x00020000: "dc",  # MADV_DONTFORK
    0x00040000: "de",  # mremap cannot expand it
    0x00080000: "lf",  # mlock on fault
    0x00100000: "ac",  # accountable
    0x00200000: "nr",  # MAP_NORESERVE
    0x00400000: "ht",  # hugetlb
    0x00800000: "sf",  # MAP_SYNC
    0x02000000: "wf",  # MADV_WIPEONFORK
    0x04000000: "dd",  # MADV_DONTDUMP
    0x08000000: "sd",  # soft-dirty
    0x10000000: "mm",  # with and without struct pages
    0x20000000: "hg",  # MADV_HUGEPAGE
    0x40000000: "nh",  # MADV_NOHUGEPAGE
    0x80000000: "mg",  # MADV_MERGEABLE
}
_NAMED = sum(NAMES)


def names(flags: int) -> str:
    """``rd wr mr mw me ac``, as smaps has them; other bits as one number at the end."""
    found = [name for bit, name in NAMES.items() if flags & bit]
    rest = flags & ~_NAMED
    return " ".join([*found, *([f"{rest:#x}"] if rest else [])])
