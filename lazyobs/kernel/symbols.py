# SPDX-License-Identifier: MIT
"""Names of addresses in the running kernel's text, as in ``anon_vma_fork+0x5f``."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right

_TEXT = re.compile(rb"^([0-9a-f]{1,16}) [tTwW] ([^\s\[]+)$", re.MULTILINE)
_BEGINS, _ENDS = b"_stext", b"_etext"


class Symbols:
    """The functions of the kernel itself. Addresses in modules and in BPF programs, which come and go, have no name."""

    def __init__(self, text: bytes) -> None:
        """``text`` is that of /proc/kallsyms."""
        found = sorted((int(one[1], 16), one.start(2)) for one in _TEXT.finditer(text))
        bounds = {text[at : text.find(b"\n", at)]: address for address, at in found}
        self._from, self._to = bounds.get(_BEGINS, 0), bounds.get(_ENDS, 0)
        inside = [(address, at) for address, at in found if self._from <= address <= self._to]
        self._addresses = array("Q", (address for address, _ in inside))
        self._names, self._text = array("Q", (at for _, at in inside)), text

    @classmethod
    def read(cls, path: str = "/proc/kallsyms") -> Symbols:
        """OSError where the kernel has none."""
        with open(path, "rb") as file:
            return cls(file.read())

    @property
    def hidden(self) -> bool:
        """Whether every address was 0: kernel.kptr_restrict, or a capability that is missing."""
        return not self._to

    def name(self, address: int) -> str | None:
        """Function and offset of a return address; None outside of the kernel's own text.

        A call that never returns can be the last instruction of its function. The address after it is then the first
        of the next function, and the call that of the one before.
        """
        if not self._from < address < self._to:
            return None
        at = bisect_right(self._addresses, address - 1) - 1
        name_at = self._names[at]
        name = self._text[name_at : self._text.find(b"\n", name_at)].decode("ascii", "replace")
        return f"{name}+{address - self._addresses[at]:#x}"
