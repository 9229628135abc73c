# SPDX-License-Identifier: MIT
"""A program of the user's own that runs in the guests as a further workload (--workload).

Its bytes are part of what a judgement is of: they are kept in its folder, and a judgement goes on with those.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.judge import programs
from lazyobs.text import printable

KEPT = "workload"  # its name in the folder of a judgement
MOST_BYTES = 1 << 20
_BEGINS = (b"#!", b"\x7fELF")


@dataclass(frozen=True)
class Script:
    """``name``: that the user knows it by."""

    name: str
    content: bytes = field(repr=False)

    def about(self) -> dict[str, Any]:
        """What judge.json and the letter keep of it."""
        return {"name": self.name, "bytes": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest()}

    def put(self, share: Path) -> str:
        """Its name in the folder of the guests' programs, where it is from now on."""
        name = f"script-{self.about()['sha256'][:16]}"
        programs.put(share / name, self.content)
        return name


def read(path: Path) -> Script:
    """The program in that file. UsageError where a guest could not run it. No link is followed: the folder of a
    judgement that goes on is the builder's, too."""
    shown = f"--workload {printable(str(path))}"
    after = "name a script or a static program"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise UsageError(shown, "is a symbolic link", "name the program itself") from None
        raise UsageError(shown, f"cannot be read ({getattr(error, 'strerror', error)})", after) from None
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise UsageError(shown, "is no regular file", after)
        if not state.st_mode & 0o111:
            raise UsageError(shown, "is not executable", f"chmod +x {printable(str(path))}")
        with open(fd, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    finally:
        os.close(fd)
    if len(content) > MOST_BYTES:
        raise UsageError(shown, f"has more than {MOST_BYTES >> 20} MiB", "let a script run what is larger: the guest has this machine's files")  # fmt: skip
    if not content.startswith(_BEGINS):
        raise UsageError(shown, "begins neither with #! nor as a program does", "write the interpreter into its first line: #!/bin/sh")  # fmt: skip
    return Script(printable(path.name), content)
