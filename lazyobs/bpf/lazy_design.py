# SPDX-License-Identifier: MIT
"""A profile's lazy design as values: the test for a lazy VMA, the meaning of return values, the reasons of promotions."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf import enumerators
from lazyobs.bpf.blanks import Switch, switch
from lazyobs.bpf.points import WALKER_CALLBACKS
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.profile import Profile
from lazyobs.model import CENSUS_NAMES, REASONS, WALKERS


def paths(profile: Profile, btf: Btf) -> dict[str, str]:
    """The members of structs.py whose names the profile gives; none where why_unknown() has a reason."""
    if why_unknown(profile, btf):
        return {}
    return {
        "vm_area_struct.lazy_mark": profile.lazy_member if profile.lazy_test == "vma_flag" else "",
        "mm_struct.pool": profile.pool_member,
        "anon_vma.pool_live": profile.pool_live_member if profile.pool_member else "",
    }


@dataclass(frozen=True)
class Tags:
    """Low bits of vma->anon_vma; ``shared`` is 0 where no tag says that a VMA is shared."""

    mask: int
    lazy: int
    shared: int


def tags(profile: Profile, btf: Btf) -> Tags | None:
    """The design's tags, by the kernel's own enumerators where the profile names them; None where BTF lacks them."""
    if not profile.tag_prefix:
        return Tags(profile.tag_mask, profile.tag_lazy, profile.tag_shared)
    words = {name.rsplit("_", 1)[-1]: value for name, value in btf.enumerators_beginning(profile.tag_prefix).items()}
    if not words.get("LAZY"):
        return None
    mask = 0
    for value in words.values():
        mask |= value
    return Tags(mask, words["LAZY"], words.get("PARENT", 0))


def why_unknown(profile: Profile, btf: Btf) -> str:
    """Why a lazy VMA cannot be recognised here; "" where it can."""
    if profile.unknown_design:
        return profile.unknown_design
    if profile.lazy_test == "tag" and tags(profile, btf) is None:
        return f"BTF has no enumerator {profile.tag_prefix}..LAZY; --profile FILE can give tag_mask and tag_lazy"
    if profile.lazy_test == "vma_flag" and (why := _why_not(btf, "vm_area_struct", profile.lazy_member, 1)):
        return why
    return _why_not(btf, "mm_struct", profile.pool_member, 8) if profile.pool_member else ""


def unknown_columns(profile: Profile, btf: Btf) -> dict[str, str]:
    """{census column: why it is null} although the census attaches."""
    if profile.unknown_design:
        return {name: profile.unknown_design for name in CENSUS_NAMES if name != "vmas"}
    if btf.member("anon_vma", "num_active_vmas") is None:
        why = "struct anon_vma has no num_active_vmas: whether VMAs or children share one is not known"
        return {name: why for name in CENSUS_NAMES if name.startswith("savable_")}
    return {}


def _why_not(btf: Btf, struct: str, path: str, size: int) -> str:
    """Why a member of that size (bytes) cannot be read; "" where it can."""
    member = btf.member(struct, path)
    if member is None:
        return f"BTF has no member {struct}.{path}"
    if member.bits or member.size != size:
        return f"{struct}.{path} has {member.bits or member.size * 8} bits, not {size * 8}"
    return ""


CONSTANTS = (
    "LAZY_DESIGN",
    "LAZY_BY_TAG",
    "ANON_VMA_TAG_MASK",
    "ANON_VMA_TAG_LAZY",
    "ANON_VMA_TAG_SHARED",
    "LAZY_PREPARE_TELLS",
    "LAZY_PREPARE_MADE",
)
SWITCHES = ("REASON_OF", "WALKER_OF")


def values(profile: Profile, btf: Btf, prepare: Function | None) -> dict[str, int | None]:
    """What CONSTANTS are for this design; ``prepare`` is its function that makes a VMA lazy."""
    tag = tags(profile, btf) or Tags(0, 0, 0)
    returns = prepare is not None and prepare.returns
    return {
        "LAZY_DESIGN": int(profile.has_lazy),
        "LAZY_BY_TAG": int(profile.lazy_test == "tag"),
        "ANON_VMA_TAG_MASK": tag.mask,
        "ANON_VMA_TAG_LAZY": tag.lazy,
        "ANON_VMA_TAG_SHARED": tag.shared,
        "LAZY_PREPARE_TELLS": int(returns and profile.lazy_prepare_made != 0),
        "LAZY_PREPARE_MADE": profile.lazy_prepare_made,
    }


def reason_enum(promote: Function | None) -> str | None:
    """Name of the enum that the promotion's parameter ``reason`` has; None where it has no such parameter."""
    at = promote.index("reason") if promote is not None else None
    return promote.parameters[at].type_name if promote is not None and at is not None else None


def switches(btf: Btf, functions: Functions, promote: Function | None) -> dict[str, Switch]:
    """REASON_OF(number): the kernel's reason of a promotion as ours; WALKER_OF(address): what a walk is for, by its
    callback. ``promote`` is the design's function that promotes."""
    return {"REASON_OF": _reasons(btf, promote), "WALKER_OF": _walkers(functions)}


def _reasons(btf: Btf, promote: Function | None) -> Switch:
    """The kernel's enumerators as our reasons, by their words."""
    name = reason_enum(promote)
    rows = []
    for enumerator, value in reversed((btf.enumerators(name) if name else {}).items()):
        if word := enumerators.meant(enumerator, REASONS):
            rows.append((value, value + 1, REASONS.index(word)))
    return switch(rows, REASONS.index("other"), moves=False)


def _walkers(functions: Functions) -> Switch:
    rows = [
        (symbol.start, symbol.start + 1, WALKERS.index(walker))
        for walker, names in reversed(WALKER_CALLBACKS.items())
        for name in names
        for symbol in functions.plain(name)
    ]
    return switch(rows, WALKERS.index("other"))
