# SPDX-License-Identifier: MIT
"""What would work on a kernel that does not run here, from its type data and, where at hand, its symbols.

It is the plan for that kernel, with nothing loaded: which points it could have, at which tier, and what would be null.
What a policy refuses there (lockdown, a missing capability) cannot be seen from here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from lazyobs.bpf import lazy_design, optional, plan, sites, structs
from lazyobs.bpf.points import FUNCTION_TIERS, POINTS
from lazyobs.errors import NotSupported
from lazyobs.kernel import signs, type_data
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.facts import Facts
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile, built_in

# Functions that a kernel has where it has the tier: {tier: ((alternatives), what it is built with)}.
_TIER_NEEDS: dict[str, tuple[tuple[str, ...], str]] = {
    "fentry": (
        ("register_ftrace_direct", "register_ftrace_direct_multi"),
        "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS: no fentry program can attach",
    ),
    "kprobe": (("perf_kprobe_init",), "CONFIG_KPROBE_EVENTS"),
}
_TIER_FUNCTIONS = tuple(name for names, _ in _TIER_NEEDS.values() for name in names)
_NO_PROC = os.devnull  # whatever is looked for below it is not there


@dataclass
class Outlook:
    """Like a session's of the same names, for a kernel that was not booted. ``tiers``: the best tier of each point;
    ``refused``: {point: {tier: why not}}; ``unknown``: {number: why it is null}; ``unjudged``: {invariant: why not}.

    ``only_types``: no symbols were at hand, so that what the types describe is taken for what there is.
    """

    facts: Facts
    only_types: bool
    tiers: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)


def of(data: bytes, symbols: bytes, name: str, profiles: list[Profile] | None, cap: str | None) -> Outlook:
    """The outlook for BTF ``data``. ``symbols``: lines of kallsyms or System.map, b"" for none; ``name``: what to call
    the kernel. Raises Unusable or BtfError on damaged data, NotSupported where the only profile does not fit."""
    known = built_in() if profiles is None else profiles
    btf = type_data.types_of(data, [*plan.names_in_btf(known), *_TIER_FUNCTIONS])
    text = symbols or type_data.symbols_of_types(btf)
    kallsyms = Kallsyms(text, plan.functions_for(known), signs.functions())
    no_kallsyms = "" if kallsyms.has_any else "it has none of the functions that handle anon_vmas"
    facts = plan.facts_of(known, btf, "", kallsyms if kallsyms.has_any else None, no_kallsyms, name, _NO_PROC)
    found = Outlook(facts, not symbols, closed=_closed(btf))
    try:
        made = plan.make(facts, cap, tiers_refused=found.closed, also=tuple(optional.COSTS))
    except NotSupported as error:
        found.tiers = dict.fromkeys((point.name for point in POINTS), None)
        found.refused = {point.name: {"bpf": error.why} for point in POINTS}
        return found
    for point in made.points:
        found.tiers[point["name"]] = next((one["tier"] for one in point["candidates"]), None)
        dropped = made.dropped.get(point["name"], {})
        found.refused[point["name"]] = {tier: _said(why, found.only_types) for tier, why in dropped.items()}
    found.unknown, found.unjudged = made.unknown, made.unjudged
    return found


def symbol_table(text: bytes) -> Kallsyms:
    """What a plan with the built-in profiles looks for, in lines of kallsyms or System.map."""
    return Kallsyms(text, plan.functions_for(built_in()))


def _said(why: str, only_types: bool) -> str:
    """Without a symbol table, nothing is known of a function that the types do not describe."""
    if only_types and why.startswith(("this kernel has no ", sites.NOT_LISTED)):
        what = why.replace(sites.NOT_LISTED, "not found: ", 1)
        return f"{what} (by its types: it may be inlined, renamed, or a copy that the compiler changed)"
    return why


def _closed(btf: Btf) -> dict[str, str]:
    """{tier: why} of the tiers that the kernel was built without."""
    return {
        tier: f"the kernel was built without {option}"
        for tier, (names, option) in _TIER_NEEDS.items()
        if tier in FUNCTION_TIERS and not any(btf.function(name) for name in names)
    }


@dataclass(frozen=True)
class FieldOutlook:
    """A struct member that probes read. ``offset`` and ``size`` in bytes, None where the kernel has no such member."""

    struct: str
    member: str
    required: bool
    offset: int | None
    size: int | None


def fields(facts: Facts) -> list[FieldOutlook]:
    """Every member of structs.py and of the profile's design, in the order of the tables."""
    if facts.btf is None:
        return []
    given = lazy_design.paths(facts.profile, facts.btf)
    rows = []
    for struct, members in structs.STRUCTS.items():
        # Two names of one member, of which a kernel has one, are both optional.
        for wanted in members:
            path = wanted.path or given.get(f"{struct}.{wanted.label}", "")
            if not path:
                continue
            place = facts.btf.member(structs.kernel_name(facts.btf, struct), path)
            at = (None, None) if place is None else (place.offset, place.size)
            rows.append(FieldOutlook(struct, path, not wanted.optional, *at))
    return rows
