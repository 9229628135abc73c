# SPDX-License-Identifier: MIT
"""Call-site ranges: which kernel functions' allocations and frees the slab probes look at.

The slab tracepoints give the address behind the call. A function's range comes from kallsyms, its
``.cold`` part and compiler-made copies included.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf.addresses import Addresses
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.kallsyms import Kallsyms, Symbol


@dataclass(frozen=True)
class Site:
    """``macro`` is true for an address in one of ``functions`` (the first names that exist count all)."""

    macro: str
    functions: tuple[str, ...]
    required: bool = True
    allocates: bool = False
    frees: bool = False


SITES = (
    Site("IN_ANON_VMA_PREPARE", ("__anon_vma_prepare",), allocates=True, frees=True),
    Site("IN_ANON_VMA_CLONE", ("anon_vma_clone",), allocates=True, frees=True),
    Site("IN_ANON_VMA_FORK", ("anon_vma_fork",), allocates=True, frees=True),
    Site("IN_UNLINK_ANON_VMAS", ("unlink_anon_vmas",), frees=True),
    Site("IN_PUT_ANON_VMA", ("__put_anon_vma",), frees=True),
    # A patched kernel's own: the anon_vma shared by an mm's lazy VMAs, and what a promotion allocates.
    Site(
        "IN_LAZY",
        ("vma_prepare_anon_vma_lazy", "vma_upgrade_anon_vma_lazy", "mm_lazy_anon_vma"),
        required=False,
        allocates=True,
        frees=True,
    ),
    Site("IN_COPY_PROCESS", ("copy_process", "copy_mm", "dup_mm")),
    Site("IN_MMDROP", ("__mmdrop",)),
)

FUNCTIONS = tuple(name for site in SITES for name in site.functions)


def missing(kallsyms: Kallsyms) -> list[str]:
    """Required functions that kallsyms does not have (inlined, renamed, or addresses hidden)."""
    return [
        " or ".join(site.functions)
        for site in SITES
        if site.required and not any(kallsyms.parts(name) for name in site.functions)
    ]


def c_sites(kallsyms: Kallsyms, addresses: Addresses) -> str:
    """The macros as C."""
    parts = {site.macro: [part for name in site.functions for part in kallsyms.parts(name)] for site in SITES}
    lines = [f"#define {macro}(site) ({any_of(symbols, addresses)})" for macro, symbols in parts.items()]
    for macro, wanted in (("IN_ALLOC_SITES", "allocates"), ("IN_FREE_SITES", "frees")):
        symbols = [symbol for site in SITES if getattr(site, wanted) for symbol in parts[site.macro]]
        lines.append(f"#define {macro}(site) ({_hull_of(symbols, addresses)})")
    return "\n".join(lines) + "\n"


def _in_range(start: int, end: int, addresses: Addresses) -> str:
    # A return address lies behind its call: never at the start, at the end when the call comes last.
    return f"(site) - {addresses.c(start + 1)} < {end - start:#x}ULL"


def any_of(symbols: list[Symbol], addresses: Addresses) -> str:
    """C for: ``site`` is a return address in one of these."""
    return " || ".join(f"({_in_range(symbol.start, symbol.end, addresses)})" for symbol in symbols) or "0"


def _hull_of(symbols: list[Symbol], addresses: Addresses) -> str:
    """One cheap comparison first: the range of the ordinary parts, which lie side by side in rmap.c."""
    ordinary = [symbol for symbol in symbols if not symbol.is_cold]
    hull = _in_range(min(symbol.start for symbol in ordinary), max(symbol.end for symbol in ordinary), addresses)
    cold = [symbol for symbol in symbols if symbol.is_cold]
    outside = f" || ({any_of(cold, addresses)})" if cold else ""
    return f"(({hull}) && ({any_of(ordinary, addresses)})){outside}"


def c_slab_arguments(btf: Btf) -> str:
    """Which argument tells what is allocated: the cache (6.1 and later) or, before, the bytes asked for."""
    lines = ["#define SIZE 1", "#define CACHE 2", "#define NAME 3"]
    # Before 6.1 the class kmem_alloc: call_site, ptr, (s,) bytes_req, bytes_alloc, gfp_flags.
    lines += _tells("ALLOC", btf.tracepoint("kmem_cache_alloc"), "size_t", "SIZE")
    lines += _tells("FREE", btf.tracepoint("kmem_cache_free"), "char", "NAME")
    return "\n".join(lines) + "\n"


def _tells(event: str, tracepoint: Function | None, otherwise: str, tells: str) -> list[str]:
    cache = tracepoint.index("kmem_cache") if tracepoint else None
    if cache is not None:
        return [f"#define SLAB_{event}_TELLS CACHE", f"#define SLAB_{event}_ARGUMENT {cache}"]
    other = tracepoint.index(otherwise) if tracepoint else None
    return [f"#define SLAB_{event}_TELLS {tells}", f"#define SLAB_{event}_ARGUMENT {other or 2}"]
