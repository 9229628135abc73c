# SPDX-License-Identifier: MIT
"""The records that C writes and Python reads, each laid out once: as a C struct and as a ``struct.Struct``.

A C struct is generated with a static assertion on every offset and on the size; a field that C would have to
align by padding is refused, so both sides see the same bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lazyobs.bpf.counts import PROCESS_COUNTS
from lazyobs.model import LOCK_PATHS, PROGRAM_COLUMNS

# C type: (letter of the struct module, numpy type). Arrays of char are bytes.
_TYPES = {"u64": ("Q", "<u8"), "u32": ("I", "<u4"), "u16": ("H", "<u2"), "u8": ("B", "u1"), "char": ("s", "S")}


@dataclass(frozen=True)
class Field:
    """``c_type`` is one of ``_TYPES``, ``count`` of them in a row (0: no array); or it is another layout."""

    name: str
    c_type: str | Layout
    help: str = ""
    count: int = 0

    @property
    def code(self) -> str:
        """Format of the struct module, without a byte order."""
        if isinstance(self.c_type, Layout):
            return self.c_type.code
        return f"{self.count or ''}{_TYPES[self.c_type][0]}"

    @property
    def numpy(self) -> str:
        """The numpy type of a number or of bytes; TypeError of another layout."""
        if isinstance(self.c_type, Layout):
            raise TypeError(f"{self.name} is a struct")
        return f"{_TYPES[self.c_type][1]}{self.count or ''}"

    @property
    def alignment(self) -> int:
        if isinstance(self.c_type, Layout):
            return max(field.alignment for field in self.c_type.fields)
        return struct.calcsize("=" + _TYPES[self.c_type][0])

    def c_declaration(self) -> str:
        kind = f"struct {self.c_type.name}" if isinstance(self.c_type, Layout) else self.c_type
        array = f"[{self.count}]" if self.count else ""
        return f"{kind} {self.name}{array};" + (f" /* {self.help} */" if self.help else "")


@dataclass(frozen=True)
class Layout:
    """A C struct without padding. ValueError where C would pad."""

    name: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        for field, offset in zip(self.fields, self.offsets()):
            if offset % field.alignment:
                raise ValueError(f"struct {self.name}: C would pad before {field.name} (offset {offset})")
        if self.size % max(field.alignment for field in self.fields):
            raise ValueError(f"struct {self.name}: C would pad after {self.fields[-1].name}")

    @property
    def code(self) -> str:
        return "".join(field.code for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize("=" + self.code)

    def offsets(self) -> list[int]:
        """Of the fields, in bytes."""
        found, at = [], 0
        for field in self.fields:
            found.append(at)
            at += struct.calcsize("=" + field.code)
        return found

    def struct(self) -> struct.Struct:
        """Packs and unpacks the record; an array of numbers is that many values, ``char`` arrays are bytes."""
        return struct.Struct("=" + self.code)

    def c_struct(self) -> str:
        """The struct with its assertions, as C."""
        lines = [f"struct {self.name} {{", *("\t" + field.c_declaration() for field in self.fields), "};"]
        lines.append(f'_Static_assert(sizeof(struct {self.name}) == {self.size}, "struct {self.name}");')
        for field, offset in zip(self.fields, self.offsets()):
            place = f"__builtin_offsetof(struct {self.name}, {field.name})"
            lines.append(f'_Static_assert({place} == {offset}, "{self.name}.{field.name}");')
        return "\n".join(lines) + "\n"


PROCESS = Layout(
    "process",
    (
        Field("start_boottime", "u64", "ns; with the tgid the identity of the process"),
        Field("uid", "u32"),
        Field("unused", "u32"),
        Field("comm", "char", "name of the process, ended by a zero", 16),
        Field("counts", "u64", "by COUNT_*", len(PROCESS_COUNTS)),
    ),
)
PROCESS_SLOT = Layout(
    "process_slot",
    (Field("owner", "u64", "SLOT_*"), Field("process", PROCESS, "of a free slot: its counts are zero")),
)
CENSUS_ROW = Layout(
    "census_row",
    (
        Field("tgid", "u32"),
        Field("uid", "u32"),
        Field("start_boottime", "u64", "ns"),
        Field("mm", "u64", "address of the mm_struct: vfork and CLONE_VM processes share one"),
        Field("cgroup", "u64", "id of the kernfs node of its cgroup (probes/cgroups.c), 0 where not known"),
        Field("anon_roots", "u64", "root anon_vmas of own_anon, times ROOT_SHARE"),
        Field("file_roots", "u64", "the same of own_file"),
        Field("vmas", "u32"),
        Field("vmas_anon", "u32"),
        Field("vmas_lazy", "u32"),
        Field("vmas_private", "u32"),
        Field("vmas_shared", "u32"),
        Field("classic_anon_vmas", "u32", "that mainline would have made for the VMAs a lazy design gave none"),
        Field("chains_held", "u32"),
        Field("anon_vmas_held", "u32"),
        Field("ppid", "u32"),
        Field("chains_cut", "u32", "VMAs whose list of chains was longer than CHAINS_OF_A_VMA"),
        # Of the regular VMAs outside a pool, for what laziness would save (sources/savings.py).
        Field("own_anon", "u32", "VMAs without a file that have one chain, to a root"),
        Field("own_file", "u32", "the same with a file"),
        Field("joint_anon", "u32", "those of own_anon that share their anon_vma within the mm"),
        Field("joint_file", "u32"),
        Field("forked_anon", "u32", "those of own_anon, not joint, that a child still shares"),
        Field("forked_file", "u32"),
        Field("mergeable", "u32", "of both, those that ksmd may merge"),
        Field("inherited", "u32", "VMAs that a fork copied"),
        Field("orphan_roots", "u32", "roots left by an ended parent, counted at one of their chains"),
        Field("parent_orphans", "u32", "those of them that its own parent left for certain"),
        Field("unused_for_alignment", "u32"),
        Field("fork_copies", "u32", "VMAs that forks copied from this mm; the highest number: not known"),
        Field("comm", "char", "name of the process, ended by a zero", 16),
    ),
)
VMA_ROW = Layout(
    "vma_row",
    (
        Field("start", "u64", "first byte"),
        Field("end", "u64", "byte behind the last"),
        Field("flags", "u64", "vm_flags"),
        Field("anon_vma", "u64", "the kernel's word, tag bits included"),
        Field("tgid", "u32"),
        Field("state", "u32", "enum vma_state"),
        Field("chains", "u32", "on its list"),
        Field("anon_vmas", "u32", "of those, the ones that are counted at this VMA: the leftmost in their trees"),
        Field("cut", "u32", "1: its list was longer than CHAINS_OF_A_VMA"),
        Field("of", "u32", "VMA_OF_*"),
        Field("name", "char", "of a file, or given by a program; ended by a zero", 80),
    ),
)
CGROUP_ROW = Layout(
    "cgroup_row",
    (
        Field("id", "u64", "of its kernfs node"),
        Field("parent", "u64", "id of the parent, 0 of the root"),
        Field("name", "char", "ended by a zero", 256),
    ),
)
FAMILY = Layout(
    "family",
    (
        Field("number", "u64", "of the families since attach, from 1 on"),
        Field("since", "u64", "CLOCK_BOOTTIME of its first wait, ns"),
        Field("waits", "u64"),
        Field("write_waits", "u64"),
        Field("waited_ns", "u64"),
        Field("longest_ns", "u64"),
        Field("by_path", "u64", "waits, by LOCK_PATH_*", len(LOCK_PATHS)),
        # From the census.
        Field("pass", "u64", "the last one that met a member"),
        Field("owner_start", "u64", "ns since boot; of the process whose own anon_vma the root is, or of any member"),
        Field("owner", "u32", "its tgid"),
        Field("owns", "u32", "1: the root is its own"),
        Field("last", "u32", "tgid of the process that was met last"),
        Field("processes", "u32"),
        Field("vmas", "u32"),
        Field("chains", "u32"),
        Field("comm", "char", "name of the owner, ended by a zero", 16),
    ),
)
FAMILY_STATE = Layout(
    "family_state",
    (Field("numbers", "u64", "families since attach"), Field("pass", "u64", "passes of the census")),
)
SLOW_FORK = Layout(
    "slow_fork",
    (
        Field("stamp", "u64", "CLOCK_BOOTTIME when it ended, ns; 0: none yet"),
        Field("start", "u64", "of the process that forked, ns since boot"),
        Field("nanoseconds", "u64", "from the allocation of the child's mm"),
        Field("anon_nanoseconds", "u64", "in anon_vma_fork()"),
        Field("page_table_nanoseconds", "u64", "in copy_page_range()"),
        Field("waited", "u64", "for locks of root anon_vmas, ns"),
        Field("waits", "u32"),
        Field("chains", "u32", "cloned"),
        Field("vmas", "u32", "copied"),
        Field("threads", "u32", "of the process that forked"),
        Field("tgid", "u32"),
        Field("child", "u32", "tgid"),
        Field("comm", "char", "name of the process that forked, ended by a zero", 16),
    ),
)
PROGRAM = Layout("program", tuple(Field(name, "u64", about) for name, about in PROGRAM_COLUMNS if name != "comm"))
SHARED = (PROCESS, PROCESS_SLOT, CENSUS_ROW, VMA_ROW, CGROUP_ROW, FAMILY, FAMILY_STATE, PROGRAM, SLOW_FORK)


# Entries of the maps. The slots are direct-mapped caches in front of the hashes (probes/lazyobs.h, probes/calls.h), and
# their numbers powers of two.
ENTRIES = {
    "PROCESS_ENTRIES": 16384,
    "PROCESS_SLOTS": 4096,
    "TASK_ENTRIES": 4096,
    "FORK_SLOTS": 256,
    "CALL_SLOTS": 256,
    "PROGRAM_ENTRIES": 1024,
    "ENDINGS": 1024,
    "SLOW_FORKS": 16,
    "SLOW_FORK_SHIFT": 32,
    "FAMILY_ENTRIES": 2048,
    "FAMILY_MARKS": 8192,
}
# An anon_vma that several VMAs share is added up from its parts. The error of n parts is less than n / ROOT_SHARE.
ROOT_SHARE = 1 << 24
FORK_COPIES_UNKNOWN = (1 << 32) - 1


def c_layouts() -> str:
    """The sizes of the maps, and every shared struct but those of the event stream (event.py), as C."""
    sizes = "".join(f"#define {name} {entries}\n" for name, entries in ENTRIES.items())
    sizes += f"#define ROOT_SHARE {ROOT_SHARE}ULL\n#define FORK_COPIES_UNKNOWN {FORK_COPIES_UNKNOWN}U\n"
    sizes += f"#define FAMILY_MARK_BITS {ENTRIES['FAMILY_MARKS'].bit_length() - 1}\n"
    return sizes + "\n".join(layout.c_struct() for layout in SHARED)
