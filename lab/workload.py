# SPDX-License-Identifier: MIT
"""The workload that ``lazyobs judge`` measures, compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .cache import LAB, content_hash, made_once, root
from .errors import LabError

SOURCES = tuple(LAB / "guest" / name for name in ("workload.c", "family.c", "workload.h"))


def program() -> Path:
    """The compiled program."""

    def make(folder: Path) -> None:
        code = [str(path) for path in SOURCES if path.suffix == ".c"]
        command = ["gcc", "-O2", "-Wall", "-static", "-o", str(folder / "workload"), *code]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise LabError("cannot compile the workload; gcc and libc6-dev are needed", result.stdout)

    return made_once(root() / "workload" / content_hash(SOURCES), make) / "workload"
