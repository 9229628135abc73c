# SPDX-License-Identifier: MIT
"""The parts of kernel structs that probes read, as C structs laid out by BTF.

Only the members named here appear; the rest is padding, and every offset and size is asserted by the
compiler. An optional member that this kernel lacks is left out, and ``HAVE_<struct>_<member>`` is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.kernel.btf import Btf


@dataclass(frozen=True)
class Wanted:
    """``path`` in the kernel struct, ``c_type`` (of the same size) in ours; the last part is our name."""

    path: str
    c_type: str
    optional: bool = False
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.path.split(".")[-1]


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
    "css_set": (Wanted("dfl_cgrp", "struct cgroup *", optional=True),),
    "cred": (Wanted("uid.val", "u32", name="uid"),),
    "signal_struct": (
        Wanted("live.counter", "int", name="live"),
        Wanted("nr_threads", "int"),
    ),
    # Since 5.11: 57efa1fe5957 ("mm/gup: prevent gup_fast from racing with COW during fork").
    "mm_struct": (
        Wanted("write_protect_seq.sequence", "u32", optional=True, name="fork_sequence"),
        Wanted("map_count", "int"),
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
        Wanted("vm_file", "u64"),
        Wanted("anon_vma", "u64"),
        Wanted("anon_vma_chain.next", "u64", name="first_chain"),
    ),
    "kmem_cache": (Wanted("object_size", "u32"), Wanted("name", "char *")),
    "bpf_iter_meta": (Wanted("seq", "struct seq_file *"), Wanted("seq_num", "u64")),
    "folio": (
        Wanted("mapping", "u64"),
        Wanted("flags", "u64"),
        Wanted("_mapcount.counter", "int", optional=True, name="mapcount"),
        # Of all pages of a large folio together (6.10); page by page before.
        Wanted("_large_mapcount.counter", "int", optional=True, name="large_mapcount"),
    ),
    "rmap_walk_control": (Wanted("rmap_one", "u64"), Wanted("arg", "u64"), Wanted("invalid_vma", "u64")),
    # x86-64; arm64
    "pt_regs": (
        Wanted("di", "u64", optional=True),
        Wanted("si", "u64", optional=True),
        Wanted("dx", "u64", optional=True),
        Wanted("ax", "u64", optional=True),
        Wanted("regs", "u64[31]", optional=True),
    ),
}
# Before 5.16 there are pages where there are folios now; what is read of them lies in the same place.
ALIASES = {"folio": "page"}
NAMES = (*STRUCTS, *ALIASES.values())

# Contexts of the iterator are ABI between the kernel and its programs (include/linux/bpf.h: __bpf_md_ptr).
_ITERATOR_CONTEXT = """struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta __attribute__((aligned(8)));
	struct task_struct *task __attribute__((aligned(8)));
	struct vm_area_struct *vma __attribute__((aligned(8)));
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta __attribute__((aligned(8)));
	struct task_struct *task __attribute__((aligned(8)));
};
"""


def _kernel_name(btf: Btf, struct: str) -> str:
    return ALIASES[struct] if struct in ALIASES and btf.struct_size(struct) is None else struct


def missing(btf: Btf) -> list[str]:
    """Structs and required members that this kernel's BTF does not have."""
    gone = []
    for name, members in STRUCTS.items():
        struct = _kernel_name(btf, name)
        if btf.struct_size(struct) is None:
            gone.append(f"struct {struct}")
            continue
        gone += [
            f"{struct}.{member.path}"
            for member in members
            if not member.optional and btf.member(struct, member.path) is None
        ]
    return gone


def c_structs(btf: Btf, extra: dict[str, tuple[Wanted, ...]]) -> str:
    """All structs of the table, and ``extra`` members, as C; call ``missing`` first."""
    lines = ["struct seq_file;"] + [f"struct {name};" for name in STRUCTS]
    for struct, members in STRUCTS.items():
        lines += _c_struct(btf, struct, members + extra.get(struct, ()))
    return "\n".join(lines) + "\n" + _ITERATOR_CONTEXT


def _c_struct(btf: Btf, struct: str, members: tuple[Wanted, ...]) -> list[str]:
    found = []
    have = []
    for member in members:
        place = btf.member(_kernel_name(btf, struct), member.path)
        if member.optional:
            have.append(f"#define HAVE_{struct}_{member.label} {int(place is not None)}")
        if place is not None:
            found.append((place, member))
    found.sort(key=lambda pair: pair[0].offset)
    body, position, asserts = [], 0, []
    for place, member in found:
        if place.offset > position:
            body.append(f"\tchar pad_{position}[{place.offset - position}];")
        base, _, count = member.c_type.partition("[")
        body.append(f"\t{base}{'' if base.endswith('*') else ' '}{member.label}{'[' + count if count else ''};")
        asserts += [
            f'_Static_assert(__builtin_offsetof(struct {struct}, {member.label}) == {place.offset}, "{struct}");',
            f'_Static_assert(sizeof(((struct {struct} *)0)->{member.label}) == {place.size}, "{struct}.{member.path}");',
        ]
        position = place.offset + place.size
    size = btf.struct_size(_kernel_name(btf, struct))
    define = [f"#define SIZEOF_{struct.upper()} {size}"]
    if not body:
        return define
    return have + define + [f"struct {struct} {{", *body, "};", *asserts]
