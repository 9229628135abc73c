# SPDX-License-Identifier: MIT
"""Call sites: the kernel functions whose allocations and frees of slab objects are counted.

The slab tracepoints give the return address of the call. A function's address range comes from kallsyms, with its
``.cold`` part and compiler-made copies. Which functions: those of SITES, and those that the profile states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lazyobs.bpf.addresses import Addresses
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


@dataclass(frozen=True)
class Site:
    """``macro`` is true for a return address in one of ``functions``, or in one that the profile states by a key of
    ``stated``.

    ``functions`` are alternatives: the kernel must have one of them, as a compiler may inline the others into it;
    of an ``optional`` site it need not.
    """

    macro: str
    functions: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    allocates: bool = False
    frees: bool = False
    optional: bool = False


SITES = (
    Site("IN_ANON_VMA_PREPARE", ("__anon_vma_prepare",), (SITES_PREPARE,), allocates=True, frees=True),
    Site("IN_ANON_VMA_CLONE", ("anon_vma_clone",), (SITES_CLONE,), allocates=True, frees=True),
    Site("IN_ANON_VMA_FORK", ("anon_vma_fork",), allocates=True, frees=True),
    Site("IN_UNLINK_ANON_VMAS", ("unlink_anon_vmas",), frees=True),
    # Static since 7.0, and inlined into anon_vma_clone() by gcc: frees the chains of a copy that ended for want of memory.
    Site("IN_CLEANUP", ("cleanup_partial_anon_vmas",), frees=True, optional=True),
    Site("IN_PUT_ANON_VMA", ("__put_anon_vma",), frees=True),
    Site("IN_PROMOTION", stated=(PROMOTION, SITES_PROMOTION), allocates=True, frees=True),
    Site("IN_COUNTED", stated=(LAZY_PREPARE, SITES_COUNTED), allocates=True, frees=True),
    Site("IN_COPY_PROCESS", ("copy_process", "copy_mm", "dup_mm")),
    Site("IN_MMDROP", ("__mmdrop",)),
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
    SITES_CLONE: (*_OBJECTS, "fork_chains"),
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
                yield key, f"not in kallsyms: {names} ({key} of profile {profile.name})"
    if profile.has_lazy and not any(profile.stated.get(key) for key in (PROMOTION, SITES_PROMOTION)):
        yield SITES_COUNTED, f"profile {profile.name} does not say which function promotes ({PROMOTION})"


def c_sites(functions: Functions, addresses: Addresses) -> str:
    """The macros as C."""
    parts = {site.macro: _parts(site, functions) for site in SITES}
    lines = [f"#define {macro}(site) ({any_of(symbols, addresses)})" for macro, symbols in parts.items()]
    for macro, wanted in (("IN_ALLOC_SITES", "allocates"), ("IN_FREE_SITES", "frees")):
        symbols = [symbol for site in SITES if getattr(site, wanted) for symbol in parts[site.macro]]
        lines.append(f"#define {macro}(site) ({_hull_of(symbols, addresses)})")
    return "\n".join(lines) + "\n"


def _parts(site: Site, functions: Functions) -> list[Symbol]:
    stated = [name for key in site.stated for name in functions.profile.stated.get(key, ())]
    parts = [part for name in (*site.functions, *stated) for part in functions.parts(name)]
    return list(dict.fromkeys(parts))


def _in_range(start: int, end: int, addresses: Addresses) -> str:
    # A return address lies behind its call: never at the start, at the end when the call comes last.
    return f"(site) - {addresses.c(start + 1)} < {end - start:#x}ULL"


def any_of(symbols: list[Symbol], addresses: Addresses) -> str:
    """C for: ``site`` is a return address in one of these."""
    return " || ".join(f"({_in_range(symbol.start, symbol.end, addresses)})" for symbol in symbols) or "0"


def in_any(names: Iterable[str], functions: Functions, addresses: Addresses) -> str:
    """The same of the functions of those names; "0" where the kernel has none of them."""
    return any_of([part for name in names for part in functions.parts(name)], addresses)


def _hull_of(symbols: list[Symbol], addresses: Addresses) -> str:
    """One cheap comparison first: the range of the ordinary parts, which lie side by side in rmap.c."""
    ordinary = [symbol for symbol in symbols if not symbol.is_cold]
    if not ordinary:
        return any_of(symbols, addresses)
    hull = _in_range(min(symbol.start for symbol in ordinary), max(symbol.end for symbol in ordinary), addresses)
    cold = [symbol for symbol in symbols if symbol.is_cold]
    outside = f" || ({any_of(cold, addresses)})" if cold else ""
    return f"(({hull}) && ({any_of(ordinary, addresses)})){outside}"


def c_slab_arguments(btf: Btf) -> str:
    """Which argument of the tracepoints identifies the object: the cache (6.1 and later), before that its size in bytes
    (allocations) or the cache's name (frees)."""
    lines = ["#define SIZE 1", "#define CACHE 2", "#define NAME 3"]
    # Before 6.1 the class kmem_alloc: call_site, ptr, (s,) bytes_req, bytes_alloc, gfp_flags.
    lines += _argument("ALLOC", btf.tracepoint("kmem_cache_alloc"), "size_t", "SIZE")
    lines += _argument("FREE", btf.tracepoint("kmem_cache_free"), "char", "NAME")
    return "\n".join(lines) + "\n"


def _argument(event: str, tracepoint: Function | None, type_before: str, tells_before: str) -> list[str]:
    cache = tracepoint.index("kmem_cache") if tracepoint else None
    if cache is not None:
        return [f"#define SLAB_{event}_TELLS CACHE", f"#define SLAB_{event}_ARGUMENT {cache}"]
    other = tracepoint.index(type_before) if tracepoint else None
    return [f"#define SLAB_{event}_TELLS {tells_before}", f"#define SLAB_{event}_ARGUMENT {other or 2}"]
