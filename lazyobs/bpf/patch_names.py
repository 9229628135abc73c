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
_HEAD = re.compile(r"(?![\s#}])(?!(?:return|if|for|while|switch|else|EXPORT_\w+|MODULE_\w+)\b)[\w\s*]*?\b(\w+)\s*\(")
_EVENT = re.compile(r"(?:(?:TRACE_EVENT|DECLARE_EVENT_CLASS)\w*\(|DEFINE_EVENT\w*\(\s*\w+,)\s*(\w+)")
_TYPE = re.compile(r"(?:typedef )?(struct|enum) (\w+)\s*(?:\{|$)")
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)\s*")
_COMMENT = re.compile(r"^\s*\*(?:[\s/].*)?$|/\*.*?(?:\*/|$)|//.*")
# Of a member that points to a function, and of what is declared in a line of a struct.
_POINTER = re.compile(r"\(\s*\*\s*(\w+)\s*\)")
_PARAMETERS = re.compile(r"\([^()]*\)")
_DECLARED = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*|:\s*\d+\s*)*[;,]")
_LANGUAGE = (".c", ".h", ".S")
# What becomes of a name: REMOVED, ALTERED and INSIDE ask for a look at what depends on it.
REMOVED, ALTERED, INSIDE, USED = "removed", "altered", "changed inside", "used"
#: Of each hunk the file, what follows its second @@, and its lines as (" ", "-" or "+", line).
Hunks = Iterable[tuple[str, str, Sequence[tuple[str, str]]]]
WHAT = (REMOVED, ALTERED, INSIDE, USED)
# Letters of a line in which a declaration is looked for, by patterns that take time by the square of them. Words are read
# to the line's end.
_MOST_LETTERS = 1000
_DISTINCT = 8  # letters; a shorter member ("id", "mm") is a word of anything


@dataclass(frozen=True)
class ChangedName:
    """``what``: "removed" (its definition or prototype goes, and none comes), "altered" (comes in another form),
    "changed inside" (lines of the function change) or "used" (lines that name it change). ``needed_by``: points."""

    name: str
    what: str
    needed_by: tuple[str, ...]


def changed(hunks: Hunks, profile: Profile) -> list[ChangedName]:
    """The names of the probe table and of the profile that the patch concerns, the gravest first. A member of a struct is
    "anon_vma.rwsem" where its declaration changes; comments and what is no C are left out."""
    known = _known(profile)
    found: dict[str, str] = {}
    removed: set[str] = set()
    added: set[str] = set()
    for sign, code, defined, place in _lines(hunks):
        kind, _, inside = place.rpartition(" ")
        own = {defined} - {""}
        if kind == "struct":
            own |= {f"{inside}.{name}" for name in _declared(code)}
        (removed if sign == "-" else added).update(own & known.keys())
        if inside in known and not defined:
            _note(found, inside, INSIDE)
        members = {name.partition(".")[2] for name in own & known.keys()}
        for word in _WORD.findall(code):
            if word in known and word not in own and word not in members:
                _note(found, word, USED)
    for name in removed:
        _note(found, name, ALTERED if name in added else REMOVED)
    for name in added - removed:
        _note(found, name, ALTERED)
    rows = [ChangedName(name, what, known[name]) for name, what in found.items()]
    return sorted(rows, key=lambda row: (WHAT.index(row.what), row.name))


def _defined(code: str) -> str:
    """The function or tracepoint whose head this is."""
    head = _EVENT.match(code) or _HEAD.match(_ATTRIBUTE.sub("", code[:_MOST_LETTERS]))
    return head[1] if head else ""


def _declared(code: str) -> list[str]:
    """The members of a struct in this line of it."""
    code = _POINTER.sub(r" \1 ", code[:_MOST_LETTERS])
    while (less := _PARAMETERS.sub(" ", code)) != code:
        code = less
    # Parameters that go on in the next line, or have begun in the one before.
    before, opened, _ = code.rpartition(")")[2].partition("(")
    return _DECLARED.findall(before + (";" if opened else ""))


def _note(found: dict[str, str], name: str, what: str) -> None:
    if name not in found or WHAT.index(what) < WHAT.index(found[name]):
        found[name] = what


def _lines(hunks: Hunks) -> Iterator[tuple[str, str, str, str]]:
    """("+" or "-", the line without comments, whose head it is, what it is in: a function, "struct NAME" or "enum NAME")
    of each changed line of C."""
    for file, head, rows in hunks:
        if not file.endswith(_LANGUAGE):
            continue
        place = ""
        for sign, line in ((" ", head.strip()), *rows):
            code = _COMMENT.sub("", line).rstrip()
            defined = _defined(code)
            if sign != " ":
                yield sign, code, defined, place
            if found := _TYPE.match(code):
                place = f"{found[1]} {found[2]}"
            elif defined or code.startswith(("}", ")")):
                place = defined


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
        note((f"{struct}.{name}" for name in members), "types")
    return {name: tuple(dict.fromkeys(points)) for name, points in needed.items()}
