# SPDX-License-Identifier: MIT
"""``lazyobs doctor``: tries what this kernel supports, and reports what is missing and why."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lazyobs import text
from lazyobs.bpf import plan
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import Session, interpreters
from lazyobs.errors import BpfRefused, NotSupported
from lazyobs.invariants import ROWS, states
from lazyobs.kernel import profile as profiles
from lazyobs.kernel import restrictions
from lazyobs.kernel.facts import Facts, lazy_switch
from lazyobs.kernel.profile_draft import draft
from lazyobs.kernel.slab import CACHES, Slabinfo
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.sources import sight
from lazyobs.sources.account import why_not_whole
from lazyobs.sources.open import attach
from lazyobs.sources.why_not import unwatched
from lazyobs.unix import capabilities, privileges
from lazyobs.unix.users import user_name
from lazyobs.views import lines, report_table

_BCC_QUESTION = """
try:
    import bcc
    print(bcc.__version__ if hasattr(bcc, "BPF") else "another package of that name")
except ModuleNotFoundError:
    print("not installed")
"""
_LAZY_ONLY = frozenset(point.name for point in POINTS if point.lazy_only)


def show(profile_file: Path | None, cap: str | None, output: str, verbose: bool) -> None:
    """Prints the findings. Attaches every probe point once, where permitted, and detaches it at once."""
    known = [profiles.load(profile_file)] if profile_file else None
    facts = plan.gather(known)
    session, why_not = _try(profile_file, cap)
    try:
        document = _document(facts, session, why_not, verbose) | {"design": _design(facts, known)}
    finally:
        if session is not None:
            session.close()
    if output == "json":
        print(lines.json_line(document))
    elif output == "csv":
        _csv(document)
    else:
        _table(document)


def _try(profile_file: Path | None, cap: str | None) -> tuple[Session | None, str]:
    if cap == "procfs":
        return None, "--tier procfs"
    if why := capabilities.why_not_bpf():
        return None, f"{why}; run sudo lazyobs doctor"
    try:
        return attach(profile_file, cap, None)[1], ""
    except (BpfRefused, NotSupported) as error:
        return None, f"{error.what}: {error.why}"


def _document(facts: Facts, session: Session | None, why_not: str, verbose: bool) -> dict[str, Any]:
    slabinfo = Slabinfo()
    rows = slabinfo.read()
    slabinfo.close()
    config = restrictions.config(release=facts.release)
    kernel = {
        "release": facts.release,
        "profile": facts.profile.name,
        "has_lazy_anon_vmas": facts.profile.has_lazy,
        "lazy_enabled": lazy_switch(facts.profile),
        "savings_rule": facts.profile.savings_rule or "unknown",
        "btf": facts.no_btf or "yes",
        "kallsyms": facts.no_kallsyms or "yes",
        "lockdown": restrictions.lockdown() or "unknown (not built in, or securityfs not mounted)",
        "kprobes": _kprobes(config),
        "unprivileged_bpf_disabled": restrictions.sysctl("kernel.unprivileged_bpf_disabled"),
        "bpf_stats_enabled": restrictions.sysctl("kernel.bpf_stats_enabled"),
        "may_load_bpf": not capabilities.why_not_bpf(),
        "probes": _probes(session, why_not),
        "runs_as": _runs_as(),
        "bcc": _bcc(),
    }
    if verbose:
        kernel["effective_capabilities"] = f"{capabilities.effective():#x}"
    return {
        "kernel": kernel,
        "sight": [vars(aspect) for aspect in sight.aspects()],
        "points": [_point(point, session, why_not) for point in POINTS],
        "unknown": session.unknown if session else {},
        "invariants": _invariants(facts, session, why_not),
        "slabs": [
            {
                "cache": name,
                "objects_active": rows[name].active if name in rows else None,
                "object_bytes": rows[name].object_bytes if name in rows else None,
                "merged_with": slabinfo.merged[name],
                "why_not": slabinfo.why_not or slabinfo.why_no_merges,
            }
            for name in CACHES
        ],
    }


def _design(facts: Facts, known: list[profiles.Profile] | None) -> dict[str, Any]:
    """Signs of a lazy design that no profile describes, and a draft of a profile for it: nulls and [] where there are none."""
    return {
        "why_not": facts.profile.unknown_design or None,
        "signs": [{"kind": sign.kind, "name": sign.name} for sign in facts.signs],
        "draft": draft(facts, profiles.built_in() if known is None else known) or None,
    }


def _runs_as() -> str:
    """Name of the user that a command runs as once it has given up root."""
    if os.geteuid() != 0 or privileges.why_not_nobody():
        return user_name(os.geteuid())
    return privileges.account().name


def _kprobes(config: dict[str, str] | None) -> str:
    if restrictions.has_kprobe_events():
        return "yes"
    if config is not None and "CONFIG_KPROBES" not in config:
        return "no: built without CONFIG_KPROBES"
    return "no: the perf PMU kprobe is missing"


def _probes(session: Session | None, why_not: str) -> str:
    """Where the loaded programs are from: an image, or the compiler and why."""
    if session is None:
        return f"none loaded: {why_not}"
    return f"{session.origin}, made by BCC {session.compiler}"


def _bcc() -> list[dict[str, str]]:
    """Interpreters with BCC's version or why there is none, in the order in which they are tried: up to the first that
    has it."""
    found: list[dict[str, str]] = []
    for path in interpreters():
        try:
            answer = subprocess.run(
                [path, "-I", "-c", _BCC_QUESTION], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
            )
            words = (answer.stdout if answer.returncode == 0 else answer.stderr).strip().splitlines()
            version = words[-1] if words else f"exit status {answer.returncode}"
        except (OSError, subprocess.TimeoutExpired) as error:
            version = str(error)
        found.append({"interpreter": path, "version": version})
        if version[:1].isdigit():
            break
    return found


def _point(point: Any, session: Session | None, why_not: str) -> dict[str, Any]:
    if session is None:
        return {
            "point": point.name,
            "about": point.about,
            "tier": "procfs" if point.name == "census" else None,
            "required": point.required,
            "why_not_better": {"bpf": why_not},
        }
    return {
        "point": point.name,
        "about": point.about,
        "tier": session.tiers.get(point.name),
        "required": point.required,
        "why_not_better": session.refused.get(point.name, {}),
    }


def _invariants(facts: Facts, session: Session | None, why_not: str) -> list[dict[str, Any]]:
    """The state of each invariant. The ledger also needs barrier readings, so only a recording watches it."""
    missing = unwatched(session, facts.profile) if session else {row.name: why_not for row in ROWS}
    barrier = SlabBarrier()
    barrier.close()
    if why := barrier.why_not or why_not_whole():
        missing.setdefault("ledger", why)
    return states(missing)


def _csv(document: dict[str, Any]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["point", "tier", "required", "why_not_better"])
    for point in document["points"]:
        why = "; ".join(f"{tier}: {reason}" for tier, reason in point["why_not_better"].items())
        writer.writerow(map(lines.csv_safe, [point["point"], point["tier"] or "", point["required"], why]))


def _table(document: dict[str, Any]) -> None:
    kernel = dict(document["kernel"])
    bcc = kernel.pop("bcc")
    del kernel["has_lazy_anon_vmas"]  # the profile says it
    kernel["lazy_enabled"] = {True: "on", False: "off", None: "no switch"}[kernel["lazy_enabled"]]
    for name, value in kernel.items():
        label = {True: "yes", False: "no", None: "unknown"}.get(value, value) if not isinstance(value, str) else value
        print(f"{name.replace('_', ' '):27}{text.printable(str(label))}")
    if kernel["runs_as"] == "nobody":
        print(f"{'':27}other processes of nobody can stop it: a service wants a system user {privileges.OWN_NAME}")
    for entry in bcc:
        print(f"{'bcc':27}{text.printable(entry['version'])} ({text.printable(entry['interpreter'])})")
    print("\n".join(_sight(document["sight"])))
    rows = [
        [point["point"], point["tier"] or "none", "yes" if point["required"] else "-", point["about"]]
        for point in document["points"]
    ]
    print("\n" + report_table.table(rows, ["PROBE POINT", "TIER", "REQUIRED", "WHAT IT SEES"], left=3))
    for why, points in reasons(document["points"], document["kernel"]["has_lazy_anon_vmas"]).items():
        print(f"\n{text.printable(why)}" + f"\n    ({text.printable(', '.join(points))})")
    for why in dict.fromkeys(document["unknown"].values()):
        numbers = [name for name, reason in document["unknown"].items() if reason == why]
        print(f"\nnull: {text.printable(why)}" + f"\n    ({text.printable(', '.join(numbers))})")
    rows = [
        [
            row["invariant"],
            watched(row),
            row["statement"] + ("" if row["watched"] else f" (not: {row['why_not']})"),
        ]
        for row in document["invariants"]
    ]
    print("\n" + report_table.table(rows, ["INVARIANT", "WATCHED", "WHAT MUST HOLD"], left=3))
    slabs = [
        [
            slab["cache"],
            text.number(slab["objects_active"]),
            text.number(slab["object_bytes"]),
            ", ".join(slab["merged_with"]) or "-",
        ]
        for slab in document["slabs"]
    ]
    print("\n" + report_table.table(slabs, ["SLAB CACHE", "ACTIVE", "BYTES EACH", "SHARES ITS ROW WITH"], left=1))
    why = document["slabs"][0]["why_not"]
    if why:
        print(text.printable(why))
    print_design(document["design"])


def print_design(design: dict[str, Any]) -> None:
    """Nothing where there are no signs. The draft comes last, so that it is easy to cut out."""
    if not design["signs"]:
        return
    print(f"\n{text.printable(design['why_not'])}" if design["why_not"] else "")
    signs = [[sign["kind"], text.printable(sign["name"])] for sign in design["signs"]]
    print("\n" + report_table.table(signs, ["SIGN OF A LAZY DESIGN", "NAME"], left=1))
    print("\na profile to complete, and to give by --profile FILE (lazyobs help profiles explains the fields):\n")
    for line in design["draft"].splitlines():
        print(text.printable(line))


def _sight(aspects: list[dict[str, str]]) -> list[str]:
    """A line for each aspect that limits what is seen; one where none does."""
    limited = [f"{aspect['name']:27}{aspect['state']}: {aspect['effect']}" for aspect in aspects if aspect["effect"]]
    return [text.printable(line) for line in limited] or [f"{'seen from here':27}everything"]


def watched(row: dict[str, Any]) -> str:
    """The cell of an invariant."""
    if not row["watched"]:
        return "no"
    return "in recordings" if row["invariant"] == "ledger" else "yes"


def reasons(points: list[dict[str, Any]], has_lazy: bool) -> dict[str, list[str]]:
    """{reason: points}: a reason that many points share is printed once. A kernel without lazy anon_vmas has nothing
    to attach the points of laziness to, whatever the tier."""
    found: dict[str, list[str]] = {}
    for point in points:
        if point["point"] in _LAZY_ONLY and not has_lazy:
            found.setdefault("for kernels with lazy anon_vmas only", []).append(point["point"])
            continue
        for tier, why in point["why_not_better"].items():
            found.setdefault(f"not {tier}: {why}", []).append(point["point"])
    return found
