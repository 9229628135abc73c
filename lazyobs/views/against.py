# SPDX-License-Identifier: MIT
"""``lazyobs doctor --against FILE``: what would work on a kernel that does not run here."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lazyobs import text
from lazyobs.bpf import outlook, patch_names
from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.outlook import Outlook
from lazyobs.bpf.points import POINTS, Point
from lazyobs.errors import EXIT_BAD, EXIT_OK, UsageError
from lazyobs.invariants import states
from lazyobs.kernel import profile as profiles
from lazyobs.kernel import type_data
from lazyobs.kernel.btf import BtfError
from lazyobs.kernel.profile import Profile
from lazyobs.kernel.profile_draft import draft
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HISTOGRAMS
from lazyobs.sources.why_not import counted_as, unwatched
from lazyobs.unix.small_file import Unusable
from lazyobs.views import doctor, lines, report_table

_NEXT = "name a vmlinux, or a copy of that kernel's /sys/kernel/btf/vmlinux"
_KINDS = (
    ("counter", tuple(name for name in COUNTER_NAMES if name != "violations")),  # of the invariants, which have a table
    ("histogram", tuple(histogram.name for histogram in HISTOGRAMS)),
    ("column", CENSUS_NAMES),
    ("event", tuple(f"event.{kind}" for kind in KIND_NAMES if kind != "violation")),
)


def show(
    file: Path,
    symbols: Path | None,
    patch: patch_names.Hunks | None,
    profile_file: Path | None,
    cap: str | None,
    output: str,
) -> int:
    """Prints what would work there; the exit status: EXIT_BAD where a point that the design has would not attach.
    ``patch``: the hunks of a patch."""
    known = [profiles.load(profile_file)] if profile_file else None
    found = _outlook(file, symbols, known, cap)
    answer = document(file, found, known)
    if patch is not None:
        answer["patch"] = [asdict(row) for row in patch_names.changed(patch, found.facts.profile)]
    if output == "json":
        print(lines.json_line(answer))
    elif output == "csv":
        _csv(answer)
    else:
        _table(answer, found)
    return EXIT_BAD if answer["lost"] else EXIT_OK


def _read(path: Path, reader: Any, next_step: str) -> Any:
    try:
        return reader(path)
    except Unusable as error:
        raise UsageError(text.printable(str(path)), str(error), next_step) from None


def _outlook(file: Path, symbols: Path | None, known: list[Profile] | None, cap: str | None) -> Outlook:
    data = _read(file, type_data.read, _NEXT)
    lines_of = (
        data.symbols if symbols is None else _read(symbols, _symbols, "copy that kernel's /proc/kallsyms as root")
    )
    try:
        return outlook.of(data.btf, lines_of, file.name, known, cap)
    except (BtfError, Unusable) as error:
        why = str(error) if isinstance(error, Unusable) else f"its types are damaged: {error}"
        raise UsageError(text.printable(str(file)), why, _NEXT) from None


def _symbols(path: Path) -> bytes:
    """Unusable where no symbol of the kernel is there, or where their addresses are hidden."""
    data = type_data.read_whole(path)
    table = outlook.symbol_table(data)
    if table.hidden:
        raise Unusable("hides the addresses")
    if not table.has_any:
        raise Unusable("has none of the functions that handle anon_vmas: it is no symbol table, or only a stub")
    return data


def document(file: Path, found: Outlook, known: list[Profile] | None) -> dict[str, Any]:
    """All that would work on that kernel, and what would not and why. ``known``: the profiles, None for those that come
    along."""
    facts = found.facts
    lazy = facts.profile.has_lazy
    points = [
        {
            "point": point.name,
            "about": point.about,
            "tier": found.tiers.get(point.name),
            "required": point.required,
            "why_not_better": found.refused.get(point.name, {}),
        }
        for point in POINTS
    ]
    return {
        "kernel": {
            "file": text.printable(str(file)),
            "profile": facts.profile.name,
            "has_lazy_anon_vmas": lazy,
            "savings_rule": facts.profile.savings_rule or "unknown",
            "symbols": not found.only_types,
            "closed": found.closed,
        },
        "points": points,
        "lost": [point.name for point in POINTS if not found.tiers.get(point.name) and _should(point, lazy)],
        "fields": [asdict(row) for row in outlook.fields(facts)],
        "numbers": list(_numbers(found)),
        "unknown": found.unknown,
        "invariants": _invariants(found),
        "design": {
            "why_not": facts.profile.unknown_design or None,
            "signs": [{"kind": sign.kind, "name": sign.name} for sign in facts.signs],
            "draft": draft(facts, profiles.built_in() if known is None else known) or None,
        },
        "patch": None,
    }


def _should(point: Point, lazy: bool) -> bool:
    """Whether it is missed where it cannot attach."""
    return not point.some_kernels and (lazy or not point.lazy_only)


def _numbers(found: Outlook) -> Iterator[dict[str, Any]]:
    for kind, names in _KINDS:
        for name in names:
            counted, why = counted_as(name, found, found.facts.profile)
            yield {"number": name, "kind": kind, "known": bool(counted), "counted_as": counted or None, "why_not": why or None}  # fmt: skip


def _invariants(found: Outlook) -> list[dict[str, Any]]:
    return states(unwatched(found, found.facts.profile))


def _csv(document: dict[str, Any]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["kind", "name", "works", "how", "why_not"])
    for point in document["points"]:
        why = "; ".join(f"{tier}: {reason}" for tier, reason in point["why_not_better"].items())
        _write(writer, "point", point["point"], bool(point["tier"]), point["tier"], why)
    for row in document["fields"]:
        _write(writer, "field", f"{row['struct']}.{row['member']}", row["offset"] is not None, row["offset"], "")
    for row in document["numbers"]:
        _write(writer, row["kind"], row["number"], row["known"], row["counted_as"], row["why_not"])
    for row in document["patch"] or []:
        _write(writer, "patch", row["name"], "", row["what"], ", ".join(row["needed_by"]))
    for row in document["invariants"]:
        _write(writer, "invariant", row["invariant"], row["watched"], "", row["why_not"])


def _write(writer: Any, *cells: Any) -> None:
    writer.writerow([lines.csv_safe("" if cell is None else cell) for cell in cells])


def _table(document: dict[str, Any], found: Outlook) -> None:
    kernel = document["kernel"]
    print(f"{'kernel':27}{text.printable(kernel['file'])}")
    print(f"{'profile':27}{text.printable(kernel['profile'])}")
    print(f"{'savings rule':27}{text.printable(kernel['savings_rule'])}")
    names = "its symbol table" if kernel["symbols"] else "its types alone (--symbols FILE gives a symbol table)"
    print(f"{'functions by':27}{names}")
    for why in found.closed.values():
        print(f"{'':27}{text.printable(why)}")
    rows = [
        [point["point"], point["tier"] or "none", "yes" if point["required"] else "-", point["about"]]
        for point in document["points"]
    ]
    print("\n" + report_table.table(rows, ["PROBE POINT", "TIER", "REQUIRED", "WHAT IT SEES"], left=3))
    for why, points in doctor.reasons(document["points"], kernel["has_lazy_anon_vmas"]).items():
        print(f"\n{text.printable(why)}\n    ({text.printable(', '.join(points))})")
    _print_nulls(document["numbers"])
    rows = [
        [row["invariant"], doctor.watched(row), row["statement"] + (f" (not: {row['why_not']})" if row["why_not"] else "")]
        for row in document["invariants"]
    ]  # fmt: skip
    print("\n" + report_table.table(rows, ["INVARIANT", "WATCHED", "WHAT MUST HOLD"], left=3))
    _print_fields(document["fields"])
    doctor.print_design(document["design"])
    if document["patch"] is not None:
        _print_patch(document["patch"])
    if document["lost"]:
        print(f"\nwould not attach there: {text.printable(', '.join(document['lost']))}")


def _print_nulls(numbers: list[dict[str, Any]]) -> None:
    by_reason: dict[str, list[str]] = {}
    for row in numbers:
        if row["why_not"]:
            by_reason.setdefault(row["why_not"], []).append(row["number"])
    for why, names in by_reason.items():
        print(f"\nnull: {text.printable(why)}\n    ({text.printable(', '.join(names))})")


def _print_fields(fields: list[dict[str, Any]]) -> None:
    """A line a struct: its members with their offsets; one that is not there has a minus."""
    by_struct: dict[str, list[str]] = {}
    for row in fields:
        there = row["offset"] is not None
        if there or row["required"]:
            at = row["offset"] if there else "-"
            by_struct.setdefault(row["struct"], []).append(f"{row['member']} {at}")
    rows = [[struct, ", ".join(members)] for struct, members in by_struct.items()]
    print("\n" + report_table.table(rows, ["STRUCT", "MEMBERS THAT PROBES READ, WITH THEIR OFFSETS"], left=2))


def _print_patch(changes: list[dict[str, Any]]) -> None:
    if not changes:
        print("\nthe patch names nothing that the probes use")
        return
    rows = [[row["name"], row["what"], ", ".join(row["needed_by"])] for row in changes]
    print("\n" + report_table.table(rows, ["NAME IN THE PATCH", "WHAT BECOMES OF IT", "NEEDED BY"], left=3))
