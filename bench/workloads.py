# SPDX-License-Identifier: MIT
"""CPU time of fork, mmap+touch and fault loops with everything attached, beside nothing attached.

In the same rounds with empty programs on the same tracepoints: what being called costs, and no tool at
this tier can go below. What is ours is the difference.
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
from pathlib import Path

from bench.pairs import beside
from bench.program_time import empty_programs
from lazyobs.sources.opening import open_live

_LOOPS = {
    "fork": ("for (int i = 0; i < 1009; i++) { pid_t p = fork(); if (!p) _exit(0); waitpid(p, 0, 0); }"),
    "mmap_touch": (
        "for (int i = 0; i < 100003; i++) { char *p = mmap(0, 4096, 3, 34, -1, 0); *p = 1; munmap(p, 4096); }"
    ),
    "fault": (
        "for (int i = 0; i < 23; i++) { char *p = mmap(0, 8192 * 4096l, 3, 34, -1, 0); madvise(p, 8192 * 4096l, 15);"
        " for (long j = 0; j < 8192; j++) p[j * 4096] = 1; munmap(p, 8192 * 4096l); }"
    ),
}
_HEAD = "#include <sys/mman.h>\n#include <sys/wait.h>\n#include <unistd.h>\nint main(void) { "


def _cpu(program: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _observed(program: Path) -> float:
    source = open_live(keep_root=True).source
    try:
        return _cpu(program)
    finally:
        source.close()


def _under_empty_programs(program: Path) -> float:
    with empty_programs():
        return _cpu(program)


def run(rounds: int = 23) -> dict[str, object]:
    """{loop: {"everything": .., "empty_programs": ..}}, each beside the loop alone; CPU seconds."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, loop in _LOOPS.items():
            source = Path(folder, f"{name}.c")
            source.write_text(_HEAD + loop + " return 0; }\n")
            program = Path(folder, name)
            subprocess.run(["gcc", "-O1", "-o", program, source], check=True)

            def alone(program: Path = program) -> float:
                return _cpu(program)

            def everything(program: Path = program) -> float:
                return _observed(program)

            def empty(program: Path = program) -> float:
                return _under_empty_programs(program)

            found[name] = beside(alone, {"everything": everything, "empty_programs": empty}, rounds)
    return found
