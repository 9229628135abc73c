# SPDX-License-Identifier: MIT
"""Names of the probe table that a kernel patch changes.

It is read by names alone, not as C: what a patch says of a name is a reason to look, no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lazyobs.bpf import plan, structs, walk_facts
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.sites import SITES
from lazyobs.kernel.profile import Profile

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The head of a function's definition or prototype: the name with its parameters, at the line's beginning.
_HEAD = re.compile(r"(?![\s#}])(?!(?:return|if|for|while|switch|else)\b)[\w\s*]*?\b(\w+)\s*\(")
# What becomes of a name: REMOVED, ALTERED and INSIDE ask for a look at what depends on it.
REMOVED, ALTERED, INSIDE, USED = "removed", "altered", "changed inside", "used"
_STRUCT = re.compile(r"struct (\w+)(?: \{|$)")
#: Of each hunk what follows its second @@, and its lines as (" ", "-" or "+", line).
Hunks = Iterable[tuple[str, Sequence[tuple[str, str]]]]
WHAT = (REMOVED, ALTERED, INSIDE, USED)
_DISTINCT = 8  # letters; a shorter member ("id", "mm") is a word of anything


@dataclass(frozen=True)
class ChangedName:
    """``what``: "removed" (its definition or prototype goes, and none comes), "altered" (comes in another form),
    "changed inside" (lines of the function change) or "used" (lines that name it change). ``needed_by``: points."""

    name: str
    what: str
    needed_by: tuple[str, ...]


def changed(hunks: Hunks, profile: Profile) -> list[ChangedName]:
    """The names of the probe table and of the profile that the patch concerns, the gravest first. A member of a struct
    that is too short to be told from other words is "anon_vma.rwsem"; it is seen where its declaration changes."""
    known = _known(profile)
    found: dict[str, str] = {}
    removed: set[str] = set()
    added: set[str] = set()
    for sign, line, function in _lines(hunks):
        head = _HEAD.match(line)
        defined = head[1] if head else ""
        inside = function.removeprefix("struct ")
        if defined in known:
            (removed if sign == "-" else added).add(defined)
        elif inside in known:
            _note(found, inside, INSIDE)
        for word in _WORD.findall(line):
            if word in known and word != defined:
                _note(found, word, USED)
            elif function.startswith("struct ") and (member := f"{inside}.{word}") in known:
                (removed if sign == "-" else added).add(member)
    for name in removed:
        _note(found, name, ALTERED if name in added else REMOVED)
    for name in added - removed:
        _note(found, name, ALTERED)
    rows = [ChangedName(name, what, known[name]) for name, what in found.items()]
    return sorted(rows, key=lambda row: (WHAT.index(row.what), row.name))


def _note(found: dict[str, str], name: str, what: str) -> None:
    if name not in found or WHAT.index(what) < WHAT.index(found[name]):
        found[name] = what


def _lines(hunks: Hunks) -> Iterator[tuple[str, str, str]]:
    """("+" or "-", the line, the function or "struct NAME" that it is in) of each changed line."""
    for head, rows in hunks:
        place = _place(head.strip(), "")
        for sign, line in rows:
            if sign != " ":
                yield sign, line, place
            place = _place(line, place)


def _place(line: str, before: str) -> str:
    if found := _STRUCT.match(line):
        return f"struct {found[1]}"
    if found := _HEAD.match(line):
        return found[1]
    return "" if line.startswith("}") else before


def _known(profile: Profile) -> dict[str, tuple[str, ...]]:
    """{name: the points that need it}, of functions, structs, their members, enums and tracepoints."""
    needed: dict[str, list[str]] = {}

    def note(names: Iterable[str], point: str) -> None:
        for name in names:
            needed.setdefault(name, []).append(point)

    for point in POINTS:
        for call in point.calls:
            note((name for function in call.functions for name in profile.names(function)), point.name)
        note((fixed.target for fixed in point.fixed), point.name)
    note((name for site in SITES for function in site.functions for name in profile.names(function)), "slab")
    note(
        (name for function in plan.FUNCTIONS for name in profile.names(function) if name not in needed),
        "causes and paths",
    )
    note((*structs.STRUCTS, *walk_facts.ENUMS), "types")
    for struct, wanted in structs.STRUCTS.items():
        members = [member.path.split(".")[0] for member in wanted]
        note((name for name in members if len(name) >= _DISTINCT), "types")
        note((f"{struct}.{name}" for name in members if len(name) < _DISTINCT), "types")
    return {name: tuple(dict.fromkeys(points)) for name, points in needed.items()}
