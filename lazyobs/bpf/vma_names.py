# SPDX-License-Identifier: MIT
"""What a VMA is of, as the iterator ``census_vmas`` says it, in the words of /proc/PID/maps (proc_pid_maps(5)).

The kernel is asked and not /proc/PID/maps, which the process that reads may not open. Of a file it gives the last part of
the path: a whole one would cost the walk up to the root for each VMA.
"""

from __future__ import annotations

from lazyobs.text import c_string

ANONYMOUS, FILE, HEAP, STACK, NAMED, SPECIAL = "anonymous", "file", "heap", "stack", "named", "special"
_OF = (ANONYMOUS, FILE, HEAP, STACK, NAMED, SPECIAL)

C_VMA_NAMES = "".join(f"#define VMA_OF_{name.upper()} {number}\n" for number, name in enumerate(_OF))


def name(of: int, raw: bytes) -> str:
    """``libc.so.6``, ``[heap]``, ``[stack]``, ``[anon:jemalloc]``; ``[special]`` for the vdso and the like; ``""`` where
    there is none. Not printable: it is the name of a file, or a program's."""
    kind = _OF[of]
    if kind == FILE:
        return c_string(raw)
    if kind == NAMED:
        return f"[anon:{c_string(raw)}]"
    return "" if kind == ANONYMOUS else f"[{kind}]"
