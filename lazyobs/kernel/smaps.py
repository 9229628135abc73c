# SPDX-License-Identifier: MIT
"""VMAs of a process from /proc/PID/smaps, against which the census is checked.

smaps shows which VMAs hold anonymous pages now, not which have an anon_vma: a VMA whose pages were all discarded keeps
its anon_vma, and one that inherited it at a fork may hold no page yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAPPING = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ", re.MULTILINE)


@dataclass(frozen=True)
class Mapping:
    """One VMA; ``anonymous`` and ``swap`` are bytes of anonymous pages in memory and in swap."""

    start: int
    end: int
    permissions: str
    anonymous: int
    swap: int


def parse(text: bytes) -> list[Mapping]:
    """Mappings of a /proc/PID/smaps text. ValueError where it is none."""
    heads = list(_MAPPING.finditer(text))
    found = []
    for head, following in zip(heads, [*heads[1:], None]):
        block = text[head.end() : following.start() if following else len(text)]
        found.append(
            Mapping(int(head[1], 16), int(head[2], 16), head[3].decode(), _kb(block, b"Anonymous"), _kb(block, b"Swap"))
        )
    return found


def _kb(block: bytes, field: bytes) -> int:
    at = block.find(b"\n" + field + b":")
    if at < 0:
        return 0
    number = block[at + len(field) + 2 :].partition(b"\n")[0].split(None, 1)[:1]
    if not number:
        raise ValueError(f"{field.decode()} without a number")
    return int(number[0]) * 1024


def read(pid: int, proc_root: str = "/proc") -> list[Mapping]:
    """Mappings of one process. OSError where it has ended or may not be read."""
    with open(f"{proc_root}/{pid}/smaps", "rb") as file:
        return parse(file.read())


def has_anonymous(text: bytes) -> tuple[int, int]:
    """(VMAs, VMAs with anonymous pages in memory or swap) of a smaps text, without building objects. ValueError where it
    is none."""
    vmas = anonymous = 0
    holds = False
    for line in text.split(b"\n"):  # a name may hold any other end of a line
        if line.startswith((b"Anonymous:", b"Swap:")):
            words = line.split(None, 2)
            if len(words) < 2:
                raise ValueError(f"{words[0].decode()} without a number")
            holds = holds or words[1] != b"0"
        elif line.startswith(b"VmFlags:"):
            vmas += 1
            anonymous += holds
            holds = False
    return vmas, anonymous
