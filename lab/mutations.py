# SPDX-License-Identifier: MIT
"""``make lab-mutations``: which test notices which mistake of the kernel.

Boots lab-mutant as often as it takes, has it make each mistake of mutations.toml while a test runs, and keeps what
failed in mutations.json. A boot that dies is a result, and the next one goes on. ``python3 -m lab.docs`` writes
docs/kernel-selftests.md from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.unix.fork import die_with_parent

from . import kselftest
from .build import image
from .cache import LAB
from .errors import EMULATOR_FAILED, LabError, reports_errors
from .kernels import kernel, read_toml
from .own_tests import OWN, own_program

TABLE = LAB / "mutations.toml"
KEPT = LAB / "mutations.json"
KERNEL = "lab-mutant"
#: No mistake: what fails then says nothing of a mistake.
NONE = "none"
OURS = "anon_rmap"
BATTERY = "battery"
TESTS = (OURS, BATTERY, *OWN)


@dataclass(frozen=True)
class Mutation:
    """A row of mutations.toml. ``number`` is that of vm.mutation."""

    name: str
    number: int
    what: str
    effect: str
    battery: str
    ours: str
    lazy: bool = False
    unseen: str = ""


def mutations(path: Path = TABLE) -> dict[str, Mutation]:
    """Every mistake by name, in the order of their numbers."""
    rows = read_toml(path).items()
    return {name: Mutation(name, number, **row) for number, (name, row) in enumerate(rows, 1)}


Key = tuple[str, bool, str]


def key_of(run: Mapping[str, Any]) -> Key:
    return run["mutation"], run["lazy"], run["test"]


def kept(path: Path = KEPT) -> dict[str, Any]:
    """{"release", "date", "runs"}: what mutations.json has; no runs where there is none."""
    return json.loads(path.read_text()) if path.exists() else {"release": "", "date": "", "runs": []}


def keep(found: Sequence[Mapping[str, Any]], release: str, path: Path = KEPT) -> None:
    """Adds results, in the place of older ones of the same mistake, switch position and test."""
    runs = {key_of(run): run for run in kept(path)["runs"]}
    runs.update({key_of(run): run for run in found})
    order = [NONE, *mutations()]
    ordered = sorted(runs.values(), key=lambda run: (order.index(run["mutation"]), run["lazy"], run["test"]))
    lines = ",\n".join(f"  {json.dumps(run, sort_keys=True)}" for run in ordered)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    text = f'{{\n "release": {json.dumps(release)},\n "date": "{date}",\n "runs": [\n{lines}\n ]\n}}\n'
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


#: Seconds that a test may take; the programs end sooner by far on a kernel without a mistake.
SECONDS = {OURS: 420, BATTERY: 300, **dict.fromkeys(OWN, 180)}


#: A test waits for its processes by turns, and a wake-up on another emulated CPU is slow.
_ON_ONE_CPU = ("taskset", "1")
#: Its threads are two fewer than there are CPUs; where that is none, it is skipped.
_THREADED = ("migration",)


def full_name(test: str) -> str:
    """Of a test of anon_rmap as mutations.toml names it."""
    return test if test.startswith("large_folio.") else f"anon_rmap.{test}"


def _command(test: str, rows: Sequence[Mutation]) -> list[str]:
    """What comes nearest to these mistakes; the kernel's own tests run whole."""
    if test == BATTERY:
        scenarios = dict.fromkeys(name for row in rows for name in row.battery.split(","))
        return [sys.executable, "-m", "lazyobs", "selftest", "--only", ",".join(scenarios)]
    names = dict.fromkeys(full_name(name) for row in rows for name in row.ours.split()) if test == OURS else []
    prefix = () if test in _THREADED else _ON_ONE_CPU
    return [*prefix, f"/mnt/share/{test}", *(word for name in names for word in ("-r", name))]


def tasks(tests: Sequence[str], names: Sequence[str], positions: Sequence[bool]) -> list[dict[str, Any]]:
    """What the guest is to run: without a mistake first. A mistake in lazy VMAs is tried with them alone."""
    table, found = mutations(), list[dict[str, Any]]()
    for test in tests:
        for lazy in positions:
            for name in (NONE, *names):
                row = table.get(name)
                if row and row.lazy and not lazy:
                    continue
                found.append(
                    {
                        "mutation": name,
                        "number": row.number if row else 0,
                        "lazy": lazy,
                        "test": test,
                        "command": _command(test, [row] if row else list(table.values())),
                        "seconds": SECONDS[test] * (1 if row else 3),
                    }
                )
    return found


#: What a guest is given, unless it is to be another.
MACHINE = ("--kernel", KERNEL, "--memory", "3072", "--cpus", "4")


class Spoilt(Exception):
    """The emulator, not the kernel, is what ended a boot."""


def said_by(
    waiting: Sequence[Mapping[str, Any]], share: Path, machine: Sequence[str] = MACHINE
) -> Iterator[dict[str, Any]]:
    """What one boot says, as it says it. Raises Spoilt."""
    (share / "tasks.json").write_text(json.dumps(waiting))
    command = ["lab/run", *machine, "--timeout", "36000", "--share", str(share)]
    command += ["--env", "LAZYOBS_LOADER_SECONDS=300", "--env", f"PYTHONPATH={LAB.parent}"]
    command += ["--", "python3", "lab/guest/mutation.py", "/mnt/share/tasks.json"]
    guest = subprocess.Popen(command, cwd=LAB.parent, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    assert guest.stdout is not None
    try:
        for line in guest.stdout:
            yield json.loads(line)
        if guest.wait() == EMULATOR_FAILED:
            raise Spoilt
    finally:
        guest.terminate()
        guest.wait()


def boot(waiting: list[dict[str, Any]], share: Path) -> Iterator[dict[str, Any]]:
    """The results of one boot, removed from ``waiting``; the one in which it died is "kernel". What the emulator spoilt still waits."""
    begun: dict[str, Any] | None = None
    try:
        for said in said_by(waiting, share):
            if "begins" in said:
                begun = said["begins"]
                continue
            begun = None
            waiting[:] = [task for task in waiting if key_of(task) != key_of(said)]
            yield said
            if said["end"] == "hung":
                return
    except Spoilt:
        return
    if begun:
        died = begun
        waiting[:] = [task for task in waiting if key_of(task) != key_of(died)]
        nothing = {"passed": 0, "skipped": 0, "failed": [], "status": None, "seconds": None}
        yield {**died, **nothing, "end": "kernel"}


def _release() -> str:
    config = (image(kernel(KERNEL)) / "config").read_text()
    return next((line.split()[2] for line in config.splitlines() if "Kernel Configuration" in line), "unknown")


def put_programs(tests: Sequence[str], share: Path) -> None:
    for test in tests:
        if test != BATTERY:
            path = kselftest.program() if test == OURS else own_program(test)
            (share / test).write_bytes(path.read_bytes())
            (share / test).chmod(0o755)


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m lab.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", help="mistakes of mutations.toml (all)")
    parser.add_argument("--test", action="append", choices=TESTS, help="only these tests")
    parser.add_argument("--lazy", choices=("on", "off"), help="only with vm.anon_vma_lazy on, or off")
    parser.add_argument("--missing", action="store_true", help="only what mutations.json has no result of")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(mutations())
    if unknown:
        raise LabError(f"no mistake named {', '.join(sorted(unknown))} in {TABLE.name}")
    positions = [options.lazy == "on"] if options.lazy else [False, True]
    tests = options.test or list(TESTS)
    waiting = tasks(tests, options.names or list(mutations()), positions)
    if options.missing:
        done = {key_of(run) for run in kept()["runs"]}
        waiting = [task for task in waiting if key_of(task) not in done]
    release = _release()
    with tempfile.TemporaryDirectory() as folder:
        share = Path(folder)
        put_programs(tests, share)
        while waiting:
            left = len(waiting)
            for result in boot(waiting, share):
                keep([result], release)
                words = f"{result['mutation']} {'lazy' if result['lazy'] else 'eager'} {result['test']}"
                failed = f"{len(result['failed'])} failed, {result['end']}, {result['seconds']} s"
                print(f"mutations: {words}: {failed}; {len(waiting)} left", file=sys.stderr, flush=True)
            if len(waiting) == left:
                raise LabError(f"{KERNEL} ended before the first test; its console log is in the cache")
    return 0


if __name__ == "__main__":
    sys.exit(main())
