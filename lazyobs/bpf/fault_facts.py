# SPDX-License-Identifier: MIT
"""What has to be known of a kernel to follow its page faults: struct vm_fault, and entries of page tables."""

from __future__ import annotations

from lazyobs.bpf import structs
from lazyobs.kernel.btf import Btf

# {probe point: members of struct vm_fault that it reads}
_MEMBERS = {"cow": ("vma", "orig_pte", "pte", "page"), "first_fault": ("vma", "address", "flags")}
ENUMS = ("fault_flag",)
_BY_VMA = "FAULT_FLAG_VMA_LOCK"  # 6.4: the fault holds the lock of its VMA alone; 0 where there is no such lock
CONSTANTS = (_BY_VMA,)


def values(btf: Btf) -> dict[str, int | None]:
    """What CONSTANTS are in this kernel."""
    return {_BY_VMA: btf.enumerators("fault_flag").get(_BY_VMA, 0)}


def why_not(point: str, btf: Btf) -> str:
    """Why faults cannot be followed by that point here; "" where they can, and of any other point."""
    if gone := [member for member in _MEMBERS.get(point, ()) if btf.member("vm_fault", member) is None]:
        return f"BTF has no {', '.join(f'vm_fault.{member}' for member in gone)}"
    if point == "cow" and structs.registers(btf) is None:
        return "what an entry of a page table looks like is known of x86-64 and arm64 alone"
    return ""
