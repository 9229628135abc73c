# SPDX-License-Identifier: MIT
"""A profile's lazy design as C: the test for a lazy VMA, the meaning of return values, the reasons of promotions."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf.addresses import Addresses
from lazyobs.bpf.points import WALKER_CALLBACKS
from lazyobs.bpf.structs import Wanted
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.profile import Profile
from lazyobs.model import CENSUS_NAMES, REASONS

_OTHER_WORDS = {"remap": "mremap"}  # in the kernel's enum vma_operation
_NO_POOL = "no_pool"  # a member that no kernel has
NO_MEMBERS = ("", _NO_POOL)


def wanted_members(profile: Profile, btf: Btf) -> dict[str, tuple[Wanted, ...]]:
    """Struct members that the profile adds to the table of structs.py; none where why_unknown() has a reason."""
    wanted = {}
    if profile.lazy_test == "vma_flag" and not why_unknown(profile, btf):
        wanted["vm_area_struct"] = (Wanted(profile.lazy_member, "u8", name="lazy_mark"),)
    # Optional: where there is none, HAVE_mm_struct_pool is 0.
    pool = "" if why_unknown(profile, btf) else profile.pool_member
    live = Wanted(profile.pool_live_member if pool else _NO_POOL, "u8", optional=True, name="pool_live")
    return {
        **wanted,
        "mm_struct": (Wanted(pool or _NO_POOL, "u64", optional=True, name="pool"),),
        "anon_vma": (live,),
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


def c_design(profile: Profile, btf: Btf, prepare: Function | None, promote: Function | None) -> str:
    """Macros used by census.c and promotion.c; ``prepare`` and ``promote`` are the design's functions."""
    tests = {
        "none": "false",
        "tag": "(((tree) & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_LAZY)",
        "vma_flag": "(READ((vma)->lazy_mark) != 0)",
    }
    tag = tags(profile, btf) or Tags(0, 0, 0)
    lines = [
        f"#define ANON_VMA_TAG_MASK {tag.mask:#x}ULL",
        f"#define ANON_VMA_TAG_LAZY {tag.lazy:#x}ULL",
        f"#define ANON_VMA_TAG_SHARED {tag.shared:#x}ULL",
        f"#define LAZY_DESIGN {int(profile.has_lazy)}",
        f"#define vma_is_lazy(vma, tree) {tests[profile.lazy_test]}",
        f"#define LAZY_PREPARE_RETURNS {int(prepare is not None and prepare.returns)}",
        f"#define LAZY_PREPARE_MADE {profile.lazy_prepare_made}",
        f"#define REASON_OF(reason) ({_reasons(btf, promote)})",
    ]
    return "\n".join(lines) + "\n"


def reason_enum(promote: Function | None) -> str | None:
    """Name of the enum that the promotion's parameter ``reason`` has; None where it has no such parameter."""
    at = promote.index("reason") if promote is not None else None
    return promote.parameters[at].type_name if promote is not None and at is not None else None


def _reason(enumerator: str) -> str | None:
    """Our reason in an enumerator's words, from the last one back: ANON_VMA_LAZY_FORK, VMA_OP_MERGE_UNFAULTED."""
    words = [_OTHER_WORDS.get(word, word) for word in enumerator.lower().split("_")]
    return next((word for word in reversed(words) if word in REASONS), None)


def _reasons(btf: Btf, promote: Function | None) -> str:
    """C that maps the kernel's enumerators to ours, by their words."""
    name = reason_enum(promote)
    text = "REASON_OTHER"
    for enumerator, value in (btf.enumerators(name) if name else {}).items():
        if word := _reason(enumerator):
            text = f"(u32)(reason) == {value} ? REASON_{word.upper()} : {text}"
    return text


def c_walkers(functions: Functions, addresses: Addresses) -> str:
    """WALKER_OF(callback): what a walk is for, by the address of its callback."""
    text = "WALKER_OTHER"
    for walker, names in WALKER_CALLBACKS.items():
        for name in names:
            for symbol in functions.plain(name):
                text = f"(callback) == {addresses.c(symbol.start)} ? WALKER_{walker.upper()} : {text}"
    return f"#define WALKER_OF(callback) ({text})\n"
