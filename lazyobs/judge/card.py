# SPDX-License-Identifier: MIT
"""What a series changes, from the two images alone: structs, functions, and what of lazyobs still works. No boot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lazyobs.bpf import outlook, patch_names
from lazyobs.judge.apply import Applied
from lazyobs.judge.build import Image
from lazyobs.judge.series import Series
from lazyobs.kernel.btf import BtfError
from lazyobs.kernel.btf_whole import Struct, WholeBtf
from lazyobs.unix.small_file import Unusable
from lazyobs.views import against

_WORD = re.compile(r"[A-Za-z_]\w*")
_SYMBOL = re.compile(r"^[0-9a-f]+ ([TtWw]) (\S+)$", re.M)
# What the compiler and the linker make beside a function of that name.
_OF_COMPILER = re.compile(r"^(?:__pfx_|__initcall|__UNIQUE_ID|__SCT__|__SCK__|\.L|__cfi_|__ksym)")
_MOST_NAMED = 200  # structs, functions: a series that changes more is none that people read


def card(series: Series, applied: Applied, base: Image, new: Image) -> dict[str, Any]:
    """The card as a document (judge.schema.json). What an image without types cannot give is null, with the reason in
    ``why_not``."""
    text = series.text()
    found: dict[str, Any] = {
        "files": [{"file": file, "added": added, "removed": removed} for file, (added, removed) in series.files().items()],
        "structs": None, "prototypes": None, "probes": None, "why_not": None,
        "functions": _functions(series, applied, _symbols(base), _symbols(new)),
        "notes": list(new.notes),
    }  # fmt: skip
    try:
        types = _types(base), _types(new)
        found["structs"] = list(_structs(types[0].structs(), types[1].structs(), text))
        prototypes = types[0].prototypes(), types[1].prototypes()
        found["prototypes"] = [
            {"function": name, "before": prototypes[0][name], "after": prototypes[1][name]}
            for name in sorted(prototypes[0].keys() & prototypes[1].keys())
            if prototypes[0][name] != prototypes[1][name]
        ][:_MOST_NAMED]
        _renamed(found["functions"], prototypes, series)
        found["probes"] = _probes(base, new, series)
    except (Unusable, BtfError, OSError) as error:
        found["why_not"] = f"the types of an image cannot be read: {error}"
    return found


def _types(image: Image) -> WholeBtf:
    return WholeBtf((image.folder / "btf").read_bytes())


def _symbols(image: Image) -> dict[str, str]:
    """{function: "T" for a global one, "t" for a static one}; a copy of the compiler's (.isra, .constprop) counts as it."""
    found: dict[str, str] = {}
    for kind, name in _SYMBOL.findall((image.folder / "System.map").read_text("ascii", "replace")):
        if not _OF_COMPILER.match(name):
            found.setdefault(name.partition(".")[0], "T" if kind in "TWw" else "t")
    return found


def _structs(before: Mapping[str, Struct], after: Mapping[str, Struct], text: str) -> Iterator[dict[str, Any]]:
    """Those that differ: first the ones whose own fields do, then those that only hold one of these."""
    rows = []
    words = set(_WORD.findall(text))
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new or (name not in words and (old is None or new is None)):
            continue
        fields = list(_fields(old, new))
        own = old is None or new is None or any(row["what"] in ("added", "removed", "retyped") for row in fields)
        if own or (old and new and old.size != new.size):
            rows.append(
                {
                    "struct": name,
                    "before": old.size if old else None,
                    "after": new.size if new else None,
                    "holes_before": old.holes if old else None,
                    "holes_after": new.holes if new else None,
                    "own": own,
                    "fields": [row for row in fields if row["what"] != "moved"] if own else [],
                }
            )
    yield from sorted(rows, key=lambda row: (not row["own"], row["struct"]))[:_MOST_NAMED]


def _fields(old: Struct | None, new: Struct | None) -> Iterator[dict[str, Any]]:
    first = {field.name: field for field in old.fields if field.name} if old else {}
    second = {field.name: field for field in new.fields if field.name} if new else {}
    for name in dict.fromkeys([*first, *second]):
        was, now = first.get(name), second.get(name)
        if was == now:
            continue
        if was is None or now is None:
            what = "added" if was is None else "removed"
        else:
            what = "retyped" if was.type != now.type else "moved"
        there = now or was
        assert there is not None
        yield {"field": name, "what": what, "type": there.type, "before": was.offset if was else None, "after": now.offset if now else None}  # fmt: skip


def _functions(series: Series, applied: Applied, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    words = set(_WORD.findall(series.text()))
    sources = {path: (content or b"").decode("utf-8", "replace") for path, content in applied.files.items() if path.endswith((".c", ".h"))}  # fmt: skip
    defined = {name for text in sources.values() for name in _defined(text)}
    old_text = "\n".join((applied.originals.get(path) or b"").decode("utf-8", "replace") for path in sources)
    old_defined = set(_defined(old_text))
    added = sorted(after.keys() - before.keys())
    gone = sorted(before.keys() - after.keys())
    return {
        "new": [{"function": name, "static": after[name] == "t"} for name in added if name in words][:_MOST_NAMED],
        "new_inlined": sorted(name for name in defined - old_defined if name not in after and name in words)[:_MOST_NAMED],
        "gone": [name for name in gone if name in words and name not in defined][:_MOST_NAMED],
        "inlined_away": [name for name in gone if name in defined][:_MOST_NAMED],
        "renamed": [],
        # Of other files: the compiler decided anew what to inline.
        "elsewhere": sum(name not in words for name in added) + sum(name not in words and name not in defined for name in gone),
    }  # fmt: skip


_HEAD = re.compile(r"^(?![\s#}/])[\w\s*]*?\b(\w+)\(", re.M)
_BODY = re.compile(r"[\s\w()]{0,200}?\{")
_MARK = re.compile(r"[(){};]")
_MOST_LETTERS = 4000  # of a function's parameters
_DEEPEST = 32  # parentheses in them


def _defined(text: str) -> list[str]:
    """Functions that a C file defines, in the kernel's style: the name at a line's beginning, the brace behind it."""
    return [head[1] for head in _HEAD.finditer(text) if _BODY.match(text, _closed(text, head.end()))]


def _closed(text: str, at: int) -> int:
    """Where the parenthesis that is open at this place has been closed; the text's end where it is not, or not soon."""
    depth = 1
    for mark in _MARK.finditer(text, at, at + _MOST_LETTERS):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
        if mark[0] in ";{}" or depth > _DEEPEST:
            break
    return len(text)


def _renamed(functions: dict[str, Any], prototypes: tuple[dict[str, str], dict[str, str]], series: Series) -> None:
    """Moves pairs from gone and new to renamed: of one prototype, and of lines taken from and added to one file."""
    for old in list(functions["gone"]):
        for row in list(functions["new"]):
            new = row["function"]
            alike = _nameless(prototypes[0].get(old, "0"), old) == _nameless(prototypes[1].get(new, "1"), new)
            if alike and _swapped(series, old, new):
                functions["renamed"].append({"before": old, "after": new})
                functions["gone"].remove(old)
                functions["new"].remove(row)
                break


def _nameless(prototype: str, name: str) -> str:
    return prototype.replace(f"{name}(", "(", 1)


def _swapped(series: Series, old: str, new: str) -> bool:
    for change in (change for patch in series.patches for change in patch.changes):
        for hunk in change.hunks:
            taken, given = b"".join(set(hunk.old) - set(hunk.new)), b"".join(set(hunk.new) - set(hunk.old))
            if old.encode() + b"(" in taken and new.encode() + b"(" in given:
                return True
    return False


def _probes(base: Image, new: Image, series: Series) -> dict[str, Any]:
    """What of lazyobs works on the new kernel that does not on the base, and the other way round."""
    views = [_outlook(image) for image in (base, new)]
    old, now = views
    lazy = now["kernel"]
    return {
        "profile": {"base": old["kernel"]["profile"], "new": lazy["profile"]},
        "lost": now["lost"],
        "points": _changed(old["points"], now["points"], "point", "tier"),
        "fields": [
            {"field": f"{row['struct']}.{row['member']}", "before": before.get((row["struct"], row["member"])), "after": row["offset"]}
            for before in [{(one["struct"], one["member"]): one["offset"] for one in old["fields"]}]
            for row in now["fields"]
            if before.get((row["struct"], row["member"])) != row["offset"]
        ],
        "numbers": _changed(old["numbers"], now["numbers"], "number", "known"),
        "invariants": _changed(old["invariants"], now["invariants"], "invariant", "watched"),
        "design": now["design"],
        "names": [asdict(row) for row in patch_names.changed(series.hunks(), outlook_profile(new))],
    }  # fmt: skip


def _changed(
    old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], name: str, what: str
) -> list[dict[str, Any]]:
    before = {row[name]: row[what] for row in old}
    return [
        {name: row[name], "before": before.get(row[name]), "after": row[what], "why_not": _why(row)}
        for row in new
        if before.get(row[name]) != row[what]
    ]


def _why(row: Mapping[str, Any]) -> str | None:
    if "why_not_better" in row:
        return "; ".join(f"{tier}: {why}" for tier, why in row["why_not_better"].items()) or None
    why: str | None = row.get("why_not")
    return why


def _found(image: Image) -> outlook.Outlook:
    symbols = (image.folder / "System.map").read_bytes()
    if not outlook.symbol_table(symbols).has_any:  # a stub, as Debian's packages have it
        symbols = b""
    return outlook.of((image.folder / "btf").read_bytes(), symbols, "image", None, None)


def outlook_profile(image: Image) -> Any:
    return _found(image).facts.profile


def _outlook(image: Image) -> dict[str, Any]:
    return against.document(Path("image"), _found(image), None)
