# SPDX-License-Identifier: MIT
"""CPU time of fork, mmap+touch and fault loops with everything attached, beside nothing attached.

The same rounds run with empty programs on the same tracepoints: the cost of the call, which is the minimum for any
tool at this tier. Our own cost is the difference. The programs are loaded once and attached again for each short turn,
so that the turns of all three are close in time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.live import live_source
from bench.pairs import beside
from bench.program_time import empty_programs
from lazyobs.bpf import abi
from lazyobs.bpf.points import ITERATOR, POINTS
from lazyobs.bpf.session import Session

_LOOPS = {
    "fork": "for (int i = 0; i < 211; i++) { pid_t p = fork(); if (!p) _exit(0); waitpid(p, 0, 0); }",
    "mmap_touch": "for (int i = 0; i < 10007; i++) { char *p = mmap(0, 4096, 3, 34, -1, 0); *p = 1; munmap(p, 4096); }",
    "fault": (
        "for (int i = 0; i < 5; i++) { char *p = mmap(0, 8192 * 4096l, 3, 34, -1, 0); madvise(p, 8192 * 4096l, 15);"
        " for (long j = 0; j < 8192; j++) p[j * 4096] = 1; munmap(p, 8192 * 4096l); }"
    ),
}
_ITERATORS = {fixed.target for point in POINTS for fixed in point.fixed if fixed.kind == ITERATOR}
# CPU time of the process and its children in microseconds, for the loop alone.
_PROGRAM = """#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
static long cpu(void)
{
	long sum = 0;
	for (int who = -1; who <= 0; who++) {
		struct rusage used;
		getrusage(who, &used);
		sum += (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
	}
	return sum;
}
int main(void) { long begin = cpu(); %s printf("%%ld\\n", cpu() - begin); return 0; }
"""


def _cpu(program: Path) -> float:
    return int(subprocess.run([program], check=True, capture_output=True).stdout) / 1e6


@contextlib.contextmanager
def _attached(session: Session) -> Iterator[None]:
    """Attaches the session's programs for the duration of the context. RuntimeError for kprobes, which stay attached."""
    links = []
    try:
        for name, program in session.programs.items():
            kind, target = name.split("_")[0], name.split(":")[1]
            if kind in ("kprobe", "kretprobe"):
                raise RuntimeError("this benchmark is for kernels without kprobes, or with fentry")
            if target not in _ITERATORS:  # runs when it is read, not in the loops
                links.append(abi.raw_tracepoint_open(program, "" if kind in ("fentry", "fexit") else target))
        yield
    finally:
        for link in links:
            os.close(link)


def run(rounds: int = 51) -> dict[str, object]:
    """{loop: {"everything": .., "empty_programs": ..}}, each beside the loop alone; CPU seconds."""
    found: dict[str, object] = {}
    source = live_source()
    session = source.session
    for link in session.links.values():
        os.close(link)
    session.links.clear()
    with tempfile.TemporaryDirectory() as folder:
        for name, loop in _LOOPS.items():
            text = Path(folder, f"{name}.c")
            text.write_text(_PROGRAM % loop)
            program = Path(folder, name)
            subprocess.run(["gcc", "-O1", "-o", program, text], check=True)

            def alone(program: Path = program) -> float:
                return _cpu(program)

            def everything(program: Path = program) -> float:
                with _attached(session):
                    return _cpu(program)

            def empty(program: Path = program) -> float:
                with empty_programs():
                    return _cpu(program)

            found[name] = beside(alone, {"everything": everything, "empty_programs": empty}, rounds)
    source.close()
    return found
