# SPDX-License-Identifier: MIT
"""What to compile and what to try on this kernel: decided from facts, without privileges.

The plan is plain data; the loader carries it out and knows nothing of kernels, profiles or tiers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lazyobs import probes_text
from lazyobs.bpf import sites, slots, structs
from lazyobs.bpf.points import ITERATOR, POINTS, RAW_TRACEPOINT, Attach, Candidate, Point
from lazyobs.errors import NotSupported
from lazyobs.kernel import facts as kernel_facts
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.facts import Facts
from lazyobs.kernel.profile import Profile, built_in
from lazyobs.model import TIERS

PROCESS_ENTRIES = 16384
TASK_ENTRIES = 4096

MAPS = (
    "processes",
    "fork_windows",
    "totals",
    "exited",
    "histograms",
    "census_states",
    "census_target",
)
# Maps that the consumer writes as well; its descriptors of the others only read.
WRITTEN = ("census_target",)
PROBE_FILES = ("slab.c", "process.c", "census.c")


@dataclass
class Plan:
    """``points``: what the loader tries, as data; ``dropped``: {point: {tier: why it is not tried}}."""

    source: str
    maps: tuple[str, ...]
    points: list[dict[str, Any]]
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        return {"source": self.source, "maps": list(self.maps), "points": self.points, "written": list(WRITTEN)}


def gather(profiles: list[Profile] | None = None, proc_root: str = "/proc", sys_root: str = "/sys") -> Facts:
    """Reads BTF and kallsyms for every name a plan may need and picks the profile that fits best."""
    known = built_in() if profiles is None else profiles
    functions = [*sites.FUNCTIONS, *(name for profile in known for name in profile.functions)]
    members = [member.split(".", 1)[0] for profile in known for member in profile.members]
    tracepoints, iterators = _targets(RAW_TRACEPOINT), _targets(ITERATOR)
    btf, no_btf = kernel_facts.read_btf(
        [
            *structs.STRUCTS,
            *functions,
            *members,
            *("btf_trace_" + name for name in tracepoints),
            *("bpf_iter_" + name for name in iterators),
        ],
        sys_root,
    )
    kallsyms, no_kallsyms = kernel_facts.read_kallsyms(functions, proc_root)
    for profile in known:
        if kernel_facts.fits(profile, btf, kallsyms):
            break
    else:
        raise NotSupported(f"profile {known[0].name}", "the kernel does not have what it demands", "run lazyobs doctor")
    with open(f"{proc_root}/sys/kernel/osrelease", encoding="ascii") as file:
        release = file.read().strip()
    return Facts(release, profile, btf, no_btf, kallsyms, no_kallsyms)


def _targets(kind: str) -> list[str]:
    return [
        attach.target
        for point in POINTS
        for candidate in point.candidates
        for attach in candidate.attach
        if attach.kind == kind
    ]


def make(facts: Facts, cap: str | None = None, wanted: tuple[str, ...] | None = None) -> Plan:
    """The plan for this kernel. ``cap`` is the best tier to try; ``wanted`` limits the points.

    Raises NotSupported when BPF cannot be used at all (no BTF, no symbols, a struct it does not know).
    """
    if facts.btf is None:
        raise NotSupported("BPF probes", facts.no_btf, "what is left is the procfs tier")
    if facts.kallsyms is None:
        raise NotSupported("BPF probes", facts.no_kallsyms, "what is left is the procfs tier")
    gone = structs.missing(facts.btf)
    if gone:
        raise NotSupported("BPF probes", f"this kernel has no {', '.join(gone)}", "please report this kernel")
    inlined = sites.missing(facts.kallsyms)
    points, dropped = [], {}
    for point in POINTS:
        if wanted is not None and point.name not in wanted:
            continue
        tried, not_tried = _candidates(facts.btf, point, cap, inlined)
        points.append({"name": point.name, "candidates": tried})
        dropped[point.name] = not_tried
    return Plan(_source(facts), MAPS, points, dropped)


def _candidates(
    btf: Btf, point: Point, cap: str | None, inlined: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    tried, not_tried = [], {}
    for candidate in point.candidates:
        why = _why_not(btf, point, candidate, cap, inlined)
        if why:
            not_tried[candidate.tier] = why
        else:
            tried.append({"tier": candidate.tier, "attach": [_attach(btf, attach) for attach in candidate.attach]})
    return tried, not_tried


def _why_not(btf: Btf, point: Point, candidate: Candidate, cap: str | None, inlined: list[str]) -> str:
    if cap is not None and candidate.tier in TIERS and TIERS.index(candidate.tier) < TIERS.index(cap):
        return f"--tier {cap}"
    if point.name == "slab" and inlined:
        return f"not in kallsyms: {', '.join(inlined)}"
    for attach in candidate.attach:
        if attach.kind == RAW_TRACEPOINT and btf.tracepoint(attach.target) is None:
            return f"the kernel has no tracepoint {attach.target}"
        if attach.kind == ITERATOR and btf.function("bpf_iter_" + attach.target) is None:
            return f"the kernel has no BPF iterator {attach.target}"
    return ""


def _attach(btf: Btf, attach: Attach) -> dict[str, Any]:
    function = btf.function("bpf_iter_" + attach.target) if attach.kind == ITERATOR else None
    return {
        "program": attach.program,
        "kind": attach.kind,
        "target": attach.target,
        "btf_id": function.type_id if function else 0,
    }


def _source(facts: Facts) -> str:
    assert facts.btf is not None and facts.kallsyms is not None
    parts = [
        slots.c_layout(),
        f"#define PROCESS_ENTRIES {PROCESS_ENTRIES}\n#define TASK_ENTRIES {TASK_ENTRIES}\n",
        structs.c_structs(facts.btf),
        sites.c_sites(facts.kallsyms),
        _slab_arguments(facts.btf),
        _vma_reading(facts.profile),
        probes_text.read("lazyobs.h"),
        *(probes_text.read(name) for name in PROBE_FILES),
    ]
    return "\n".join(parts)


def _slab_arguments(btf: Btf) -> str:
    """Which argument tells what is allocated: the cache (6.1 and later) or, before, the bytes asked for."""
    lines = ["#define SIZE 1", "#define CACHE 2", "#define NAME 3"]
    alloc, free = btf.tracepoint("kmem_cache_alloc"), btf.tracepoint("kmem_cache_free")
    # Before 6.1 the class kmem_alloc: call_site, ptr, (s,) bytes_req, bytes_alloc, gfp_flags.
    lines += _tells("ALLOC", alloc, "size_t")
    lines += _tells("FREE", free, "char")
    return "\n".join(lines) + "\n"


def _tells(event: str, tracepoint: Function | None, otherwise: str) -> list[str]:
    cache = tracepoint.index("kmem_cache") if tracepoint else None
    if cache is not None:
        return [f"#define SLAB_{event}_TELLS CACHE", f"#define SLAB_{event}_ARGUMENT {cache}"]
    other = tracepoint.index(otherwise) if tracepoint else None
    tells = "SIZE" if otherwise == "size_t" else "NAME"
    return [f"#define SLAB_{event}_TELLS {tells}", f"#define SLAB_{event}_ARGUMENT {other or 2}"]


def _vma_reading(profile: Profile) -> str:
    tests = {
        "none": "false",
        "tag": "(((tree) & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_LAZY)",
        "anon_vma_flag": "is_flagged_lazy(vma, tree)",
    }
    return (
        f"#define ANON_VMA_TAG_MASK {profile.tag_mask:#x}ULL\n"
        f"#define ANON_VMA_TAG_LAZY {profile.tag_lazy:#x}ULL\n"
        f"#define ANON_VMA_TAG_SHARED {profile.tag_shared:#x}ULL\n"
        f"#define LAZY_BY_FLAG {int(profile.lazy_test == 'anon_vma_flag')}\n"
        f"#define vma_is_lazy(vma, tree) {tests[profile.lazy_test]}\n"
    )
