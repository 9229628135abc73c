# SPDX-License-Identifier: MIT
"""The plan for a kernel: what to fill in and what to attach, decided from facts alone.

A plan is plain data. The loader carries it out and knows nothing of kernels, profiles or tiers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lazyobs.bpf import (
    causes,
    cgroup_facts,
    clone_causes,
    event,
    fault_facts,
    followed,
    kfuncs,
    lazy_design,
    lock_paths,
    maps,
    optional,
    points,
    sites,
    structs,
    template,
    walk_facts,
    wrappers,
)
from lazyobs.bpf.blanks import HAVE_SWAP, Switch
from lazyobs.bpf.image import hash_of
from lazyobs.bpf.points import FUNCTION_TIERS, ITERATOR, POINTS, RAW_TRACEPOINT, Fixed, Point
from lazyobs.bpf.tier_trials import has_compare_and_swap, trial_function
from lazyobs.errors import NotSupported
from lazyobs.kernel import facts as kernel_facts
from lazyobs.kernel import signs
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.facts import Facts, Subject
from lazyobs.kernel.functions import Functions, NotTraceable
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import LAZY_PREPARE, PROMOTION, STATED, Profile, built_in
from lazyobs.model import INVARIANTS, TIERS

# Maps that the consumer writes or maps into memory; its descriptors of the others are read-only.
WRITTEN = ("census_target", "process_slots")


@dataclass
class Plan:
    """``points``: the candidates of each probe point; ``dropped``: {point: {tier: why it is not tried}}.

    ``knows_reason`` is False where a promotion does not say its reason. ``unjudged``: {invariant: why it cannot be
    judged here, whatever attaches}; ``unknown``: {number: why it is null, whatever attaches} (sites.unknown).

    ``source`` is the C text, the same for every kernel (template.py); ``values`` and ``switches`` are what this one
    fills in, with the kernel at ``anchor``. ``closed``: {tier: why the kernel refused it when ``trial_function`` was
    tried}. ``entries``: {map: its size} for maps that are not as large as in the image.
    """

    subject: Subject
    source: str
    points: list[dict[str, Any]]
    maps: tuple[str, ...] = template.MAPS
    written: tuple[str, ...] = WRITTEN
    entries: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)
    knows_reason: bool = False
    values: dict[str, int | None] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    anchor: int = 0
    trial_function: int = 0
    closed: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def as_request(self) -> dict[str, Any]:
        names = ("source", "maps", "points", "written", "entries", "values", "switches")
        return {name: getattr(self, name) for name in names} | {"source_hash": hash_of(self.source)}

    def moved(self, anchor: int) -> Plan:
        """The same plan for a boot with the kernel at ``anchor``."""
        shift = anchor - self.anchor
        return replace(self, anchor=anchor, switches={name: one.moved(shift) for name, one in self.switches.items()})

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
        for table in ("aliases", "stated", "clones"):
            profile[table] = {name: tuple(others) for name, others in profile[table].items()}
        for name in ("maps", "written"):
            document[name] = tuple(document[name])
        document["switches"] = {name: Switch.of(fields) for name, fields in document["switches"].items()}
        return cls(Subject(profile=Profile(**profile), **subject), **document)


# Of the probe table: every function that is looked up by name. All go through kernel/functions.py.
FUNCTIONS = frozenset((*sites.FUNCTIONS, *points.FUNCTIONS, *causes.FUNCTIONS, *lock_paths.FUNCTIONS)) - frozenset(
    STATED
)


class Unavailable(Exception):
    """A point cannot be attached at a tier; the text says why."""


def gather(profiles: list[Profile] | None = None, proc_root: str = "/proc", sys_root: str = "/sys") -> Facts:
    """Reads BTF and kallsyms for every name a plan may need and picks the profile that fits best."""
    from lazyobs.unix.aside import Aside  # a start with a kept plan does not need it

    known = built_in() if profiles is None else profiles
    functions = functions_for(known)
    # The kernel takes most of the time to write kallsyms: meanwhile the types are indexed.
    with Aside(lambda: kernel_facts.read_kallsyms(functions, proc_root, signs.functions())) as symbols:
        btf, no_btf = kernel_facts.read_btf(names_in_btf(known), sys_root)
        kallsyms, no_kallsyms = symbols.result()
    release = kernel_facts.release(proc_root)
    return facts_of(known, btf, no_btf, kallsyms, no_kallsyms, release, proc_root)


def facts_of(
    known: list[Profile],
    btf: Btf | None,
    no_btf: str,
    kallsyms: Kallsyms | None,
    no_kallsyms: str,
    release: str,
    proc_root: str,
) -> Facts:
    """The facts of a kernel with these types and symbols: the profile that fits best, and signs of a lazy design."""
    for profile in known:
        if kernel_facts.fits(profile, btf, kallsyms):
            break
    else:
        raise NotSupported(
            f"profile {known[0].name}",
            _why_it_does_not_fit(kernel_facts.lacking(known[0], btf, kallsyms), no_kallsyms, no_btf),
            "correct the profile, or run lazyobs doctor without --profile",
        )
    shown = () if profile.has_lazy or profile.says_none else signs.find(btf, kallsyms, proc_root)
    profile = kernel_facts.without_false_zeros(profile, shown)
    return Facts(release, profile, btf, no_btf, kallsyms, no_kallsyms, shown)


def functions_for(known: list[Profile]) -> set[str]:
    """Functions that are looked up for a plan with one of these profiles."""
    return {*FUNCTIONS, *(name for profile in known for name in profile.all_names())}


def _why_it_does_not_fit(gone: list[str], no_kallsyms: str, no_btf: str) -> str:
    """Names some of ``gone``, what [detect] demands in vain, unless they may be there and cannot be read."""
    if unread := no_kallsyms or no_btf:
        return f"what it demands cannot be looked up: {unread}"
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"the kernel has no {', '.join(gone[:3])}{more}, which [detect] demands"


def names_in_btf(known: list[Profile]) -> list[str]:
    """Names that the type data is indexed for."""
    return [
        *structs.NAMES,
        *signs.structs(),
        *functions_for(known),
        *walk_facts.ENUMS,
        *fault_facts.ENUMS,
        *cgroup_facts.ENUMS,
        *clone_causes.ENUMS,
        *kfuncs.FUNCTIONS,
        *kfuncs.STRUCTS,
        *(member.split(".", 1)[0] for profile in known for member in profile.members),
        *(name for profile in known for name in (*profile.enums, *profile.types)),
        *("btf_trace_" + name for name in _targets(RAW_TRACEPOINT)),
        *("bpf_iter_" + name for name in _targets(ITERATOR)),
    ]


def _targets(kind: str) -> list[str]:
    return [fixed.target for point in POINTS for fixed in point.fixed if fixed.kind == kind]


def make(
    facts: Facts,
    cap: str | None = None,
    wanted: tuple[str, ...] | None = None,
    tiers_refused: dict[str, str] | None = None,
    events: bool = False,
    anchor: int = 0,
    follows: bool = False,
    also: tuple[str, ...] = (),
) -> Plan:
    """The plan for this kernel. ``cap`` is the best tier to try; ``wanted`` limits the points;
    ``tiers_refused``: {tier: why} from trials (tier_trials.py); ``events``: whether there is a stream;
    ``anchor``: the kernel's address in this boot (kernel/build.py); ``follows``: whether a command is (followed.py);
    ``also``: the points to attach of those that are left out otherwise (optional.py).

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
    maker = _Maker(facts.btf, functions, cap, tiers_refused or {}, also)
    for point in POINTS:
        maker.add(point)
    reason = lazy_design.reason_enum(functions.prototype(PROMOTION))
    unknown = sites.unknown(functions) | lazy_design.unknown_columns(facts.profile, facts.btf)
    return Plan(
        facts.subject(),
        template.text(events),
        [point for point in maker.points if wanted is None or point["name"] in wanted],
        maps=template.maps(events),
        written=WRITTEN + (event.WRITTEN if events else ()) + ((followed.MAP,) if follows else ()),
        entries=followed.entries(follows),
        dropped=maker.dropped,
        knows_reason=reason is not None,
        values=_values(facts.btf, functions) | {followed.FOLLOWS: int(follows)},
        switches=_switches(facts.btf, functions),
        anchor=anchor,
        trial_function=trial_function(facts.btf, facts.profile),
        closed=tiers_refused or {},
        unjudged=_unjudged(facts.btf, functions, reason, unknown),
        unknown=unknown,
    )


def _values(btf: Btf, functions: Functions) -> dict[str, int | None]:
    """What this kernel fills in for the names of template.py."""
    found = structs.values(btf, lazy_design.paths(functions.profile, btf))
    found |= cgroup_facts.values(btf) | sites.values(btf) | walk_facts.values(btf)
    found |= fault_facts.values(btf)
    found |= lazy_design.values(functions.profile, btf, functions.prototype(LAZY_PREPARE))
    found |= causes.values(functions) | event.values(maps.possible_cpus()) | kfuncs.values(btf)
    return {**found, HAVE_SWAP: int(has_compare_and_swap())}


def _switches(btf: Btf, functions: Functions) -> dict[str, Switch]:
    promotion = functions.prototype(PROMOTION)
    try:
        found = sites.switches(functions) | lazy_design.switches(btf, functions, promotion)
        found |= clone_causes.switches(btf, functions.prototype("anon_vma_clone"), functions.profile)
        return found | causes.switches(functions) | lock_paths.switches(functions)
    except OverflowError as why:
        profile = functions.profile.name
        next_step = f"correct what profile {profile} names if that lies elsewhere, or else report this kernel"
        raise NotSupported("BPF probes", str(why), next_step) from None


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

    def __init__(
        self, btf: Btf, functions: Functions, cap: str | None, refused: dict[str, str], also: tuple[str, ...]
    ) -> None:
        self._btf, self._functions, self._also = btf, functions, also
        self._refused = dict(refused)
        self._lazy_unknown = lazy_design.why_unknown(functions.profile, btf)
        self._no_design = bool(functions.profile.unknown_design)
        if cap is not None:
            for tier in TIERS[: TIERS.index(cap)]:
                self._refused[tier] = f"--tier {cap}"
        self._registers = structs.registers(btf)
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
        if candidates and point.name in optional.COSTS and point.name not in self._also:
            cost = optional.COSTS[point.name]
            dropped[str(candidates[0]["tier"])] = f"left out, because {cost}; --also {point.name} attaches it"
            candidates = []
        self.points.append({"name": point.name, "candidates": candidates})

    def _fixed(self, point: Point) -> list[dict[str, Any]]:
        inlined = sites.missing(self._functions) if point.name == "slab" else []
        if inlined:
            raise Unavailable(f"{sites.NOT_LISTED}{', '.join(inlined)}")
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
        named = {"program": fixed.program, "code": fixed.program}
        return {**named, "kind": fixed.kind, "target": fixed.target, "btf_id": btf_id, "values": {}}

    def _calls(self, point: Point, tier: str) -> list[dict[str, Any]]:
        attach: list[dict[str, Any]] = []
        if no_faults := fault_facts.why_not(point.name, self._btf):
            raise Unavailable(no_faults)
        if tier == "kprobe" and self._registers is None:
            raise Unavailable("the registers of arguments are not known: BTF has no struct pt_regs that is known here")
        for call in point.calls:
            try:
                function = self._functions.traceable(*call.functions)
            except NotTraceable as why:
                if call.optional:
                    continue
                raise Unavailable(str(why)) from None
            if call.whole and (gone := [names for names in call.arguments if function.index(*names) is None]):
                raise Unavailable(f"{call.functions[0]}() has no argument {gone[0][0]} here")
            for wrapper in wrappers.wrappers(call, function, tier, self._registers):
                attach.append(
                    {
                        "program": f"{wrapper.kind}_{call.body}",
                        "code": wrapper.code,
                        "values": wrapper.values,
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
