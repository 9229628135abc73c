# SPDX-License-Identifier: MIT
"""The type data of a small kernel that has all that the probes ask for, and little else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lazyobs.bpf import plan, points, structs, walk_facts
from lazyobs.kernel import btf
from tests.kernel.made_btf import Types

SIZES = {"u64": 8, "u32": 4, "int": 4, "u64[3]": 24, "u64[31]": 248, "char[16]": 16}
CONTEXT_FUNCTIONS = ("mm_init_cow_context", "dup_cow_context", "drop_cow_context")
TIER_FUNCTIONS = ("register_ftrace_direct", "perf_kprobe_init")


def types(
    without: Iterable[str] = (),
    renamed: Mapping[str, str] | None = None,
    members: Mapping[str, str] | None = None,
    contexts: bool = False,
) -> bytes:
    """BTF. ``without``: functions and "struct.member" that it lacks; ``renamed``: {function: its name there};
    ``members``: {"struct.member": the member's name there}; ``contexts``: it has CoW contexts as well."""
    made, gone = Types(), set(without)
    pointer = made.pointer()
    # What mainline has there; another type would be a sign of a lazy design (signs.toml).
    own = made.pointer(_declared(made, "anon_vma"))
    context = made.pointer(made.struct("cow_context", 128)) if contexts else 0
    numbers: dict[int | str, int] = {size: made.integer(f"u{size * 8}", size) for size in (1, 2, 4, 8)}
    for struct, wanted in structs.STRUCTS.items():
        tree: dict[str, Any] = {}
        for member in wanted:
            path = f"{struct}.{member.path}"
            if member.path and not any(path == one or path.startswith(f"{one}.") for one in gone):
                size = "own" if path == "vm_area_struct.anon_vma" else SIZES.get(member.c_type, 8)
                _place(tree, (members or {}).get(path, member.path).split("."), size)
        if tree.get("rwsem") == 1:  # of no matter what size; with PREEMPT_RT it has no owner
            tree["rwsem"] = 8
        if struct == "mm_struct" and contexts:
            tree["cow_context"] = "context"
        _struct(made, struct, tree, {**numbers, "own": own, "context": context})
    _struct(made, "pt_regs", dict.fromkeys(("r8", "ax", "cx", "dx", "si", "di"), 8) | {"r9": 8}, numbers)
    for name in sorted({*plan.FUNCTIONS, *TIER_FUNCTIONS, *(CONTEXT_FUNCTIONS if contexts else ())} - gone):
        made.function((renamed or {}).get(name, name), _parameters(made, name, pointer), numbers[4])
    for name in ("task_vma", "task"):
        made.function(f"bpf_iter_{name}", (("ctx", pointer),), numbers[4])
    cache = made.pointer(_declared(made, "kmem_cache"))
    for point in points.POINTS:
        for fixed in point.fixed:
            if fixed.kind == points.RAW_TRACEPOINT and fixed.target not in gone:
                arguments = (("", pointer), ("call_site", numbers[8]), ("ptr", pointer), ("s", cache))
                made.typedef(f"btf_trace_{fixed.target}", made.pointer(made.function("", arguments) - 1))
    made.enum("pageflags", {"PG_locked": 0, "PG_head": 6})
    made.enum("ttu_flags", {"TTU_SYNC": 16})
    assert walk_facts.ENUMS == ("pageflags", "ttu_flags")
    return made.to_bytes()


def _declared(made: Types, name: str) -> int:
    return made._add(name, btf.KIND_FWD, 0, 0)


def _parameters(made: Types, name: str, pointer: int) -> tuple[tuple[str, int], ...]:
    if name.startswith("rmap_walk"):
        return (("folio", made.pointer(_declared(made, "folio"))), ("rwc", made.pointer(_declared(made, "rmap_walk_control"))))  # fmt: skip
    if name == "anon_vma_clone":
        return (("dst", pointer), ("src", pointer))
    if name == "unlink_anon_vmas":
        return (("vma", made.pointer(_declared(made, "vm_area_struct"))),)
    if name in ("do_wp_page", "do_anonymous_page"):
        return (("vmf", made.pointer(_declared(made, "vm_fault"))),)
    return (("vma", pointer),)


def _place(tree: dict[str, Any], path: list[str], size: int | str) -> None:
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[path[-1]] = size


def _struct(made: Types, name: str, tree: Mapping[str, Any], numbers: Mapping[int | str, int]) -> tuple[int, int]:
    """(type, bytes)."""
    at, entries = 0, []
    for label, what in tree.items():
        if isinstance(what, dict):
            kind, size = _struct(made, "", what, numbers)
        else:
            kind, size = numbers.get(what) or made.struct("", what), 8 if isinstance(what, str) else what
        at += -at % min(size or 1, 8)
        entries.append((label, kind, at))
        at += size
    at += -at % 8
    return made.struct(name, at, entries), at
