# SPDX-License-Identifier: MIT
"""A proposal of a profile for a lazy design that none describes: what the kernel says, and what a person has to decide.

The draft is a valid profile that makes no claim yet: what has to be decided is a comment in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from lazyobs.kernel import signs
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.facts import Facts, lacking, read_btf
from lazyobs.kernel.profile import LAZY_PREPARE, PROMOTION, Profile

_STRUCTS = ("vm_area_struct", "mm_struct", "anon_vma")


def draft(facts: Facts, known: Iterable[Profile], sys_root: str = "/sys") -> str:
    """The text of a TOML file for the kernel's signs; "" where it shows none. ``known``: the profiles that were tried."""
    if not facts.signs:
        return ""
    named = {kind: [sign.name for sign in facts.signs if sign.kind == kind] for kind in signs.KINDS}
    btf, _ = read_btf([*named[signs.FUNCTION], *named[signs.TYPE], *_STRUCTS], sys_root)
    lines = [
        *_near(facts, known),
        'name = "unknown-design"',
        'about = "describe the design in a line"',
        "",
        "[detect]",
        f"functions = {_list(named[signs.FUNCTION])} # delete those that another design could have, too",
        f"types = {_list(named[signs.TYPE])}",
        f"members = {_list(named[signs.MEMBER])}",
        "",
        *_switch(named[signs.SYSCTL]),
        *_vma(named, btf),
        *_roles(named[signs.FUNCTION], btf),
        *_sites(named[signs.FUNCTION]),
    ]
    return "\n".join(lines) + "\n"


def _list(names: Sequence[str]) -> str:
    return json.dumps(list(names))


def _near(facts: Facts, known: Iterable[Profile]) -> Iterator[str]:
    """What the profiles that were tried ask for and this kernel lacks, as comments."""
    for profile in known:
        if profile.has_lazy and (gone := lacking(profile, facts.btf, facts.kallsyms)):
            yield f"# not {profile.name}: the kernel has no {', '.join(gone)}"


def _switch(sysctls: Sequence[str]) -> Iterator[str]:
    yield "[switch]"
    if sysctls:
        yield f"sysctl = {json.dumps(sysctls[0])}"
    else:
        yield '# sysctl = "vm...."  to decide: is there a switch?'
    yield ""


def _vma(named: dict[str, list[str]], btf: Btf | None) -> Iterator[str]:
    yield "[vma]"
    yield "# to decide: how is a lazy VMA recognised? Take one of these, and the member or tags with it."
    marks = [name.split(".", 1)[1] for name in named[signs.MEMBER] if name.startswith("vm_area_struct.")]
    for mark in marks or ["..."]:
        found = btf.member("vm_area_struct", mark) if btf is not None else None
        fits = "one byte, as it must be" if found and found.size == 1 and not found.bits else "must be one byte"
        yield f'# lazy = "vma_flag"\n# lazy_member = {json.dumps(mark)}  {fits}'
    yield '# lazy = "tag"  low bits of vma->anon_vma, which ' + (
        "is no plain pointer here" if named[signs.POINTER] else "is a plain pointer here: less likely"
    )
    tags = [name for name in named[signs.ENUMERATOR] if name.startswith("ANON_VMA_TREE_")]
    yield '# tag_prefix = "ANON_VMA_TREE_"' if tags else "# tag_mask, tag_lazy, tag_shared: as numbers"
    pools = [name.split(".", 1)[1] for name in named[signs.MEMBER] if name.startswith("mm_struct.")]
    for pool in pools or ["..."]:
        yield f"# pool_member = {json.dumps(pool)}  if the lazy VMAs of an mm share that anon_vma"
    yield ""


def _roles(functions: Sequence[str], btf: Btf | None) -> Iterator[str]:
    for key, role in ((LAZY_PREPARE, "lazy_prepare"), (PROMOTION, "promotion")):
        yield f"[{key.split('.')[0]}]"
        words = signs.table()["roles"][role]
        found = [name for name in functions if any(word in name for word in words)]
        if not found:
            yield f'# function = "..."  to decide: its name has none of {", ".join(words)}'
        for number, name in enumerate(found):
            yield f"{'# ' if number else ''}function = {json.dumps(name)}"
        prototype = btf.function(found[0]) if found and btf is not None else None
        if role == "lazy_prepare" and prototype is not None and prototype.returns:
            yield "# made = ...  to decide: what does it return where it made the VMA lazy?"
        if role == "promotion":
            yield _reasons(prototype)
        yield ""


def _reasons(prototype: Function | None) -> str:
    at = prototype.index("reason") if prototype is not None else None
    if prototype is None or at is None:
        return "# reasons = []  it has no parameter named reason: promotions_by_reason will be null"
    return f"reasons = {_list([prototype.parameters[at].type_name])}"


def _sites(functions: Sequence[str]) -> Iterator[str]:
    words = [word for role in signs.table()["roles"].values() for word in role]
    others = [name for name in functions if not any(word in name for word in words)]
    yield "[sites]"
    yield "# to decide: which of these, or others, allocate or free anon_vmas or chains? (lazyobs help profiles, call sites)"
    yield f"# counted = {_list(others)}"
