# SPDX-License-Identifier: MIT
"""The operation that a promotion's reason names: functions, one of which must be on the task's stack.

A row names the function that promotes and its callers, as a compiler may inline the one into the other. A reason
without a row, or of whose functions this kernel has none, is not judged.
"""

from __future__ import annotations

from lazyobs.bpf.blanks import Switch, switch
from lazyobs.bpf.sites import return_addresses
from lazyobs.kernel.functions import Functions
from lazyobs.model import REASONS

CAUSES: dict[str, tuple[str, ...]] = {
    "fork": ("anon_vma_fork", "dup_mmap", "dup_mm", "copy_process"),
    "split": ("__split_vma", "split_vma", "vma_modify", "vms_gather_munmap_vmas", "do_vmi_align_munmap"),
    "merge": (
        "dup_anon_vma",
        "commit_merge",
        "vma_merge_existing_range",
        "vma_merge_new_range",
        "vma_merge",
        "vma_expand",
        "__vma_adjust",
    ),
    "mremap": ("copy_vma", "move_vma"),
    "ksm": ("try_to_merge_with_ksm_page", "cmp_and_merge_page", "ksm_do_scan", "ksm_scan_thread"),
}
# A stack with one of these was read to its end: system call, exception, or kernel thread.
_ENDS = (
    "do_syscall_64",
    "do_int80_emulation",
    "do_fast_syscall_32",
    "el0_svc",
    "asm_exc_page_fault",
    "ret_from_fork",
    "kthread",
)

FUNCTIONS = (*(name for names in CAUSES.values() for name in names), *_ENDS)


def judged(functions: Functions) -> list[str]:
    """Reasons whose cause can be looked for here: none where the end of a stack cannot be recognised."""
    if not any(functions.parts(name) for name in _ENDS):
        return []
    return [reason for reason, names in CAUSES.items() if any(functions.parts(name) for name in names)]


CONSTANTS = ("CAUSES_JUDGED",)
SWITCHES = ("CAUSES_AT",)
_END = 1 << 30
C_CAUSES = f"#define CAUSE_END {_END:#x}\n"


def _bit(reason: str) -> int:
    return 1 << REASONS.index(reason)


def values(functions: Functions) -> dict[str, int | None]:
    """What CONSTANTS are here: a bit for each reason."""
    return {"CAUSES_JUDGED": sum(_bit(reason) for reason in judged(functions))}


def switches(functions: Functions) -> dict[str, Switch]:
    """CAUSES_AT(address): a bit for each reason that the address in a stack is a cause of, or CAUSE_END."""
    known = [(_bit(reason), CAUSES[reason]) for reason in judged(functions)]
    if known:
        known.append((_END, _ENDS))
    ranges = [
        return_addresses(symbol, bit) for bit, names in known for name in names for symbol in functions.parts(name)
    ]
    return {"CAUSES_AT": switch(ranges, both=int.__or__, in_loop=True)}
