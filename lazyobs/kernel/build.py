# SPDX-License-Identifier: MIT
"""Which build of the kernel is running, and where in memory it lies: what a reboot keeps, and what it changes.

Types and symbols belong to the build. KASLR moves the kernel image as a whole (it does not shuffle functions), so the
address of one symbol gives those of all others.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from lazyobs.unix.sha256 import sha256

_ANCHOR = re.compile(rb"^([0-9a-f]+) [tT] _text$", re.MULTILINE)
_CHUNK, _MOST = 1 << 13, 1 << 20


@dataclass(frozen=True)
class Build:
    """``name`` is the same for the same kernel image; ``anchor`` is the address of ``_text`` now.

    Where the kernel hides either, the name is that of the boot and the anchor 0: nothing can be kept for the next boot.
    """

    name: str
    anchor: int

    @classmethod
    def read(cls, proc_root: str = "/proc", sys_root: str = "/sys") -> Build:
        """The running kernel's. /sys/kernel/notes has the linker's build id."""
        notes = _read(os.path.join(sys_root, "kernel/notes"))
        version = _read(os.path.join(proc_root, "version"))
        anchor = _anchor(os.path.join(proc_root, "kallsyms"))
        if b"GNU\0" in notes and anchor:
            return cls("build " + sha256(notes + version).hexdigest(), anchor)
        return cls("boot " + _read(os.path.join(proc_root, "sys/kernel/random/boot_id")).decode("ascii", "replace"), 0)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _anchor(path: str) -> int:
    """Address of ``_text``, which is near the beginning of kallsyms; 0 where it is not, or addresses are hidden."""
    text = b""
    try:
        with open(path, "rb", buffering=0) as file:
            while len(text) < _MOST and (chunk := file.read(_CHUNK)):
                text += chunk
                found = _ANCHOR.search(text, max(0, len(text) - len(chunk) - 64))
                if found:
                    return int(found[1], 16)
    except OSError:
        pass
    return 0
