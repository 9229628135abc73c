# SPDX-License-Identifier: MIT
"""The operation that a promotion's reason names: functions, one of which must be on the task's stack.

A row names the function that promotes and its callers, as a compiler may inline the one into the other. A reason
without a row, or of whose functions this kernel has none, is not judged.
"""

from __future__ import annotations

from lazyobs.bpf.addresses import Addresses
from lazyobs.bpf.sites import in_any
from lazyobs.kernel.functions import Functions

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


def c_causes(functions: Functions, addresses: Addresses) -> str:
    """CAUSE_IS_JUDGED(reason), IS_CAUSE(reason, address) and IS_STACK_END(address) as C."""
    reasons = judged(functions)
    known = " | ".join(f"1U << REASON_{reason.upper()}" for reason in reasons) or "0"
    lines = [f"#define CAUSE_IS_JUDGED(reason) (({known}) >> (reason) & 1)"]
    causes = [
        f"((reason) == REASON_{reason.upper()} && ({in_any(CAUSES[reason], functions, addresses)}))"
        for reason in reasons
    ]
    lines.append(f"#define IS_CAUSE(reason, site) ({' || '.join(causes) or '0'})")
    lines.append(f"#define IS_STACK_END(site) ({in_any(_ENDS, functions, addresses)})")
    return "\n".join(lines) + "\n"
