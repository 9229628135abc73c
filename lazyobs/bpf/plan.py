# SPDX-License-Identifier: MIT
"""The plan for a kernel: what to compile and what to attach, decided from facts alone.

A plan is plain data. The loader carries it out and knows nothing of kernels, profiles or tiers.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lazyobs.bpf import (
    addresses,
    causes,
    cgroup_facts,
    counts,
    event,
    kfuncs,
    layouts,
    lazy_design,
    lock_paths,
    maps,
    points,
    sites,
    sources,
    structs,
    walk_facts,
    wrappers,
)
from lazyobs.bpf.points import FUNCTION_TIERS, ITERATOR, POINTS, RAW_TRACEPOINT, Fixed, Point
from lazyobs.bpf.tier_trials import has_compare_and_swap, trial_function
from lazyobs.errors import NotSupported
from lazyobs.kernel import facts as kernel_facts
from lazyobs.kernel import signs
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.facts import Facts, Subject
from lazyobs.kernel.functions import Functions, NotTraceable
from lazyobs.kernel.profile import LAZY_PREPARE, PROMOTION, STATED, Profile, built_in
from lazyobs.model import INVARIANTS, TIERS

MAPS = (
    "processes",
    "process_slots",
    "fork_windows",
    "fork_slots",
    "known_caches",
    "totals",
    "exited",
    "histograms",
    "calls",
    "call_slots",
    "stack_frames",
    "lock_frames",
    "slow_forks",
    "programs",
    "lives",
    "endings",
    "families",
    "family_marks",
    "family_states",
    "census_states",
    "census_target",
    "cgroup_states",
)
# Maps that the consumer writes or maps into memory; its descriptors of the others are read-only.
WRITTEN = ("census_target", "process_slots")
# Files that every probe needs; the others are those of the points.
SHARED_FILES = ("lazyobs.h", "events.h", "calls.h", "family.h", "invariants.h")


@dataclass
class Plan:
    """``points``: the candidates of each probe point; ``dropped``: {point: {tier: why it is not tried}}.

    ``knows_reason`` is False where a promotion does not say its reason. ``unjudged``: {invariant: why it cannot be
    judged here, whatever attaches}; ``unknown``: {number: why it is null, whatever attaches} (sites.unknown).

    ``addresses`` are those that the probes compare with (addresses.py), with the kernel at ``anchor``. ``closed``:
    {tier: why the kernel refused it when ``trial_function`` was tried}. ``kfuncs``: BTF ids (kfuncs.py).
    """

    subject: Subject
    source: str
    points: list[dict[str, Any]]
    maps: tuple[str, ...] = MAPS
    written: tuple[str, ...] = WRITTEN
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)
    knows_reason: bool = False
    addresses: list[int] = field(default_factory=list)
    kfuncs: list[int] = field(default_factory=list)
    anchor: int = 0
    trial_function: int = 0
    closed: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        names = ("source", "maps", "points", "written", "addresses", "kfuncs")
        return {name: getattr(self, name) for name in names}

    def moved(self, anchor: int) -> Plan:
        """The same plan for a boot with the kernel at ``anchor``."""
        shift = anchor - self.anchor
        return replace(self, anchor=anchor, addresses=[address + shift for address in self.addresses])

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Plan:
        """The plan ``to_bytes`` was made of. ValueError, KeyError or TypeError for anything else."""
        document = json.loads(raw)
        subject = document.pop("subject")
        # JSON has no tuples; everything in a profile that is a list was one.
        profile: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in subject.pop("profile").items()
        }
        for table in ("aliases", "stated"):
            profile[table] = {name: tuple(others) for name, others in profile[table].items()}
        for name in ("maps", "written"):
            document[name] = tuple(document[name])
        return cls(Subject(profile=Profile(**profile), **subject), **document)


# Of the probe table: every function that is looked up by name. All go through kernel/functions.py.
FUNCTIONS = frozenset((*sites.FUNCTIONS, *points.FUNCTIONS, *causes.FUNCTIONS, *lock_paths.FUNCTIONS)) - frozenset(
    STATED
)


class Unavailable(Exception):
    """A point cannot be attached at a tier; the text says why."""


def gather(profiles: list[Profile] | None = None, proc_root: str = "/proc", sys_root: str = "/sys") -> Facts:
    """Reads BTF and kallsyms for every name a plan may need and picks the profile that fits best."""
    known = built_in() if profiles is None else profiles
    functions = {*FUNCTIONS, *(name for profile in known for name in profile.all_names())}
    # The kernel takes most of the time to write kallsyms: meanwhile the types are indexed.
    with ThreadPoolExecutor(1) as pool:
        symbols = pool.submit(kernel_facts.read_kallsyms, functions, proc_root, signs.functions())
        btf, no_btf = _read_btf(known, functions, sys_root)
    kallsyms, no_kallsyms = symbols.result()
    for profile in known:
        if kernel_facts.fits(profile, btf, kallsyms):
            break
    else:
        raise NotSupported(
            f"profile {known[0].name}",
            _why_it_does_not_fit(kernel_facts.lacking(known[0], btf, kallsyms), no_kallsyms, no_btf),
            "correct the profile, or run lazyobs doctor without --profile",
        )
    shown = () if profile.has_lazy else signs.find(btf, kallsyms, proc_root)
    profile = kernel_facts.without_false_zeros(profile, shown)
    return Facts(kernel_facts.release(proc_root), profile, btf, no_btf, kallsyms, no_kallsyms, shown)


def _why_it_does_not_fit(gone: list[str], no_kallsyms: str, no_btf: str) -> str:
    """Names some of ``gone``, what [detect] demands in vain, unless they may be there and cannot be read."""
    if unread := no_kallsyms or no_btf:
        return f"what it demands cannot be looked up: {unread}"
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"the kernel has no {', '.join(gone[:3])}{more}, which [detect] demands"


def _read_btf(known: list[Profile], functions: set[str], sys_root: str) -> tuple[Btf | None, str]:
    return kernel_facts.read_btf(
        [
            *structs.NAMES,
            *signs.structs(),
            *functions,
            *kfuncs.FUNCTIONS,
            *walk_facts.ENUMS,
            *cgroup_facts.ENUMS,
            *(member.split(".", 1)[0] for profile in known for member in profile.members),
            *(name for profile in known for name in (*profile.enums, *profile.types)),
            *("btf_trace_" + name for name in _targets(RAW_TRACEPOINT)),
            *("bpf_iter_" + name for name in _targets(ITERATOR)),
        ],
        sys_root,
    )


def _targets(kind: str) -> list[str]:
    return [fixed.target for point in POINTS for fixed in point.fixed if fixed.kind == kind]


def make(
    facts: Facts,
    cap: str | None = None,
    wanted: tuple[str, ...] | None = None,
    tiers_refused: dict[str, str] | None = None,
    events: bool = False,
    anchor: int = 0,
) -> Plan:
    """The plan for this kernel. ``cap`` is the best tier to try; ``wanted`` limits the points;
    ``tiers_refused``: {tier: why} from trials (tier_trials.py); ``events``: whether there is a stream;
    ``anchor``: the kernel's address in this boot (kernel/build.py).

    Raises NotSupported when BPF cannot be used at all: no BTF, no symbols, or a required struct is missing.
    """
    if facts.btf is None:
        raise NotSupported("BPF probes", facts.no_btf, "what is left is the procfs tier")
    if facts.kallsyms is None:
        raise NotSupported("BPF probes", facts.no_kallsyms, "what is left is the procfs tier")
    gone = structs.missing(facts.btf)
    if gone:
        raise NotSupported("BPF probes", f"this kernel has no {', '.join(gone)}", "please report this kernel")
    functions = Functions(facts.kallsyms, facts.btf, facts.profile)
    maker = _Maker(facts.btf, functions, cap, tiers_refused or {})
    # All points are compiled, so that commands which want different ones share an image.
    for point in POINTS:
        maker.add(point)
    reason = lazy_design.reason_enum(functions.prototype(PROMOTION))
    unknown = sites.unknown(functions) | lazy_design.unknown_columns(facts.profile, facts.btf)
    source = maker.source(event.RING_BYTES if events else 0)
    return Plan(
        facts.subject(),
        source,
        [point for point in maker.points if wanted is None or point["name"] in wanted],
        maps=tuple(name for name in MAPS if f" {name}, " in source) + (event.MAPS if events else ()),
        written=WRITTEN + (event.WRITTEN if events else ()),
        dropped=maker.dropped,
        knows_reason=reason is not None,
        addresses=maker.addresses.values,
        kfuncs=kfuncs.ids(facts.btf),
        anchor=anchor,
        trial_function=trial_function(facts.btf, facts.profile),
        closed=tiers_refused or {},
        unjudged=_unjudged(facts.btf, functions, reason, unknown),
        unknown=unknown,
    )


def _unjudged(btf: Btf, functions: Functions, reason: str | None, unknown: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if functions.profile.unknown_design:
        return dict.fromkeys(INVARIANTS, functions.profile.unknown_design)
    if reason is None:
        found["promotion_cause"] = "a promotion does not say its reason in this design"
    elif not causes.judged(functions):
        found["promotion_cause"] = "kallsyms has none of the functions that promote"
    if "anon_vma_allocs" in unknown:
        found["ledger"] = unknown["anon_vma_allocs"]
    if "promotions" in unknown:
        found["promotion_once"] = unknown["promotions"]
    if why := walk_facts.why_not(btf):
        found["walk_complete"] = found["walk_visits"] = why
    return found


class _Maker:
    """Collects the candidates of each point and the programs they need."""

    def __init__(self, btf: Btf, functions: Functions, cap: str | None, refused: dict[str, str]):
        self._btf, self._functions = btf, functions
        self._refused = dict(refused)
        self._lazy_unknown = lazy_design.why_unknown(functions.profile, btf)
        self._no_design = bool(functions.profile.unknown_design)
        if cap is not None:
            for tier in TIERS[: TIERS.index(cap)]:
                self._refused[tier] = f"--tier {cap}"
        self._programs: dict[str, str] = {}
        self._files: list[str] = []
        self.addresses = addresses.Addresses()
        self.points: list[dict[str, Any]] = []
        self.dropped: dict[str, dict[str, str]] = {}

    def add(self, point: Point) -> None:
        candidates = []
        dropped = self.dropped[point.name] = {}
        for tier in (*FUNCTION_TIERS,) if point.calls else (point.fixed_tier,):
            try:
                if tier in self._refused:
                    raise Unavailable(self._refused[tier])
                if point.asks_lazy and self._lazy_unknown and not (point.has_more and self._no_design):
                    raise Unavailable(self._lazy_unknown)
                attach = self._calls(point, tier) if point.calls else self._fixed(point)
            except Unavailable as why:
                dropped[tier] = str(why)
            else:
                candidates.append({"tier": tier, "attach": attach})
        if candidates:
            self._files += [name for name in point.sources if name not in self._files]
        self.points.append({"name": point.name, "candidates": candidates})

    def _fixed(self, point: Point) -> list[dict[str, Any]]:
        inlined = sites.missing(self._functions) if point.name == "slab" else []
        if inlined:
            raise Unavailable(f"not in kallsyms: {', '.join(inlined)}")
        if point.name == "lock" and (why := lock_paths.why_not(self._btf)):
            raise Unavailable(why)
        return [self._fixed_attach(fixed) for fixed in point.fixed]

    def _fixed_attach(self, fixed: Fixed) -> dict[str, Any]:
        btf_id = 0
        if fixed.kind == ITERATOR:
            function = self._btf.function("bpf_iter_" + fixed.target)
            if function is None:
                raise Unavailable(f"the kernel has no BPF iterator {fixed.target}")
            btf_id = function.type_id
        elif self._btf.tracepoint(fixed.target) is None:
            raise Unavailable(f"the kernel has no tracepoint {fixed.target}")
        return {"program": fixed.program, "kind": fixed.kind, "target": fixed.target, "btf_id": btf_id}

    def _calls(self, point: Point, tier: str) -> list[dict[str, Any]]:
        attach: list[dict[str, Any]] = []
        for call in point.calls:
            try:
                function = self._functions.traceable(*call.functions)
            except NotTraceable as why:
                if call.optional:
                    continue
                raise Unavailable(str(why)) from None
            for wrapper in wrappers.wrappers(call, function, tier):
                self._programs[wrapper.program] = wrapper.text
                attach.append(
                    {
                        "program": wrapper.program,
                        "kind": wrapper.kind,
                        "target": function.name,
                        # A kprobe finds its function by name; a BTF id would be refused.
                        "btf_id": function.type_id if tier == "fentry" else 0,
                    }
                )
        if not attach:
            names = (name for call in point.calls for name in self._functions.names(*call.functions))
            raise Unavailable(f"none of {', '.join(names)} is there")
        return attach

    def source(self, ring_bytes: int) -> str:
        functions = self._functions
        made, promoted = functions.prototype(LAZY_PREPARE), functions.prototype(PROMOTION)
        parts = [
            counts.c_counts(),
            layouts.c_layouts(),
            f"#define HAVE_COMPARE_AND_SWAP {int(has_compare_and_swap())}\n",
            structs.c_structs(
                self._btf,
                {
                    **lazy_design.wanted_members(functions.profile, self._btf),
                    **cgroup_facts.wanted_members(self._btf),
                },
            ),
            cgroup_facts.c_facts(self._btf),
            kfuncs.c_functions(self._btf),
            addresses.C_ADDRESS,
            sites.c_sites(functions, self.addresses),
            sites.c_slab_arguments(self._btf),
            lazy_design.c_design(functions.profile, self._btf, made, promoted),
            lazy_design.c_walkers(functions, self.addresses),
            causes.c_causes(functions, self.addresses),
            walk_facts.c_facts(self._btf),
            lock_paths.c_locks(self._btf, functions, self.addresses),
            event.c_layout(ring_bytes, maps.possible_cpus()),
            wrappers.REGISTERS,
            *(sources.read(name) for name in (*SHARED_FILES, *self._files)),
            *self._programs.values(),
        ]
        return "\n".join(parts)
