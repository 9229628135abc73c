# SPDX-License-Identifier: MIT
"""The parts of kernel structs that probes read.

In C each member named here has a place of its own, the same for every kernel, and its number is in that place
(probes/blanks.h). Where it lies in the running kernel is filled in from BTF when a program is loaded. An optional
member that the kernel lacks is never read: ``HAVE_<struct>_<member>`` is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lazyobs.bpf.blanks import MEMBER_STRIDE
from lazyobs.kernel.btf import Btf


@dataclass(frozen=True)
class Wanted:
    """``path`` in the kernel struct, ``c_type`` (of the same size) in ours; the last part is our name.

    A profile or another table gives the path of a member without one.
    """

    path: str
    c_type: str
    optional: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.path.split(".")[-1]

    @property
    def size(self) -> int:
        """Bytes."""
        base, _, count = self.c_type.partition("[")
        return (8 if base.endswith("*") else _SIZES[base]) * int(count.rstrip("]") or 1)


_SIZES = {"u64": 8, "u32": 4, "int": 4, "u8": 1, "char": 1}

STRUCTS: dict[str, tuple[Wanted, ...]] = {
    "kernfs_node": (
        Wanted("id", "u64"),
        Wanted("name", "char *"),
        # __parent since 6.15.
        Wanted("parent", "struct kernfs_node *", optional=True),
        Wanted("__parent", "struct kernfs_node *", optional=True, name="rcu_parent"),
    ),
    "cgroup": (Wanted("kn", "struct kernfs_node *"), Wanted("root", "u64", optional=True)),
    "cgroup_subsys_state": (Wanted("cgroup", "struct cgroup *", optional=True),),
    "css_set": (
        Wanted("dfl_cgrp", "struct cgroup *", optional=True),
        Wanted("", "struct cgroup_subsys_state *", optional=True, name="memory"),
    ),
    "cred": (Wanted("uid.val", "u32", name="uid"),),
    "signal_struct": (
        Wanted("live.counter", "int", name="live"),
        Wanted("nr_threads", "int"),
    ),
    # Since 5.11: 57efa1fe5957 ("mm/gup: prevent gup_fast from racing with COW during fork").
    "mm_struct": (
        Wanted("write_protect_seq.sequence", "u32", optional=True, name="fork_sequence"),
        Wanted("", "u64", optional=True, name="pool"),
        Wanted("map_count", "int"),
        Wanted("start_brk", "u64"),
        Wanted("brk", "u64"),
        Wanted("start_stack", "u64"),
    ),
    "task_struct": (
        Wanted("flags", "u32"),
        Wanted("pid", "int"),
        Wanted("tgid", "int"),
        Wanted("start_boottime", "u64"),
        Wanted("group_leader", "struct task_struct *"),
        Wanted("real_parent", "struct task_struct *"),
        Wanted("mm", "struct mm_struct *"),
        Wanted("signal", "struct signal_struct *"),
        Wanted("cred", "struct cred *"),
        Wanted("cgroups", "struct css_set *", optional=True),
        Wanted("comm", "char[16]"),
    ),
    "anon_vma": (
        Wanted("root", "struct anon_vma *"),
        Wanted("num_children", "u64", optional=True),
        Wanted("num_active_vmas", "u64", optional=True),
        Wanted("degree", "u32", optional=True),
        Wanted("rb_root.rb_leftmost", "u64", name="leftmost"),
        Wanted("rwsem", "u8", optional=True),
        # Not with PREEMPT_RT, where the lock is another.
        Wanted("rwsem.owner.counter", "u64", optional=True, name="lock_owner"),
        Wanted("", "u8", optional=True, name="pool_live"),
    ),
    "anon_vma_chain": (
        Wanted("anon_vma", "u64"),
        Wanted("same_vma.next", "u64", name="next_chain"),
        Wanted("rb", "u64[3]", name="node"),
    ),
    "vm_area_struct": (
        Wanted("vm_start", "u64"),
        Wanted("vm_end", "u64"),
        Wanted("vm_flags", "u64"),
        Wanted("vm_pgoff", "u64"),
        # The anonymous page offset, by which anon_vmas are shared too (7.3); that of files may be another.
        Wanted("__vm_anon_pgoff_lo", "u32", optional=True, name="anon_pgoff_low"),
        Wanted("__vm_anon_pgoff_hi", "u32", optional=True, name="anon_pgoff_high"),
        Wanted("vm_file", "u64"),
        Wanted("anon_vma", "u64"),
        Wanted("anon_vma_chain.next", "u64", name="first_chain"),
        Wanted("", "u8", optional=True, name="lazy_mark"),
        Wanted("vm_ops", "u64"),
        # Since 5.17, with CONFIG_ANON_VMA_NAME: 9a10064f5625 ("mm: add a field to store names for private anonymous
        # memory").
        Wanted("anon_name", "struct anon_vma_name *", optional=True),
    ),
    "anon_vma_name": (Wanted("name", "u8", optional=True),),
    "file": (Wanted("f_path.dentry", "struct dentry *", optional=True, name="dentry"),),
    "dentry": (Wanted("d_name.name", "char *", optional=True, name="name"),),
    "kmem_cache": (Wanted("object_size", "u32"), Wanted("name", "char *")),
    "folio": (
        Wanted("mapping", "u64"),
        Wanted("flags", "u64"),
        Wanted("_mapcount.counter", "int", optional=True, name="mapcount"),
        # Of all pages of a large folio together (6.10); page by page before.
        Wanted("_large_mapcount.counter", "int", optional=True, name="large_mapcount"),
    ),
    # Bit 0: a tail page. It was the address of its head; since 7.2 it is a mask for that, on most kernels.
    "page": (
        Wanted("compound_head", "u64", optional=True),
        Wanted("compound_info", "u64", optional=True),
    ),
    "vm_fault": (
        Wanted("vma", "struct vm_area_struct *", optional=True),
        Wanted("orig_pte", "u64", optional=True),
        Wanted("pte", "u64", optional=True),
        Wanted("page", "u64", optional=True),
        Wanted("address", "u64", optional=True),
        Wanted("flags", "u32", optional=True),
    ),
    "rmap_walk_control": (Wanted("rmap_one", "u64"), Wanted("arg", "u64"), Wanted("invalid_vma", "u64")),
}
# Registers of arguments and result in pt_regs, by the calling convention: x86-64; arm64.
REGISTERS = ("pt_regs",)
_ARGUMENTS = (("di", "si", "dx", "cx", "r8", "r9"), ("regs",))
_RESULTS = ("ax", "regs")
# Before 5.16 there are pages where there are folios now; what is read of them lies in the same place.
ALIASES = {"folio": "page"}
NAMES = (*STRUCTS, *ALIASES.values(), *REGISTERS)

# Contexts of the iterator are ABI between the kernel and its programs (include/linux/bpf.h: __bpf_md_ptr).
_ITERATOR_CONTEXT = """struct bpf_iter_meta {
	struct seq_file *seq __attribute__((aligned(8)));
	u64 session_id;
	u64 seq_num;
};
struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta __attribute__((aligned(8)));
	struct task_struct *task __attribute__((aligned(8)));
	struct vm_area_struct *vma __attribute__((aligned(8)));
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta __attribute__((aligned(8)));
	struct task_struct *task __attribute__((aligned(8)));
};
"""


def kernel_name(btf: Btf, struct: str) -> str:
    """What the kernel calls a struct of the table."""
    return ALIASES[struct] if struct in ALIASES and btf.struct_size(struct) is None else struct


# What probes copy in one read: {struct: (bytes of the copy, members)}. The lock in an anon_vma has 40 bytes, and with
# lockdep 150.
COPIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "vm_area_struct": (
        256,
        (
            "vm_start",
            "vm_end",
            "vm_flags",
            "vm_pgoff",
            "anon_pgoff_low",
            "anon_pgoff_high",
            "vm_file",
            "anon_vma",
            "first_chain",
        ),
    ),
    "anon_vma": (256, ("root", "num_children", "num_active_vmas", "leftmost", "pool_live")),
    "anon_vma_chain": (64, ("anon_vma", "next_chain")),
    "rmap_walk_control": (128, ("rmap_one", "arg", "invalid_vma")),
}
SIZES = {"SIZEOF_ANON_VMA": "anon_vma", "SIZEOF_MM": "mm_struct"}
_UNSIZED = ("anon_vma.rwsem", "anon_vma_name.name")  # of which the address alone is of interest

CONSTANTS = (
    *(f"HAVE_{struct}_{member.label}" for struct, members in STRUCTS.items() for member in members if member.optional),
    *SIZES,
    *(f"COPIED_{struct}" for struct in COPIES),
)
OFFSETS = tuple(f"{struct}.{member.label}" for struct, members in STRUCTS.items() for member in members)
# {"struct.member": path} of the members of STRUCTS without one; those that are not in it are not there.
Paths = Mapping[str, str]


def missing(btf: Btf) -> list[str]:
    """Structs and required members that this kernel's BTF does not have, or has in another size."""
    gone = []
    for name, members in STRUCTS.items():
        struct = kernel_name(btf, name)
        if btf.struct_size(struct) is None:
            if not all(member.optional for member in members):
                gone.append(f"struct {struct}")
            continue
        for member in members:
            place = btf.member(struct, member.path) if member.path else None
            if place is None:
                if not member.optional:
                    gone.append(f"{struct}.{member.path}")
            elif f"{name}.{member.path}" not in _UNSIZED and place.size != member.size:
                gone.append(f"{struct}.{member.path} of {member.size} bytes")
    return gone or [f"{struct}.{label} in the first {room} bytes" for struct, label, room in _beyond(btf)]


def _beyond(btf: Btf) -> Iterator[tuple[str, str, int]]:
    """Members that the copies of their structs do not reach."""
    for struct, (room, labels) in COPIES.items():
        for member in STRUCTS[struct]:
            place = btf.member(kernel_name(btf, struct), member.path) if member.path else None
            if member.label in labels and place is not None and place.offset + 8 > room:
                yield struct, member.label, room


def values(btf: Btf, paths: Paths) -> dict[str, int | None]:
    """What CONSTANTS and OFFSETS are in this kernel; call ``missing`` first."""
    found: dict[str, int | None] = {}
    for struct, members in STRUCTS.items():
        for member in members:
            path = member.path or paths.get(f"{struct}.{member.label}", "")
            place = btf.member(kernel_name(btf, struct), path) if path else None
            found[f"{struct}.{member.label}"] = place.offset if place else None
            if member.optional:
                found[f"HAVE_{struct}_{member.label}"] = int(place is not None)
    for name, struct in SIZES.items():
        found[name] = btf.struct_size(struct)
    for struct, (_, labels) in COPIES.items():
        places = (found[f"{struct}.{label}"] for label in labels)
        size = btf.struct_size(kernel_name(btf, struct)) or 0
        found[f"COPIED_{struct}"] = min(size, max(place + 8 for place in places if place is not None))
    return found


def registers(btf: Btf) -> tuple[list[int], int] | None:
    """Offsets in pt_regs of the first arguments of a function, and of its result; None where they are not known."""
    for arguments, result in zip(_ARGUMENTS, _RESULTS):
        places = [btf.member("pt_regs", name) for name in (*arguments, result)]
        found = [place.offset for place in places if place is not None]
        if len(found) == len(places):
            return (found[:-1] if len(arguments) > 1 else [found[0] + 8 * number for number in range(8)]), found[-1]
    return None


def c_structs() -> str:
    """All structs of the table, as C."""
    lines = ["struct seq_file;"] + [f"struct {name};" for name in STRUCTS]
    number = 0
    for struct, members in STRUCTS.items():
        lines += _c_struct(struct, members, number)
        number += len(members)
    lines += [f"struct copied_{name} {{\n\tu64 words[{room // 8}];\n}};" for name, (room, _) in COPIES.items()]
    return "\n".join(lines) + "\n" + _ITERATOR_CONTEXT


def _c_struct(struct: str, members: tuple[Wanted, ...], first: int) -> list[str]:
    """``first``: the number of the first member."""
    body, asserts = ([f"\tchar before[{first * MEMBER_STRIDE}];"] if first else []), []
    for number, member in enumerate(members, first):
        base, _, count = member.c_type.partition("[")
        space = "" if base.endswith("*") else " "
        array = "[" + count if count else ""
        body.append(f"\t{base}{space}{member.label}{array} __attribute__((aligned({MEMBER_STRIDE})));")
        place = f"__builtin_offsetof(struct {struct}, {member.label})"
        asserts.append(f'_Static_assert({place} == {number * MEMBER_STRIDE}, "{struct}.{member.label}");')
    return [f"struct {struct} {{", *body, "};", *asserts]
