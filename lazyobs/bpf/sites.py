# SPDX-License-Identifier: MIT
"""Call sites: the kernel functions whose allocations and frees of slab objects are counted.

The slab tracepoints give the return address of the call. A function's address range comes from kallsyms, with its
``.cold`` part and compiler-made copies. Which functions: those of SITES, and those that the profile states. What the
probes ask is one question, ALLOC_SITE(address) or FREE_SITE(address): a bit for each row of SITES, 0 for nearly all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lazyobs.bpf.blanks import Switch, switch
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Symbol
from lazyobs.kernel.profile import (
    LAZY_PREPARE,
    PROMOTION,
    SITES_CLONE,
    SITES_COUNTED,
    SITES_PREPARE,
    SITES_PROMOTION,
    STATED,
)

NOT_LISTED = "not in kallsyms: "  # before the names; a plan made of types alone has other words for it (outlook)


@dataclass(frozen=True)
class Site:
    """``bit`` is set for a return address in one of ``functions``, or in one that the profile states by a key of
    ``stated``. ``allocates``, ``frees``: what is counted, or only looked for (``opens``, ``closes``: a fork).

    ``functions`` are alternatives: the kernel must have one of them, as a compiler may inline the others into it;
    of an ``optional`` site it need not.
    """

    bit: str
    functions: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    allocates: bool = False
    frees: bool = False
    optional: bool = False
    opens: bool = False
    closes: bool = False


SITES = (
    Site("SITE_ANON_VMA_PREPARE", ("__anon_vma_prepare",), (SITES_PREPARE,), allocates=True, frees=True),
    Site("SITE_ANON_VMA_CLONE", ("anon_vma_clone",), (SITES_CLONE,), allocates=True, frees=True),
    Site("SITE_ANON_VMA_FORK", ("anon_vma_fork",), allocates=True, frees=True),
    Site("SITE_UNLINK_ANON_VMAS", ("unlink_anon_vmas",), frees=True),
    # Static since 7.0, and inlined into anon_vma_clone() by gcc: frees the chains of a copy that ended for want of memory.
    Site("SITE_CLEANUP", ("cleanup_partial_anon_vmas",), frees=True, optional=True),
    Site("SITE_PUT_ANON_VMA", ("__put_anon_vma",), frees=True),
    Site("SITE_PROMOTION", stated=(PROMOTION, SITES_PROMOTION), allocates=True, frees=True),
    Site("SITE_COUNTED", stated=(LAZY_PREPARE, SITES_COUNTED), allocates=True, frees=True),
    Site("SITE_COPY_PROCESS", ("copy_process", "copy_mm", "dup_mm"), opens=True),
    Site("SITE_MMDROP", ("__mmdrop",), closes=True),
)

FUNCTIONS = tuple(name for site in SITES for name in site.functions)

_OBJECTS = ("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees")
_PREPARES = ("prepares", "prepares_by_site", "prepare_seconds", "event.prepare", "prepare_by_site")
_PROMOTIONS = ("promotions", "promotions_failed", "promotion_seconds", "event.promotion", "event.promotion_failed")
# {key: numbers that are wrong where a function stated by it is not seen}. A number is a counter, a histogram, "event."
# and a kind, or what stands in for one (points.py).
_NUMBERS_OF: dict[str, tuple[str, ...]] = {
    LAZY_PREPARE: _OBJECTS,
    SITES_COUNTED: _OBJECTS,
    SITES_PREPARE: (*_OBJECTS, *_PREPARES),
    SITES_CLONE: (*_OBJECTS, "fork_chains", "fork_anon_vmas", "fork_anon_unused"),
    PROMOTION: (*_OBJECTS, *_PROMOTIONS),
    SITES_PROMOTION: (*_OBJECTS, *_PROMOTIONS),
}


def missing(functions: Functions) -> list[str]:
    """Functions of SITES that kallsyms does not have by any name: inlined, or renamed without an alias."""
    return [
        " or ".join(functions.names(*site.functions))
        for site in SITES
        if site.functions and not site.optional and not any(functions.parts(name) for name in site.functions)
    ]


def unknown(functions: Functions) -> dict[str, str]:
    """{number: why it is not known} for what the profile states and kallsyms lacks, or should state and does not.

    A number can be a counter that the slab probes keep, although their programs attach.
    """
    reasons: dict[str, list[str]] = {}
    for key, why in _unseen(functions):
        for number in _NUMBERS_OF[key]:
            reasons.setdefault(number, []).append(why)
    return {number: "; ".join(dict.fromkeys(found)) for number, found in reasons.items()}


def _unseen(functions: Functions) -> Iterator[tuple[str, str]]:
    """(key of _NUMBERS_OF, why) for each function that is not seen."""
    profile = functions.profile
    if profile.unknown_design:  # any function of the design may allocate
        yield from ((key, profile.unknown_design) for key in _NUMBERS_OF)
    for key in STATED:
        for name in profile.stated.get(key, ()):
            if not functions.parts(name):
                names = " or ".join(functions.names(name))
                yield key, f"{NOT_LISTED}{names} ({key} of profile {profile.name})"
    if profile.has_lazy and not any(profile.stated.get(key) for key in (PROMOTION, SITES_PROMOTION)):
        yield SITES_COUNTED, f"profile {profile.name} does not say which function promotes ({PROMOTION})"


SWITCHES = ("ALLOC_SITE", "FREE_SITE")


def c_sites() -> str:
    """The bits as C."""
    return "".join(f"#define {site.bit} {1 << number}U\n" for number, site in enumerate(SITES))


def switches(functions: Functions) -> dict[str, Switch]:
    """Those of SWITCHES."""
    parts = [(1 << number, site, _parts(site, functions)) for number, site in enumerate(SITES)]
    made = {}
    for name, wanted in zip(SWITCHES, (("allocates", "opens"), ("frees", "closes"))):
        ranges = [
            (symbol, bit)
            for bit, site, symbols in parts
            if any(getattr(site, what) for what in wanted)
            for symbol in symbols
        ]
        made[name] = switch((return_addresses(symbol, bit) for symbol, bit in ranges), both=int.__or__)
    return made


def _parts(site: Site, functions: Functions) -> list[Symbol]:
    stated = [name for key in site.stated for name in functions.profile.stated.get(key, ())]
    parts = [part for name in (*site.functions, *stated) for part in functions.parts(name)]
    return list(dict.fromkeys(parts))


def return_addresses(symbol: Symbol, value: int) -> tuple[int, int, int]:
    """For blanks.switch(): what can be the address behind a call from there. Never the start; the end when the call
    comes last."""
    return symbol.start + 1, symbol.end + 1, value


# Which argument of the tracepoints identifies the object: the cache (6.1 and later), before that its size in bytes
# (allocations) or the cache's name (frees).
C_IDENTITIES = "#define SIZE 1\n#define CACHE 2\n#define NAME 3\n"
_SIZE, _CACHE, _NAME = 1, 2, 3
CONSTANTS = ("SLAB_ALLOC_TELLS", "SLAB_FREE_TELLS")
OFFSETS = ("slab_alloc.identity", "slab_free.identity")


def values(btf: Btf) -> dict[str, int | None]:
    """What CONSTANTS and OFFSETS are in this kernel."""
    # Before 6.1 the class kmem_alloc: call_site, ptr, (s,) bytes_req, bytes_alloc, gfp_flags.
    alloc, at_alloc = _identity(btf.tracepoint("kmem_cache_alloc"), "size_t", _SIZE)
    free, at_free = _identity(btf.tracepoint("kmem_cache_free"), "char", _NAME)
    return {
        "SLAB_ALLOC_TELLS": alloc,
        "SLAB_FREE_TELLS": free,
        "slab_alloc.identity": 8 * at_alloc,
        "slab_free.identity": 8 * at_free,
    }


def _identity(tracepoint: Function | None, type_before: str, tells_before: int) -> tuple[int, int]:
    """(what the argument tells, its position)."""
    cache = tracepoint.index("kmem_cache") if tracepoint else None
    if cache is not None:
        return _CACHE, cache
    other = tracepoint.index(type_before) if tracepoint else None
    return tells_before, other or 2
