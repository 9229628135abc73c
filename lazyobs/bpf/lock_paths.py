# SPDX-License-Identifier: MIT
"""What a task is about while it waits for the lock of an anon_vma's root: functions, one of which is on its stack.

The innermost function of any row decides: unlink_anon_vmas() below move_vma() is an unmapping. A row names a function
and its callers, as a compiler may inline the one into the other. A wait on whose stack there is none of them is not
taken for one of an anon_vma, however much its lock looks like it.
"""

from __future__ import annotations

from lazyobs.bpf.blanks import Switch, switch
from lazyobs.bpf.causes import CAUSES
from lazyobs.bpf.sites import return_addresses
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.profile import LAZY_PREPARE, PROMOTION
from lazyobs.model import LOCK_PATHS

PATHS: dict[str, tuple[str, ...]] = {
    "prepare": ("__anon_vma_prepare",),
    "fork": ("anon_vma_fork", "dup_mmap"),
    "unmap": ("unlink_anon_vmas", "free_pgtables"),
    "split": ("__split_vma",),
    "merge": (*CAUSES["merge"], "vma_shrink"),
    "mremap": ("take_rmap_locks", "move_ptes", "move_page_tables", *CAUSES["mremap"]),
    "walk": ("rmap_walk_anon", "rmap_walk_ksm", "folio_lock_anon_vma_read", "page_lock_anon_vma_read", "page_lock_anon_vma"),
    "other": (
        "expand_downwards",
        "expand_upwards",
        "collapse_huge_page",
        "collapse_scan_pmd",
        "__folio_split",
        "split_huge_page_to_list_to_order",
        "split_huge_page_to_list",
        "mm_take_all_locks",
        "move_pages_pte",
        "move_pages_ptes",
        "move_pages_huge_pmd",
        "unmap_and_move_huge_page",
        "migrate_hugetlbs",
        "collect_procs_anon",
        "folio_add_anon_rmap_pmd",
        "wp_page_copy",
    ),
}  # fmt: skip
FUNCTIONS = tuple(name for names in PATHS.values() for name in names)
assert set(PATHS) | {"promotion"} == set(LOCK_PATHS)

_LOCK = "rwsem"


def why_not(btf: Btf) -> str:
    """Why an anon_vma cannot be told by its lock here; "" where it can."""
    if btf.member("anon_vma", _LOCK) is None:
        return f"BTF has no member anon_vma.{_LOCK}"
    return ""


SWITCHES = ("LOCK_PATH_OF",)
C_LOCKS = f"#define LOCK_PATH_COUNT {len(LOCK_PATHS)}\n"


def switches(functions: Functions) -> dict[str, Switch]:
    """LOCK_PATH_OF(address): the path of an address in a stack, LOCK_PATH_COUNT for one in none of PATHS."""
    stated = tuple(name for key in (PROMOTION, LAZY_PREPARE) for name in functions.profile.stated.get(key, ()))
    ranges = [
        return_addresses(symbol, LOCK_PATHS.index(path))
        for path, names in (("promotion", stated), *PATHS.items())
        for name in names
        for symbol in functions.parts(name)
    ]
    return {"LOCK_PATH_OF": switch(ranges, len(LOCK_PATHS), in_loop=True)}
