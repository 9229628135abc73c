# SPDX-License-Identifier: MIT
"""Addresses of kernel functions, from /proc/kallsyms.

The file is sorted by address for the kernel image, so a function ends where the next symbol with a
higher address begins. Compilers split functions: ``name.cold`` holds the unlikely part, and
``name.constprop.0``, ``name.isra.0``, ``name.part.0`` are copies whose arguments are not the source's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazyobs.kernel.any_of import any_of

# Suffixes that compilers append; what follows the first dot decides.
_SUFFIX = re.compile(rb"\.(cold|constprop|isra|part|llvm|lto_priv)\b")


_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,16}")


class Symbol(NamedTuple):
    """A function part in kernel text: [start, end)."""

    name: str
    start: int
    end: int

    @property
    def is_cold(self) -> bool:
        return self.name.endswith(".cold")

    @property
    def keeps_arguments(self) -> bool:
        """False for compiler-made copies, whose arguments may have been dropped or reordered."""
        return "." not in self.name


def _address(word: bytes) -> int | None:
    """None where the line does not begin with an address."""
    return int(word, 16) if _HEXADECIMAL.fullmatch(word) else None


class Kallsyms:
    """Symbols of the wanted functions: {name: [Symbol, ...]}, compiler-made parts under the plain name.

    ``alike``: names of the kernel's functions that contain one of ``fragments``.
    """

    def __init__(self, text: bytes, names: Iterable[str], fragments: Iterable[str] = ()) -> None:
        self._symbols: dict[str, list[Symbol]] = {}
        self.hidden = False  # kptr_restrict or a missing capability made every address 0
        # Anchored at the type: from the start of the line, the address of every line would be matched first.
        pattern = re.compile(rb" [tTwW] (" + any_of(names) + rb")(\.[^\s\[]+)?\n")
        for match in pattern.finditer(text):
            start = _address(text[text.rfind(b"\n", 0, match.start()) + 1 : match.start()])
            if start is None:
                continue
            if start == 0:
                self.hidden = True
                continue
            suffix = match[2] or b""
            if suffix and not _SUFFIX.match(suffix):
                continue
            plain = match[1].decode()
            symbol = Symbol(
                plain + suffix.decode("ascii", "replace"), start, self._end_of(text, match.end() - 1, start)
            )
            self._symbols.setdefault(plain, []).append(symbol)
        self.alike = {name for fragment in fragments for name in self._alike(text, fragment.encode())}

    @classmethod
    def read(cls, names: Iterable[str], path: str = "/proc/kallsyms", fragments: Iterable[str] = ()) -> Kallsyms:
        """Reads the running kernel's symbols. OSError where there are none (CONFIG_KALLSYMS=n)."""
        with open(path, "rb") as file:
            return cls(file.read(), names, fragments)

    @staticmethod
    def _alike(text: bytes, fragment: bytes) -> Iterator[str]:
        at = text.find(fragment)
        while at >= 0:
            end = text.find(b"\n", at)
            words = text[text.rfind(b"\n", 0, at) + 1 : end].split()
            if len(words) == 3 and words[1] in (b"t", b"T", b"w", b"W"):  # a fourth word is a module's name
                yield words[2].split(b".", 1)[0].decode()
            at = text.find(fragment, end)

    @staticmethod
    def _end_of(text: bytes, position: int, start: int) -> int:
        # Aliases share the address: go on to the first symbol that lies higher.
        while True:
            position = text.find(b"\n", position) + 1
            if position == 0 or position >= len(text):
                return start + 1
            address = _address(text[position : text.find(b" ", position)])
            if address is None:
                return start + 1
            if address > start:
                return address
            if address < start:
                return start + 1

    @property
    def has_any(self) -> bool:
        """Whether a single one of the wanted functions was found."""
        return bool(self._symbols)

    def parts(self, name: str) -> list[Symbol]:
        """Every part of the function, the plain one first."""
        return sorted(self._symbols.get(name, []), key=lambda symbol: (symbol.name != name, symbol.name))

    def plain(self, name: str) -> list[Symbol]:
        """Symbols with exactly this name: more than one when static functions share it."""
        return [symbol for symbol in self.parts(name) if symbol.name == name]
