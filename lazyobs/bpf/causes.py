# SPDX-License-Identifier: MIT
"""What must be under way when a VMA is promoted for a reason: functions, one of which the task is in.

A row names the function that promotes and those that call it, as a compiler may put the one into the
other. A reason without a row, or of whose functions this kernel has none, is not judged.
"""

from __future__ import annotations

from lazyobs.bpf.addresses import Addresses
from lazyobs.bpf.sites import any_of
from lazyobs.kernel.kallsyms import Kallsyms

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
# A stack that has one of these was seen to its end: system call, exception, or kernel thread.
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


def judged(kallsyms: Kallsyms) -> list[str]:
    """Reasons whose cause can be looked for here: none where no stack could be seen to its end."""
    if not any(kallsyms.parts(name) for name in _ENDS):
        return []
    return [reason for reason, names in CAUSES.items() if any(kallsyms.parts(name) for name in names)]


def c_causes(kallsyms: Kallsyms, addresses: Addresses) -> str:
    """CAUSE_IS_JUDGED(reason), IS_CAUSE(reason, address) and IS_STACK_END(address) as C."""
    reasons = judged(kallsyms)
    known = " | ".join(f"1U << REASON_{reason.upper()}" for reason in reasons) or "0"
    lines = [f"#define CAUSE_IS_JUDGED(reason) (({known}) >> (reason) & 1)"]
    causes = [
        f"((reason) == REASON_{reason.upper()} && ({_in(kallsyms, CAUSES[reason], addresses)}))" for reason in reasons
    ]
    lines.append(f"#define IS_CAUSE(reason, site) ({' || '.join(causes) or '0'})")
    lines.append(f"#define IS_STACK_END(site) ({_in(kallsyms, _ENDS, addresses)})")
    return "\n".join(lines) + "\n"


def _in(kallsyms: Kallsyms, names: tuple[str, ...], addresses: Addresses) -> str:
    return any_of([part for name in names for part in kallsyms.parts(name)], addresses)
