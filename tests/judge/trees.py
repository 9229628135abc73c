# SPDX-License-Identifier: MIT
"""A source that builds as a kernel does, in a second: a makefile with the kernel's targets, and one C file."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.judge.mails import TREE, tree

MAKEFILE = (
    TREE["Makefile"]
    + """
tinyconfig olddefconfig:
	@touch $(O)/.config
bzImage:
	mkdir -p $(O)/arch/x86/boot
	$(CC) -c mm/rmap.c -o $(O)/vmlinux
	cp mm/rmap.c $(O)/arch/x86/boot/bzImage
	echo "ffffffff81000000 T anon_vma_fork" > $(O)/System.map
"""
)
# -m -O FOLDER BASE FRAGMENT...
MERGE = 'shift; shift; into=$1; shift; cat "$@" > "$into/.config"\n'
RMAP = "int anon_vma_fork(void)\n{\n\treturn 0;\n}\n"
FILES = {**TREE, "Makefile": MAKEFILE, "mm/rmap.c": RMAP, "scripts/kconfig/merge_config.sh": MERGE}


@contextmanager
def open_folder() -> Iterator[Path]:
    """One that every user can reach: pytest's are closed to others."""
    name = tempfile.mkdtemp(prefix="judge-test-")
    try:
        os.chmod(name, 0o755)
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def kernel(folder: Path) -> Path:
    return tree(folder, FILES)


def running(*words: str) -> list[int]:
    """Processes of exactly this command line."""
    wanted = b"".join(word.encode() + b"\0" for word in words)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == wanted:
                found.append(int(path.parent.name))
    return found
