# SPDX-License-Identifier: MIT
"""Profiles: a kernel design as data, one TOML file each. docs/profiles.md explains how to write one.

    name, about              shown to people
    [detect]                 what the kernel must have for the profile to fit
      functions              names in kallsyms
      types                  structs, unions, enums or typedefs in BTF
      members                "struct.member" in BTF
    [switch]
      sysctl                 the sysctl that switches laziness: "vm.anon_vma_lazy"
    [vma]                    how a lazy VMA is recognised
      lazy                   "none" (no lazy VMAs), "tag" (low bits of vma->anon_vma) or "vma_flag" (a member of the VMA)
      lazy_member            of vm_area_struct, not 0 in a lazy VMA           lazy = "vma_flag"
      tag_prefix             of the enumerators in BTF that are the tags      lazy = "tag"
      tag_mask, tag_lazy, tag_shared    or the tags as numbers                lazy = "tag"
      pool_member            of mm_struct: the anon_vma that an mm's lazy VMAs share; none where they have no anon_vma
      pool_live_member       of struct anon_vma, not 0 in such a one as long as its mm lives
    [lazy_prepare]
      function               marks a VMA lazy on its first anonymous fault
      made                   what it returns where it made the VMA lazy; left out where it does not say so
    [promotion]
      function               makes a lazy VMA regular
      reasons                enums of its parameter "reason"
      ksm                    false: the first page that KSM merges in a lazy VMA does not promote it; else it does
    [clones]                 enumerators of what anon_vma_clone() is called for, where their words do not say it
      fork, split, merge, mremap
    [sites]                  other functions that allocate or free anon_vmas and chains, by what an object of theirs is
      prepare                a chain made is a VMA prepared; one freed: another thread was first
      clone                  a chain made is a clone for a fork, split, merge or mremap (no anon_vmas here)
      promotion              a chain made is a promotion's; one freed: another thread was first
      counted                an object allocated or freed, no more
    [savings]                what the design would save of regular VMAs (sources/savings.py)
      files                  private file mappings: "lazy", "chain" (they keep a chain, and no anon_vma of their own),
                             "regular", or "either": lazy or regular
      copies                 what a split, merge or mremap makes of a lazy VMA: "lazy", "promoted" or "either"
      children               VMAs that a fork copied: "regular", or "either": perhaps no objects of their own
    [aliases]                {name in the probe table, or in this file: the names this design gives the function}

Detection is by presence only, never by kernel version; the most demanding profile that fits wins, ``mainline``
demands nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazyobs import text
from lazyobs.errors import UsageError
from lazyobs.unix.small_file import Unusable, read_toml

BUILT_IN = Path(__file__).parent / "profiles"
# Name of what is left of a profile on a kernel whose lazy design it does not describe (signs.py).
UNKNOWN = "unknown"
LAZY_TESTS = ("none", "tag", "vma_flag")
#: Why a kernel of a design without them shows no number of them.
NO_LAZY = "this kernel has no lazy anon_vmas"

# Functions that a design adds, by the key with which a profile states them. The tables of probes name them so.
LAZY_PREPARE, PROMOTION = "lazy_prepare.function", "promotion.function"
SITES_PREPARE, SITES_CLONE = "sites.prepare", "sites.clone"
SITES_PROMOTION, SITES_COUNTED = "sites.promotion", "sites.counted"
STATED = (LAZY_PREPARE, PROMOTION, SITES_PREPARE, SITES_CLONE, SITES_PROMOTION, SITES_COUNTED)

# Each name is looked for in kallsyms and BTF: 4 ms for one. The probe table has fewer than 100 functions.
MOST_NAMES = 500
_MOST_LETTERS = {"name": 64, "about": 1000}
_MOST_LETTERS_OF_A_NAME = 255
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SYSCTL = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")


@dataclass(frozen=True)
class Profile:
    """One design; the head of this module explains the fields by their names in a file."""

    name: str
    about: str
    functions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    sysctl: str = ""
    lazy_test: str = "none"
    lazy_member: str = ""
    tag_prefix: str = ""
    tag_mask: int = 0
    tag_lazy: int = 0
    tag_shared: int = 0
    pool_member: str = ""
    # Member of struct anon_vma that is not 0 in a pool whose mm lives: it is counted with the mm, not with its chains.
    pool_live_member: str = ""
    lazy_prepare_made: int = 0
    enums: tuple[str, ...] = ()  # promotion.reasons
    ksm_promotes: bool = True
    # What is not stated can be either.
    saves_files: str = "either"
    saves_copies: str = "either"
    saves_children: str = "either"
    says_none: bool = False  # the file says that the design has no lazy VMAs
    # Why what depends on the design is null: the kernel shows signs of one that the profile does not describe.
    unknown_design: str = ""
    stated: dict[str, tuple[str, ...]] = field(default_factory=dict)  # {key of STATED: functions}
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clones: dict[str, tuple[str, ...]] = field(default_factory=dict)  # {cause: enumerators}

    @property
    def has_lazy(self) -> bool:
        return self.lazy_test != "none"

    @property
    def savings_rule(self) -> str:
        """[savings] in a line; "" where the design is not known."""
        if self.unknown_design:
            return ""
        return f"files {self.saves_files}, copies {self.saves_copies}, children {self.saves_children}"

    def names(self, function: str) -> tuple[str, ...]:
        """Names under which to look for ``function``, the first that exists to be taken.

        ``function`` is a name of the probe table, or a key of STATED; () for one that the profile does not state.
        """
        own = self.stated.get(function, ()) if function in STATED else (function,)
        return tuple(name for known_as in own for name in (*self.aliases.get(known_as, ()), known_as))

    def all_names(self) -> Iterator[str]:
        """Every function name that the profile brings along, to be looked for in kallsyms and BTF."""
        yield from self.functions
        for names in (*self.stated.values(), *self.aliases.values()):
            yield from names


def load(path: Path) -> Profile:
    """One profile file. UsageError when it cannot be read or does not fit the format."""
    try:
        document = read_toml(path)
    except Unusable as error:
        raise UsageError(f"profile {path}", str(error), "name a TOML file like lazyobs/kernel/profiles/lab.toml") from None  # fmt: skip
    try:
        return _profile(document)
    except (TypeError, ValueError) as error:
        raise UsageError(f"profile {path}", f"does not fit the format ({error})", "see lazyobs help profiles") from None


def built_in() -> list[Profile]:
    """The shipped profiles, the most demanding first."""
    profiles = [load(path) for path in sorted(BUILT_IN.glob("*.toml"))]
    return sorted(profiles, key=lambda profile: -len(profile.functions) - len(profile.types) - len(profile.members))


def _plain(value: object) -> str:
    if not isinstance(value, str) or text.printable(value) != value:
        raise TypeError(f"{value!r:.80} is not plain text")
    return value


def _matching(pattern: re.Pattern[str], kind: str, empty: bool = False) -> Callable[[object], str]:
    """Reads a name; with ``empty`` also "", which is the same as leaving it out."""

    def read(value: object) -> str:
        if empty and value == "":
            return ""
        if len(_plain(value)) > _MOST_LETTERS_OF_A_NAME or not pattern.fullmatch(str(value)):
            raise ValueError(f"{value!r:.80} is not {kind}")
        return str(value)

    return read


_name = _matching(_NAME, "a name of the kernel")
_member = _matching(_MEMBER, "a member of a struct")
_pool_member = _matching(_MEMBER, "a member of a struct", empty=True)
_sysctl = _matching(_SYSCTL, 'the name of a sysctl, like "vm.anon_vma_lazy"', empty=True)


def _struct_member(value: object) -> str:
    if "." not in _member(value):
        raise ValueError(f'{value!r:.80} is not of the form "struct.member"')
    return str(value)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} is not a list of names")
    return tuple(_name(name) for name in value)


def _struct_members(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} is not a list of members")
    return tuple(_struct_member(name) for name in value)


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r:.80} is not one of {', '.join(words)}")
        return str(value)

    return read


def _integer(lowest: int, highest: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"not a whole number from {lowest} to {highest}")
        return value

    return read


_word = _integer(0, 2**64 - 1)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.80} is neither true nor false")
    return value


# {table: {key: (field of Profile or key of STATED, what reads it)}}
_FORMAT: dict[str, dict[str, tuple[str, Callable[[object], Any]]]] = {
    "detect": {
        "functions": ("functions", _names),
        "types": ("types", _names),
        "members": ("members", _struct_members),
    },
    "switch": {"sysctl": ("sysctl", _sysctl)},
    "vma": {
        "lazy": ("lazy_test", _one_of(*LAZY_TESTS)),
        "lazy_member": ("lazy_member", _member),
        "tag_prefix": ("tag_prefix", _name),
        "tag_mask": ("tag_mask", _word),
        "tag_lazy": ("tag_lazy", _word),
        "tag_shared": ("tag_shared", _word),
        "pool_member": ("pool_member", _pool_member),
        "pool_live_member": ("pool_live_member", _member),
    },
    "lazy_prepare": {
        "function": (LAZY_PREPARE, lambda value: (_name(value),)),
        "made": ("lazy_prepare_made", _integer(-(2**31), 2**31 - 1)),
    },
    "promotion": {
        "function": (PROMOTION, lambda value: (_name(value),)),
        "reasons": ("enums", _names),
        "ksm": ("ksm_promotes", _yes_or_no),
    },
    "savings": {
        "files": ("saves_files", _one_of("lazy", "chain", "regular", "either")),
        "copies": ("saves_copies", _one_of("lazy", "promoted", "either")),
        "children": ("saves_children", _one_of("regular", "either")),
    },
    "sites": {key.removeprefix("sites."): (key, _names) for key in STATED if key.startswith("sites.")},
}
_CLONES = ("fork", "split", "merge", "mremap")
# These functions once stood in the probe table. A file from that time names one to detect the design or as an alias.
_ONCE_IN_THE_TABLE = {LAZY_PREPARE: "vma_prepare_anon_vma_lazy", PROMOTION: "vma_upgrade_anon_vma_lazy"}
_ONCE_A_SITE = {"lazy_anon_vma": "mm_lazy_anon_vma"}  # {pool_member: the function that allocates it}


def _profile(document: dict[str, Any]) -> Profile:
    for table in document:
        if table not in (*_MOST_LETTERS, *_FORMAT, "aliases", "clones"):
            raise ValueError(f"unknown table {table!r:.80}")
    values = {name: _title(document, name) for name in _MOST_LETTERS} | _values(document)
    aliases = {_name(name): _names(others) for name, others in _table(document, "aliases").items()}
    clones = {name: _names(others) for name, others in _table(document, "clones").items()}
    if unknown := clones.keys() - set(_CLONES):
        raise ValueError(f"unknown key {min(unknown)!r:.80} in clones")
    stated = {key: values.pop(key) for key in STATED if key in values}
    for key, function in _ONCE_IN_THE_TABLE.items():
        if function in (*values.get("functions", ()), *aliases):
            stated.setdefault(key, (function,))
    if "sites" not in document and values.get("pool_member") in _ONCE_A_SITE:
        stated[SITES_COUNTED] = (_ONCE_A_SITE[values["pool_member"]],)
    says_none = document.get("vma", {}).get("lazy") == "none"
    profile = Profile(**values, says_none=says_none, stated=stated, aliases=aliases, clones=clones)
    _check_vma(profile)
    if (
        sum(
            map(
                len,
                (set(profile.all_names()), aliases, *clones.values(), profile.types, profile.members, profile.enums),
            )
        )
        > MOST_NAMES
    ):
        raise ValueError(f"more than {MOST_NAMES} names")
    return profile


def _values(document: dict[str, Any]) -> dict[str, Any]:
    """{field of Profile, or key of STATED: value} of the tables of _FORMAT."""
    found = {}
    for table, keys in _FORMAT.items():
        for key, value in _table(document, table).items():
            if key not in keys:
                raise ValueError(f"unknown key {key!r:.80} in {table}")
            target, read = keys[key]
            try:
                found[target] = read(value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{table}.{key}: {error}") from None
    return found


def _title(document: dict[str, Any], name: str) -> str:
    if name not in document:
        raise ValueError(f"no {name!r}")
    if len(_plain(document[name])) > _MOST_LETTERS[name]:
        raise ValueError(f"{name} has more than {_MOST_LETTERS[name]} letters")
    return str(document[name])


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise TypeError(f"{name} is not a table")
    return table


def _check_vma(profile: Profile) -> None:
    if (profile.lazy_test == "vma_flag") != bool(profile.lazy_member):
        raise ValueError('vma.lazy_member goes with vma.lazy = "vma_flag"')
    if (profile.lazy_test == "tag") != bool(profile.tag_prefix or profile.tag_mask):
        raise ValueError('vma.tag_prefix or vma.tag_mask goes with vma.lazy = "tag"')
    if profile.saves_files == "chain" and not profile.pool_member:
        raise ValueError('savings.files = "chain" goes with vma.pool_member')
    for name in ("tag_lazy", "tag_shared"):
        if getattr(profile, name) & ~profile.tag_mask:
            raise ValueError(f"vma.{name} has bits that vma.tag_mask has not")
