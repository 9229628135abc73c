# SPDX-License-Identifier: MIT
"""Whether ``top`` keeps within its budget under three loads, and what a floor is where it cannot.

Slab allocations as fast as the CPUs go, a fork bomb bounded to a few hundred processes, and a process with 100,000 VMAs
begin after five samples and end after fourteen seconds. Of each: the most samples over the budget one after the other
while the load ran, what lazyobs took with everything shed, and what empty programs would have taken in its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.held import pss

# Of the machine. What a census of VMAS alone would take more than, and a slab allocator or a fork bomb all of it.
BUDGETS = {"slab": 0.005, "forks": 0.005, "vmas": 0.007}
SAMPLES, FIRST, SECONDS = 21, 5, 14
VMAS = 100_003
_ROOT = Path(__file__).parent.parent
_MAX_MAP_COUNT = Path("/proc/sys/vm/max_map_count")

# slab: opens /dev/null; forks: 50 children, each with three of its own; vmas: so many in one process. For so long.
_STORM = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
static void generation(int width, int more)
{
	for (int left = width; left; left--) {
		if (fork())
			continue;
		if (more)
			generation(3, 0);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}
int main(int argc, char **argv)
{
	time_t end = time(NULL) + atoi(argv[2]);
	long page = sysconf(_SC_PAGESIZE), vmas = atol(argv[3]);
	char *memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* of the bench: what it forks itself ends by itself */
	if (!strcmp(argv[1], "vmas")) {
		memory = mmap(NULL, vmas * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (long at = 1; at < vmas; at += 2)
			if (mprotect(memory + at * page, page, PROT_READ))
				return 1;
	}
	while (time(NULL) < end) {
		if (!strcmp(argv[1], "vmas"))
			usleep(50000);
		else if (!strcmp(argv[1], "forks"))
			generation(50, 1);
		else
			for (int left = 1000; left; left--)
				close(open("/dev/null", O_RDONLY));
	}
	return 0;
}
"""
# {load: processes}
LOADS = {"slab": os.cpu_count() or 1, "forks": 1, "vmas": 1}


def run() -> dict[str, Any]:
    """By load: ``longest_over``, ``own`` and ``floor`` (medians, shares of the machine; the floor is null where it never
    came to that), and ``shed``, points and samples to a census at the end. And ``loader_pss_bytes``. Needs root."""
    found: dict[str, Any] = {"budgets": BUDGETS, "longest_over": {}, "own": {}, "floor": {}, "shed": {}}
    with tempfile.TemporaryDirectory() as folder, _room_for_vmas():
        program = Path(folder, "storm")
        subprocess.run(["gcc", "-O1", "-x", "c", "-o", program, "-"], input=_STORM, text=True, check=True)
        for load in LOADS:
            samples = _samples(program, load)
            under = samples[FIRST + 1 :]
            at_floor = [one for one in under if one["floor_share"] is not None]
            over = [_own(one) > BUDGETS[load] for one in under]
            found["longest_over"][load] = _longest(over)
            found["own"][load] = statistics.median(map(_own, at_floor or under))
            found["floor"][load] = statistics.median(one["floor_share"] for one in at_floor) if at_floor else None
            found["shed"][load] = [under[-1][name] for name in ("points_shed", "census_every")]
    return found | {"loader_pss_bytes": _loader_pss()}


def _own(health: dict[str, Any]) -> float:
    return float(health["own_cpu_share"] or 0) + float(health["bpf_share"] or 0)


def _longest(flags: list[bool]) -> int:
    longest = now = 0
    for flag in flags:
        now = now + 1 if flag else 0
        longest = max(longest, now)
    return longest


def _top(budget: float, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lazyobs", "top", "-b", "-o", "json", "-r", "1", "--no-args", *options]
    return subprocess.Popen(
        [*command, "--budget", f"{budget:%}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=_ROOT
    )


def _samples(program: Path, load: str) -> list[dict[str, Any]]:
    """The health of each sample."""
    found: list[dict[str, Any]] = []
    storms: list[subprocess.Popen[bytes]] = []
    with _top(BUDGETS[load], "-n", str(SAMPLES), "-d", "1") as process:
        assert process.stdout is not None
        for line in process.stdout:
            found.append(json.loads(line)["health"])
            if len(found) == FIRST:
                command = [str(program), load, str(SECONDS), str(VMAS)]
                storms = [subprocess.Popen(command) for _ in range(LOADS[load])]
    if sum(storm.wait() for storm in storms):  # all of them are waited for
        raise RuntimeError(f"the load {load} failed")
    return found[: FIRST + SECONDS]


def _loader_pss() -> int:
    """PSS of the loader that stays."""
    with _top(1.0, "-n", "4", "-d", "1") as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        pid = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        return pss(int(pid))


@contextlib.contextmanager
def _room_for_vmas() -> Iterator[None]:
    """A process may have VMAS, for as long as it lasts."""
    before = _MAX_MAP_COUNT.read_text()
    if int(before) < 2 * VMAS:
        _MAX_MAP_COUNT.write_text(str(2 * VMAS))
    try:
        yield
    finally:
        _MAX_MAP_COUNT.write_text(before)
