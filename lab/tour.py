# SPDX-License-Identifier: MIT
"""``make lab-kernels``: what lazyobs does on each kernel and userland of the tables, kept as data with its date.

A tour is one boot: doctor, what the verifier went through, exact counts of known workloads at each tier, with the
programs that come along and with those that BCC compiles there, each command at each tier, record, report, and
scenarios of the selftest (lab/guest/tour.py). The results are ``results.json``, of which ``lab.docs`` makes docs/kernels.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import roots
from .cache import LAB
from .errors import LabError, reports_errors
from .kernels import Kernel, table
from .packages import BOOT_TOOLS, COMPILERS, ensure

RESULTS = LAB / "results.json"
GUEST = LAB / "guest" / "tour.py"
WORKLOADS = [roots.CHECKOUT / f"tests/workloads/{name}.c" for name in ("islands", "generations", "copier")]
#: A scenario or more of each kernel path; all of them take ten minutes in an emulated machine.
SUBSET = "control,fork_and_write,vfork,mprotect_split_and_merge,mremap_move,private_*,swap_out_and_in,thp_fault,ksm_write,move_pages,compaction"
#: The parts of a tour, in the order of guest/tour.py.
PARTS = ("doctor", "programs", "exactness", "compiled", "views", "commands", "recording", "battery")
#: Instructions that the verifier goes through before it gives up (BPF_COMPLEXITY_LIMIT_INSNS). No program may need more
#: than half: the next kernel's verifier may take another way.
VERIFIER_LIMIT = 1_000_000
#: A point whose tier the table states.
_POINT = "anon_vma_fork"


@dataclass(frozen=True)
class Stop:
    """A kernel with a userland; ``root`` "": this machine's files."""

    kernel: Kernel
    root: str

    @property
    def name(self) -> str:
        return f"{self.kernel.name}+{self.root or 'host'}"


def stops(names: Sequence[str] = (), only_ci: bool = False) -> Iterator[Stop]:
    """Every kernel with each userland of its row, in the order of the table.

    For CI: each of CI's kernels with the first one, and each userland once.
    """
    seen: set[str] = set()
    for row in table().values():
        if names and row.name not in names:
            continue
        for root in row.tour:
            first = root == row.tour[0] and row.ci
            new = bool(root) and roots.named(root).ci and row.ci and root not in seen
            if not only_ci or first or new:
                seen.add(root)
                yield Stop(row, root)


def run(stop: Stop, scenarios: str, parts: Sequence[str] = PARTS, timeout: float = 3000) -> dict[str, Any]:
    """What the guest found, by part. LabError where it did not come up or gave no answer."""
    arch = stop.kernel.arch
    ensure(BOOT_TOOLS[arch])
    with tempfile.TemporaryDirectory() as scratch:
        share = Path(scratch)
        share.chmod(0o755)
        for source in WORKLOADS:
            subprocess.run([COMPILERS[arch], "-O2", "-static", "-o", str(share / source.stem), str(source)], check=True)
        command = [
            str(LAB / "run"),
            "--kernel",
            stop.kernel.name,
            "--timeout",
            str(timeout),
            "--share",
            scratch,
            "--again",
            "2",
        ]
        command += ["--memory", "3072", "--env", "LAZYOBS_LOADER_SECONDS=300", "--fail-on-splat"]
        command += ["--root", stop.root] if stop.root else ["--env", f"PYTHONPATH={roots.CHECKOUT}"]
        python = "python3" if stop.root else str(roots.CHECKOUT / ".venv/bin/python")
        command += ["--", python, str(GUEST), ",".join(parts), "/mnt/share/islands", scenarios]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=roots.CHECKOUT)
    found: dict[str, Any] = {}
    for line in answer.stdout.splitlines():
        found.update(json.loads(line))
    if "release" not in found:
        raise LabError(f"no tour of {stop.name}: {_last(answer.stderr)}", answer.stderr[-3000:])
    for part in parts:
        found.setdefault(part, {"error": f"not done: {_last(answer.stderr)}"})
    if answer.returncode:
        found["ended"] = _last(answer.stderr)
    return found


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def complaints(stop: Stop, found: Mapping[str, Any]) -> list[str]:
    """What is not as it must be on that kernel and userland, one line each; none where all is well."""
    done = {part: found[part] for part in PARTS if part in found}
    wrong = [f"{part}: {one['error']}" for part, one in done.items() if "error" in one]
    done = {part: one["found"] for part, one in done.items() if "found" in one}
    if "ended" in found:  # a splat, a time-out, a kernel that died
        wrong.append(found["ended"])
    wrong += _of_doctor(stop, done.get("doctor"))
    for part in ("exactness", "compiled"):
        wrong += [f"{part}: {line}" for line, exact in _counts(done.get(part, {})) if not exact]
    for program, number in done.get("programs", {}).items():
        if number > VERIFIER_LIMIT // 2:
            wrong.append(f"programs: {program} took the verifier {number} instructions, more than half of its limit")
    wrong += _of_commands(done.get("commands", {}))
    for name, one in done.get("battery", {}).items():
        if one["outcome"] == "fail":
            wrong.append(f"selftest {name}: {one['why']} {one['checks']} {one['notes']}")
        elif one["outcome"] == "skip" and not one["why"]:
            wrong.append(f"selftest {name}: skipped without a reason")
    for part, key in (("views", "census_rows"), ("views", "traced"), ("recording", "events")):
        if part in done and not done[part][key]:
            wrong.append(f"{part}: no {key}")
    return wrong


def _of_commands(tiers: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for tier, found in tiers.items():
        yield from (f"commands: {name} gave nothing at tier {tier}" for name, number in found.items() if not number)


def _of_doctor(stop: Stop, seen: Mapping[str, Any] | None) -> Iterator[str]:
    if seen is None:
        return
    if seen["kernel"]["profile"] != stop.kernel.profile:
        yield f"doctor: profile {seen['kernel']['profile']}, the table says {stop.kernel.profile}"
    if seen["tiers"][_POINT] != stop.kernel.tier:
        yield f"doctor: {_POINT} at tier {seen['tiers'][_POINT]}, the table says {stop.kernel.tier}"
    if stop.root:
        expected = roots.named(stop.root).bcc
        if not (_bcc(seen).startswith(expected) if expected else not _bcc(seen)):
            yield f"doctor: BCC {_bcc(seen) or 'none'}, the table says {expected or 'none'}"


def _bcc(seen: Mapping[str, Any]) -> str:
    """The version of BCC that doctor found, "" where there is none."""
    versions: list[str] = [one["version"] for one in seen["kernel"].get("bcc", [])]
    return next((version for version in versions if version[:1].isdigit()), "")


def _counts(exactness: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for tier, sizes in exactness.items():
        for islands, numbers in sizes.items():
            if islands == "health":
                continue
            for name, one in numbers.items():
                exact = one["found"] == one["expected"]
                size = f"{islands} islands" if islands.isdigit() else islands
                yield f"{tier}, {size}: {name} expected {one['expected']} found {one['found']}", exact


def result(stop: Stop, found: Mapping[str, Any]) -> dict[str, Any]:
    """The row of results.json."""
    done = {part: found[part]["found"] for part in PARTS if "found" in found.get(part, {})}
    doctor = done.get("doctor", {"kernel": {}, "tiers": {}})
    battery = done.get("battery", {})
    exact, compiled = ([is_exact for _, is_exact in _counts(done.get(part, {}))] for part in ("exactness", "compiled"))
    return {
        "kernel": stop.kernel.name,
        "root": stop.root,
        "date": datetime.date.today().isoformat(),
        "release": found["release"],
        "python": found["python"],
        "bcc": _bcc(doctor),
        "tier": doctor["tiers"].get(_POINT) or "",
        "tiers": doctor["tiers"],
        "watched": doctor.get("watched", []),
        "unknown": sorted(doctor.get("unknown", {})),
        "done": list(done),
        "exact": sum(exact),
        "counts": len(exact),
        "compiled": {"exact": sum(compiled), "counts": len(compiled)},
        "commands": {tier: sorted(found) for tier, found in done.get("commands", {}).items()},
        "programs": done.get("programs", {}),
        "passed": sum(one["outcome"] == "pass" for one in battery.values()),
        "skipped": {name: one["why"] for name, one in battery.items() if one["outcome"] == "skip"},
        "failed": {name: one["why"] for name, one in battery.items() if one["outcome"] == "fail"},
        "complaints": complaints(stop, found),
        "seconds": round(sum(part.get("seconds", 0) for part in found.values() if isinstance(part, dict))),
    }


def kept(path: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of results.json."""
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows


def keep(new: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Puts a row in the place of an older one of the same kernel and userland; the order is that of the table."""
    order = {stop.name: number for number, stop in enumerate(stops())}
    rows = [row for row in kept(path) if (row["kernel"], row["root"]) != (new["kernel"], new["root"])]
    rows.append(dict(new))
    rows.sort(key=lambda row: order.get(f"{row['kernel']}+{row['root'] or 'host'}", len(order)))
    path.write_text(json.dumps(rows, indent=1) + "\n")


def with_earlier(found: Mapping[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """``found``, and the parts that it lacks from tours that were kept, the first that has one; of the same release."""
    parts = dict(found)
    for path in files:
        earlier = json.loads(path.read_text())
        if earlier["release"] != found["release"]:
            raise LabError(f"{path} is of {earlier['release']}, not of {found['release']}; tour it again")
        parts.update({name: earlier[name] for name in PARTS if name in earlier and name not in parts})
    return parts


def _tour(stop: Stop, scenarios: str, parts: Sequence[str]) -> tuple[Stop, dict[str, Any]]:
    return stop, run(stop, scenarios, parts)


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make lab-kernels", description=__doc__)
    parser.add_argument("names", nargs="*", help="kernels of lab/kernels.toml (all that have a tour)")
    parser.add_argument("--root", help="with this userland alone; host: this machine's files")
    parser.add_argument("--scenarios", default=SUBSET, metavar="PATTERNS", help="of lazyobs selftest, or all")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="PART,..", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="guests at a time (2)")
    parser.add_argument("--after", action="append", default=[], metavar="FILE", help="parts that are not asked for are those "
                        "of a tour that was kept there (--keep)")  # fmt: skip
    parser.add_argument("--keep", metavar="FILE", help="where all that the guests said is kept, too")
    options = parser.parse_args(arguments)
    wanted = [one for one in stops(options.names) if options.root in (None, one.root or "host")]
    if not wanted:
        raise LabError("no kernel of these has such a tour; see the column tour in lab/kernels.toml")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        begun = [pool.submit(_tour, one, options.scenarios, options.parts.split(",")) for one in wanted]
        for future in concurrent.futures.as_completed(begun):
            try:
                stop, found = future.result()
            except LabError as error:
                failed += 1
                print(f"lab: {error}\n{error.detail}", file=sys.stderr, flush=True)
                continue
            found = with_earlier(found, (Path(f"{name}-{stop.name}.json") for name in options.after))
            if options.keep:
                Path(f"{options.keep}-{stop.name}.json").write_text(json.dumps(found, indent=1))
            row = result(stop, found)
            keep(row)
            failed += bool(row["complaints"])
            print(f"{stop.name}: {row['release']}, tier {row['tier']}, {row['exact']} of {row['counts']} counts exact, "
                  f"selftest {row['passed']} passed, {len(row['skipped'])} skipped, {len(row['failed'])} failed, "
                  f"{row['seconds']} s", flush=True)  # fmt: skip
            for line in row["complaints"]:
                print(f"  {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
