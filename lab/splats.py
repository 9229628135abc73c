# SPDX-License-Identifier: MIT
"""Signs of a kernel fault in a console log."""

from __future__ import annotations

import re

from lazyobs.kernel.log import kind_of

_STAMP = re.compile(r"(?:<\d+>)?(?:\[\s*\d+\.\d+\]\s*)?(?:\[\s*[TC]\d+\]\s*)?")
# On a real machine memory does fail. Here the failure is injected, and the kernel has to recover from it.
_NOT_RECOVERED = re.compile(r"Memory failure: .*: recovery action for .* page: Failed")
_DEADLY = ("panic", "Oops")
_BREAKPOINT = re.compile(r"Oops: int3:")
_BEFORE_RIP = re.compile(r"Code: .*?\b([0-9a-f]{2}) <[0-9a-f]{2}>")


def _lines(log: str) -> list[str]:
    return [line[_STAMP.match(line).end() :].strip() for line in log.splitlines()]  # type: ignore[union-attr]


def splats(log: str) -> list[str]:
    """The head line of every splat in a console log, in order."""
    return [line for line in _lines(log) if kind_of(line) or _NOT_RECOVERED.match(line)]


def fatal(log: str) -> str:
    """The last line that says why the kernel died; "" where none does."""
    lines = [line for line in _lines(log) if kind_of(line) in _DEADLY or line.startswith("kernel BUG at ")]
    return lines[-1] if lines else ""


def is_stale_breakpoint(log: str) -> bool:
    """Whether the kernel died of a breakpoint that its memory no longer held.

    A kernel changes its own code by way of an int3. QEMU translates code, for each CPU in a thread, and discards a
    translation just before the write that makes it stale: a CPU that translates the same code in between keeps the int3
    for ever. No kernel does that on a CPU that reads its memory.
    """
    lines = _lines(log)
    for number, line in enumerate(lines):
        if _BREAKPOINT.match(line):
            code = next((found for one in lines[number:] if (found := _BEFORE_RIP.match(one))), None)
            return code is not None and code[1] != "cc"
    return False
