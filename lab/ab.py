# SPDX-License-Identifier: MIT
"""An A/B of the lab kernel's switch, from booting to the verdict: ``python3 -m lab.ab DIRECTORY``.

Boots with vm.anon_vma_lazy off and on alternate (off, on, on, off, ...), so that a change on this machine meanwhile
affects both positions. Each boot does the work of ab_workload.py under ``lazyobs record``, with zram for swap.

The guest's clock counts instructions (-icount): a duration in the report is a number of instructions, 1 ns each. It
does not depend on what else this machine does, and it does not show caches and contention. A boot takes a minute or
two of CPU. With --real-time it takes less, and durations are those of this machine's emulation under its load at the
time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lazyobs.text import percent

_ROOT = Path(__file__).resolve().parent.parent
_KERNEL = "lab-nomerge"  # rows of slabinfo mean what they say
_LAZYOBS = ".venv/bin/lazyobs"
_POSITIONS = {"off": 0, "on": 1}

# Waiting for the host makes the clock of an -icount guest leap to the next timer. A short recording, thrown away, reads
# beforehand what the real one needs.
_GUEST = """
set -e
echo {switch} > /proc/sys/vm/anon_vma_lazy
echo 256M > /sys/block/zram0/disksize
mkswap /dev/zram0 > /dev/null
swapon /dev/zram0
record="{lazyobs} record --interval 2 --barrier 4 --progress none"
$record -o /tmp/warm-up --duration 3
python3 -m lab.ab_workload /tmp/slabinfo.txt /tmp/{name} &
work=$!
$record -o /tmp/{name} --duration {seconds}
kill $work
wait $work
mv /tmp/slabinfo.txt /tmp/{name}/
cp -r /tmp/{name} /mnt/share/
"""


def order(boots: int) -> list[tuple[str, int]]:
    """[(position, number of its boot)]: off, on, on, off, off, on, ..."""
    boots_in_order = []
    for number in range(1, boots + 1):
        pair = ("off", "on") if number % 2 else ("on", "off")
        boots_in_order += [(position, number) for position in pair]
    return boots_in_order


def boot(directory: Path, position: str, number: int, seconds: int, real_time: bool = False) -> None:
    """One boot and its recording, DIRECTORY/POSITION-NUMBER; skipped where the recording exists."""
    name = f"{position}-{number}"
    if (directory / name / "slabinfo.txt").exists():
        return
    script = _GUEST.format(switch=_POSITIONS[position], lazyobs=_LAZYOBS, name=name, seconds=seconds)
    command = ["lab/run", "--kernel", _KERNEL, "--timeout", "3600", "--share", str(directory.resolve())]
    command += ["--again", "2"] if real_time else ["--icount"]
    # A clock that leaps, or a busy machine, would exceed any time-out.
    command += ["--env", "LAZYOBS_LOADER_SECONDS=1000000", "--", "sh", "-c", script]
    print(f"ab: {name}", file=sys.stderr, flush=True)
    subprocess.run(command, cwd=_ROOT, check=True, start_new_session=True)


def slab_bytes(recording: Path) -> dict[str, int]:
    """{cache: bytes of live objects}, from slabinfo as it was during the recording."""
    rows = [line.split() for line in (recording / "slabinfo.txt").read_text().splitlines()]
    return {row[0]: int(row[1]) * int(row[3]) for row in rows}


def second_opinion(directory: Path, boots: int) -> str:
    """A table of means of slabinfo's own numbers, as the workload read them."""
    lines = ["slabinfo, read by the workload in its 11th round, bytes, mean over boots:"]
    recordings = {
        position: [slab_bytes(directory / f"{position}-{number}") for number in range(1, boots + 1)]
        for position in _POSITIONS
    }
    for cache in ("vm_area_struct", "anon_vma_chain", "anon_vma"):
        off, on = (sum(boot[cache] for boot in recordings[position]) / boots for position in ("off", "on"))
        lines.append(
            f"  {cache:15} off {off:10.0f}  on {on:10.0f}  on - off {on - off:+10.0f} ({percent((on - off) / off)})"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.ab", description=__doc__)
    parser.add_argument("directory", type=Path, help="for the recordings; those that exist are not made again")
    parser.add_argument("--boots", type=int, default=5, help="of each switch position (5)")
    parser.add_argument("--seconds", type=int, default=60, help="of each recording, by the guest's clock (60)")
    parser.add_argument("--parallel", type=int, default=1, help="boots at a time (1)")
    parser.add_argument("--real-time", action="store_true", help="a clock that runs with this machine's")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.parallel) as pool:
        run = partial(boot, options.directory, seconds=options.seconds, real_time=options.real_time)
        list(pool.map(lambda one: run(*one), order(options.boots)))
    recordings = {
        position: [str(options.directory / f"{position}-{number}") for number in range(1, options.boots + 1)]
        for position in _POSITIONS
    }
    command = [
        _LAZYOBS,
        "compare",
        "--base",
        *recordings["off"],
        "--new",
        *recordings["on"],
        "--calibrate",
        "--text",
    ]
    print(second_opinion(options.directory, options.boots), flush=True)
    return subprocess.run(
        [*command, "--html", str(options.directory / "report.html")], cwd=_ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
