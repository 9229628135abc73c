# SPDX-License-Identifier: MIT
"""Profiles: a kernel design as data, one TOML file each.

A profile says how to recognise the design (functions, types and struct members that must exist), how a lazy
VMA looks, what laziness saves, and which sysctl switches it. Detection is by presence only, never by
kernel version; the most demanding profile that fits wins, ``mainline`` demands nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.unix.small_file import Unusable, read_toml

BUILT_IN = Path(__file__).parent / "profiles"
LAZY_TESTS = ("none", "tag", "vma_flag")


@dataclass(frozen=True)
class Profile:
    """One design. ``functions``, ``types`` and ``members`` ("struct.member") must all be there for it to fit."""

    name: str
    about: str
    functions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    sysctl: str = ""
    # How a lazy VMA is told: by a tag in the low bits of vma->anon_vma, or by a member of the VMA.
    lazy_test: str = "none"
    lazy_member: str = ""
    # Prefix of the enumerators in BTF that give the tags: their last word is LAZY, PARENT (shared), or another.
    tag_prefix: str = ""
    tag_mask: int = 0
    tag_lazy: int = 0
    tag_shared: int = 0
    # Member of mm_struct that points to the one anon_vma its lazy VMAs share; "" where they have none at all.
    pool_member: str = ""
    # What the lazy prepare returns to the caller who made the VMA lazy; 0 where it does not tell.
    lazy_prepare_made: int = 0
    # {name in the probe table: names this design gives the function}
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    # Enums whose values are asked for: the promotion's reasons.
    enums: tuple[str, ...] = ()

    @property
    def has_lazy(self) -> bool:
        return self.lazy_test != "none"


def load(path: Path) -> Profile:
    """One profile file. UsageError when it cannot be read or does not fit the format."""
    try:
        document = read_toml(path)
    except Unusable as error:
        raise UsageError(f"profile {path}", str(error), "name a TOML file like lazyobs/kernel/profiles/lab.toml") from None  # fmt: skip
    try:
        return _profile(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"profile {path}", f"does not fit the format ({error})", "see lazyobs/kernel/profiles/lab.toml"
        ) from None


def _profile(document: dict[str, Any]) -> Profile:
    known = {"name", "about", "detect", "switch", "vma", "lazy_prepare", "promotion", "aliases"}
    unknown = set(document) - known
    if unknown:
        raise ValueError(f"unknown table {sorted(unknown)[0]!r}")
    detect, vma = document.get("detect", {}), document.get("vma", {})
    lazy_test = vma.get("lazy", "none")
    if lazy_test not in LAZY_TESTS:
        raise ValueError(f"vma.lazy is {lazy_test!r}, not one of {', '.join(LAZY_TESTS)}")
    if (lazy_test == "vma_flag") != ("lazy_member" in vma):
        raise ValueError('vma.lazy_member goes with vma.lazy = "vma_flag"')
    if (lazy_test == "tag") != ("tag_prefix" in vma or "tag_mask" in vma):
        raise ValueError('vma.tag_prefix or vma.tag_mask goes with vma.lazy = "tag"')
    return Profile(
        name=_text(document["name"]),
        about=_text(document["about"]),
        functions=tuple(_text(name) for name in detect.get("functions", ())),
        types=tuple(_text(name) for name in detect.get("types", ())),
        members=tuple(_text(name) for name in detect.get("members", ())),
        sysctl=_text(document.get("switch", {}).get("sysctl", "")),
        lazy_test=lazy_test,
        lazy_member=_text(vma.get("lazy_member", "")),
        tag_prefix=_text(vma.get("tag_prefix", "")),
        tag_mask=int(vma.get("tag_mask", 0)),
        tag_lazy=int(vma.get("tag_lazy", 0)),
        tag_shared=int(vma.get("tag_shared", 0)),
        pool_member=_text(vma.get("pool_member", "")),
        lazy_prepare_made=int(document.get("lazy_prepare", {}).get("made", 0)),
        enums=tuple(_text(name) for name in document.get("promotion", {}).get("reasons", ())),
        aliases={
            _text(name): tuple(_text(other) for other in others) for name, others in document.get("aliases", {}).items()
        },
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or any(ord(letter) < 32 for letter in value):
        raise TypeError(f"{value!r} is not plain text")
    return value


def built_in() -> list[Profile]:
    """The shipped profiles, the most demanding first."""
    profiles = [load(path) for path in sorted(BUILT_IN.glob("*.toml"))]
    return sorted(profiles, key=lambda profile: -len(profile.functions) - len(profile.types) - len(profile.members))
