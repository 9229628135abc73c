# SPDX-License-Identifier: MIT
"""/proc/meminfo in bytes."""

from __future__ import annotations

import functools
import os
import re

_KIB = 1024
_MOST_DIGITS = 15


@functools.lru_cache(256)
def _key(name: bytes) -> str:
    """A kernel has 50 names, and each is asked for at every reading."""
    return re.sub(r"\W+", "_", name.decode("ascii", "replace")).strip("_")


def parsed(raw: bytes) -> dict[str, int]:
    """{column: value}: ``Slab_bytes`` from "Slab: 412 kB"; the few lines without a unit are counts. Lines that are
    not of that form are left out."""
    found = {}
    for line in raw.splitlines():
        name, _, value = line.partition(b":")
        number, unit = (*value.split(), b"", b"")[:2]
        if not number.isdigit() or len(number) > _MOST_DIGITS or unit not in (b"", b"kB"):
            continue
        key = _key(name)
        if unit:
            found[f"{key}_bytes"] = int(number) * _KIB
        else:
            found[key] = int(number)
    return found


def read(proc_root: str = "/proc") -> dict[str, int]:
    """The file of now; empty where it cannot be read."""
    try:
        with open(os.path.join(proc_root, "meminfo"), "rb") as file:
            return parsed(file.read())
    except OSError:
        return {}
