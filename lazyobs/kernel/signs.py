# SPDX-License-Identifier: MIT
"""Signs of a lazy design in a kernel that no profile describes: by presence in BTF, kallsyms and /proc.

signs.toml has the names to look for. A kernel that has one, and that no profile with lazy VMAs fits, is not taken for
mainline: its lazy VMAs would be counted as something else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lazyobs import text
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.unix.small_file import read_toml

_FILE = Path(__file__).parent / "signs.toml"
# The kinds in the order in which they are shown.
FUNCTION, TYPE, MEMBER, POINTER, ENUMERATOR, SYSCTL, VMSTAT = (
    "function", "type", "member", "changed member", "enumerator", "sysctl", "vmstat",
)  # fmt: skip
KINDS = (FUNCTION, TYPE, MEMBER, POINTER, ENUMERATOR, SYSCTL, VMSTAT)
_SHOWN = 3


@dataclass(frozen=True)
class Sign:
    """``kind`` is one of KINDS; ``name`` as a profile would have it: "struct.member", "vm.anon_vma_lazy"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {text.printable(self.name)}"


@cache
def table() -> dict[str, Any]:
    """signs.toml."""
    return read_toml(_FILE)


def functions() -> tuple[str, ...]:
    """Parts of names that kallsyms is searched for."""
    return tuple(table()["functions"])


def structs() -> tuple[str, ...]:
    """Types that BTF must be indexed for."""
    return (*table()["members"], *(member.split(".")[0] for member in table()["pointers"]))


def find(btf: Btf | None, kallsyms: Kallsyms | None, proc_root: str = "/proc") -> tuple[Sign, ...]:
    """The signs that this kernel shows, by kind and name."""
    found = {*_in_proc(proc_root)}
    if kallsyms is not None:
        found.update(Sign(FUNCTION, name) for name in kallsyms.alike)
    if btf is not None:
        found.update(_in_btf(btf))
    return tuple(sorted(found, key=lambda sign: (KINDS.index(sign.kind), sign.name)))


def reason(signs: Iterable[Sign], profile: str) -> str:
    """Why a number that depends on the design is null. ``profile``: the name of the one that fits, without laziness."""
    names = [str(sign) for sign in signs]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"this kernel has signs of a lazy design that profile {profile} does not describe "
        f"({', '.join(names[:_SHOWN])}{more}): lazyobs doctor proposes a profile"
    )


def _in_btf(btf: Btf) -> Iterator[Sign]:
    wanted = {FUNCTION: table()["functions"], TYPE: table()["types"], ENUMERATOR: table()["enumerators"]}
    names = btf.names_with({fragment for fragments in wanted.values() for fragment in fragments})
    for kind, name in btf.kinds_of(names) if names else ():
        if any(fragment in name for fragment in wanted[kind]):
            yield Sign(kind, name)
    for struct, fragments in table()["members"].items():
        for name in btf.names_with(fragments):
            if name.isidentifier() and btf.member(struct, name) is not None:
                yield Sign(MEMBER, f"{struct}.{name}")
    for path, target in table()["pointers"].items():
        member = btf.member(*path.split(".", 1))
        if member is not None and not (btf.is_pointer(member.type_id) and btf.base_name(member.type_id) == target):
            yield Sign(POINTER, path)


def _in_proc(root: str) -> Iterator[Sign]:
    for name in _entries(os.path.join(root, "sys/vm")):
        if any(fragment in name for fragment in table()["sysctls"]):
            yield Sign(SYSCTL, f"vm.{name}")
    for name in _first_words(os.path.join(root, "vmstat")):
        if any(fragment in name for fragment in table()["vmstat"]):
            yield Sign(VMSTAT, name)


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # hidden in a container
        return []


def _first_words(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return [line.split(" ", 1)[0] for line in file]
    except OSError:
        return []
