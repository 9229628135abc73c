# SPDX-License-Identifier: MIT
"""The lab kernel's types and symbols, as far as its design goes, with names exchanged at will."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.kernel.made_btf import Types

FUNCTIONS = ("vma_prepare_anon_vma_lazy", "vma_upgrade_anon_vma_lazy", "mm_lazy_anon_vma", "exit_anon_vma_lazy")
OPERATIONS = ("SPLIT", "MERGE_UNFAULTED", "REMAP", "FORK")


def types(other: Mapping[str, str] = {}) -> bytes:
    """Type data. ``other``: {name: the one in its place}; a name is that of a function, member, type or enumerator."""

    def name(usual: str) -> str:
        return other.get(usual, usual)

    made = Types()
    byte, word = made.integer("bool", 1), made.integer("unsigned long", 8)
    pointer = made.pointer(
        made.struct("anon_vma", 112, [("root", word, 0), (name("mm_live"), byte, 8), (name("lazy_root"), word, 16)])
    )
    vma = made.pointer(
        made.struct("vm_area_struct", 176, [("anon_vma", pointer, 8), (name("anon_vma_lazy"), byte, 16)])
    )
    made.struct("mm_struct", 1000, [(name("lazy_anon_vma"), pointer, 8)])
    operations = {name(f"VMA_OP_{word}"): value for value, word in enumerate(OPERATIONS)}
    reason = made.enum(name("vma_operation"), operations)
    made.function(name(FUNCTIONS[0]), [("vma", vma)], byte)
    made.function(name(FUNCTIONS[1]), [("vma", vma), ("reason", reason)], byte)
    for function in FUNCTIONS[2:]:
        made.function(name(function), [("mm", vma)])
    return made.to_bytes()


def symbols(other: Mapping[str, str] = {}) -> bytes:
    """kallsyms of the same."""
    lines = [f"{0xFFFFFFFF81000000 + 256 * at:x} T {other.get(name, name)}" for at, name in enumerate(FUNCTIONS)]
    return "\n".join([*lines, "ffffffff82000000 T last", ""]).encode()


def root(folder: Path, other: Mapping[str, str] = {}) -> dict[str, str]:
    """Files of such a kernel below ``folder``, as the options of plan.gather; its /proc shows nothing of the design."""
    proc, sys = folder / "proc", folder / "sys"
    (proc / "sys/kernel").mkdir(parents=True)
    (sys / "kernel/btf").mkdir(parents=True)
    (proc / "sys/kernel/osrelease").write_text("7.3.0-lab\n")
    (proc / "kallsyms").write_bytes(symbols(other))
    (sys / "kernel/btf/vmlinux").write_bytes(types(other))
    return {"proc_root": str(proc), "sys_root": str(sys)}
