# SPDX-License-Identifier: MIT
"""``make judge-controls``: whether ``lazyobs judge`` says what has to be said of patches whose outcome is known.

Patches that make a mistake, leak or take longer have to FAIL for the right reason first; patches that only rename and
move code must never. Several arms share a judgement, and so the boots of its base. Each outcome is kept in
controls.json when its judgement has ended; what is there is not tried again, and a judgement that was interrupted goes
on, so that all of it can run over several days. ``python3 -m lab.docs`` writes docs/judge-controls.md from it.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.unix.fork import die_with_parent

from . import kernels, mutations, packages, source
from .cache import LAB, content_hash, made_once
from .errors import LabError, reports_errors

TABLE = LAB / "controls.toml"
KEPT = LAB / "controls.json"
PATCHES = LAB / "patches" / "controls"
STOCK, MUTANT = "stock", "mutant"
KERNELS = {STOCK: "lab-stock", MUTANT: mutations.KERNEL}
#: Of base and patched, which are off otherwise: without a lazy VMA most mistakes have nothing to be made with.
OPTIONS: dict[str, tuple[str, ...]] = {STOCK: (), MUTANT: ("CONFIG_ANON_VMA_LAZY=y",)}
#: What has to fail first on a kernel with a mistake: a test, not what the kernel does later for want of memory that is right.
_A_TEST = r"(kselftest|moves|stress|battery|own), plain: "
_ARMS = 9  # of one judgement: its base is booted once for all of them
_BUDGET = {"checks": "12h", "measure": "6h"}
#: In place of these lines of the mutant each mistake is made from the start, by every process.
_FLIPPED = {
    "mm/mutation.c": (
        ("DEFINE_STATIC_KEY_FALSE(mm_mutation_key);", "DEFINE_STATIC_KEY_TRUE(mm_mutation_key);"),
        ("int sysctl_mm_mutation __read_mostly;", "int sysctl_mm_mutation __read_mostly = {number};"),
    ),
    "mm/mutation.h": (
        ("DECLARE_STATIC_KEY_FALSE(mm_mutation_key);", "DECLARE_STATIC_KEY_TRUE(mm_mutation_key);"),
        ("\tif (!static_branch_unlikely(&mm_mutation_key) || !mm ||", "\tif (!static_branch_likely(&mm_mutation_key) || !mm)"),
        ("\t    !mm_flags_test(MMF_MUTANT, mm))", None),
    ),
}  # fmt: skip
_FAULT = ("static int sysctl_anon_vma_lazy_fault __read_mostly;", "static int sysctl_anon_vma_lazy_fault __read_mostly = {number};")  # fmt: skip


@dataclass(frozen=True)
class Control:
    """A row of controls.toml, or a mistake of mutations.toml (``number``)."""

    name: str
    what: str
    base: str
    word: str
    until: str
    runs: int = 1
    first: str = ""
    patch: str = ""
    fault: int = 0
    number: int = 0

    def is_right(self, word: str, said: str) -> bool:
        if self.word != "FAIL":
            return word != "FAIL"
        return word == "FAIL" and re.match(self.first, said) is not None


@dataclass(frozen=True)
class Run:
    """One time that a control is judged, from 1."""

    control: Control
    number: int

    @property
    def key(self) -> tuple[str, int]:
        return self.control.name, self.number

    @property
    def arm(self) -> str:
        return self.control.name.replace("_", "-")


def controls(path: Path = TABLE) -> dict[str, Control]:
    """Every control by name: those of the table, then the mistakes that a user can see."""
    rows = {name: Control(name, **row) for name, row in kernels.read_toml(path).items()}
    for name, row in mutations.mutations().items():
        if not row.unseen:
            rows[name] = Control(name, row.what, MUTANT, "FAIL", "checks", first=_A_TEST, number=row.number)
    return rows


def kept(path: Path = KEPT) -> list[dict[str, Any]]:
    """The rows of controls.json, in the order of the table."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    return found


def keep(rows: Sequence[Mapping[str, Any]], path: Path = KEPT) -> None:
    """Adds rows, in the place of older ones of the same control and run."""
    every = {(row["control"], row["run"]): row for row in [*kept(path), *rows]}
    order = list(controls())
    known = [row for row in every.values() if row["control"] in order]
    known.sort(key=lambda row: (order.index(row["control"]), row["run"]))
    lines = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in known)
    fresh = path.with_suffix(".new")
    fresh.write_text(f'{{\n "runs": [\n{lines}\n ]\n}}\n')
    fresh.replace(path)


def waiting(names: Sequence[str], done: Sequence[Mapping[str, Any]]) -> list[Run]:
    """What has no row yet: first runs first."""
    there = {(row["control"], row["run"]) for row in done}
    table = controls()
    runs = [Run(table[name], number) for name in names for number in range(1, table[name].runs + 1)]
    return sorted((run for run in runs if run.key not in there), key=lambda run: run.number)


def judgements(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs that are judged together: of one base, judged as far, and of no control two."""
    groups: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.control.base, run.control.until, run.number), []).append(run)
    for group in groups.values():
        yield from (group[at : at + _ARMS] for at in range(0, len(group), _ARMS))


def patch_text(control: Control, tree: Path) -> str:
    """The patch of a control, for the source in ``tree``."""
    if control.patch:
        return (PATCHES / control.patch).read_text()
    changes = {"mm/rmap.c": (_FAULT,)} if control.fault else _FLIPPED
    number = control.fault or control.number
    head = f"From: lazyobs developers <lazyobs@localhost>\nSubject: [PATCH] control: {control.what}\n\nIt is made from the start.\n---\n"  # fmt: skip
    return head + "".join(_diff(tree, file, pairs, number) for file, pairs in changes.items())


def _diff(tree: Path, file: str, pairs: Sequence[tuple[str, str | None]], number: int) -> str:
    before = (tree / file).read_text().splitlines(keepends=True)
    after = list(before)
    for was, now in pairs:
        if before.count(f"{was}\n") != 1:
            raise LabError(f"{file} of the mutant has no line '{was.strip()}'; look at {TABLE.name} and controls.py")
        at = after.index(f"{was}\n")
        after[at : at + 1] = [] if now is None else [now.format(number=number) + "\n"]
    return f"diff --git a/{file} b/{file}\n" + "".join(difflib.unified_diff(before, after, f"a/{file}", f"b/{file}"))


def base(kind: str, work: Path) -> Path:
    """The source that controls of this kind are for: a copy of the package's, with the patches of its kernel."""
    row = kernels.kernel(KERNELS[kind])
    package, version = packages.find(row.packages, row.release, row.suite, row.arch)
    patches = row.patch_files()
    names = source.touched(patches)

    def make(folder: Path) -> None:
        print(f"controls: copying the source of {package} {version} for {kind}", file=sys.stderr, flush=True)
        tree = source.unpack(package, version, row.suite)
        subprocess.run(["cp", "-a", "--reflink=auto", f"{tree}/.", str(folder)], check=True)
        source.restore(folder, source.originals(package))
        for patch in patches:
            subprocess.run(["patch", "-p1", "-s", "--no-backup-if-mismatch", "-i", str(patch)], cwd=folder, check=True)
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)

    return made_once(work / "sources" / f"{kind}-{content_hash([version, *names, *patches])}", make)


def command(group: Sequence[Run], tree: Path, folder: Path, cache: Path | None) -> list[str]:
    """The words that judge these runs, or go on with it: with the same folder they are the same."""
    until = group[0].control.until
    words = [_python(), "-m", "lazyobs", "judge", "--base", str(tree), "--flavour", "plain", "--until", until, "--budget", _BUDGET[until], "-o", str(folder)]  # fmt: skip
    words += [word for option in OPTIONS[group[0].control.base] for word in ("--base-config", option)]
    words += ["--cache", str(cache)] if cache is not None else []
    for run in group:
        words += ["--arm", f"{run.arm}={folder}.patches/{run.arm}.patch"]
    return words


def _python() -> str:
    own = LAB.parent / ".venv/bin/python"
    return str(own) if own.exists() else sys.executable


def rows_of(group: Sequence[Run], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each run, from what judge says (verdict.json)."""
    arms = {arm["arm"]: arm for arm in document["arms"]}
    boots = document["boots"].values()
    found = []
    for run in group:
        arm = arms[run.arm]
        own = [one for one in boots if one["arm"] in (run.arm, "base")]
        found.append(
            {
                "control": run.control.name, "run": run.number, "word": arm["word"], "said": arm["said"],
                "right": run.control.is_right(arm["word"], arm["said"]), "boots": len(own),
                "seconds": round(sum(one["seconds"] or 0 for one in own)), "base": document["base"]["version"],
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
            }
        )  # fmt: skip
    return found


def judge(group: Sequence[Run], work: Path, cache: Path | None) -> list[dict[str, Any]]:
    """Judges them. LabError where judge could not: that is no outcome."""
    tree = base(group[0].control.base, work)
    patched = [f"{run.control.name} {run.number} {patch_text(run.control, tree)}" for run in group]
    name = content_hash([*OPTIONS[group[0].control.base], *patched])
    folder = work / f"{group[0].control.until}-{name}"
    patches = Path(f"{folder}.patches")
    patches.mkdir(parents=True, exist_ok=True)
    for run in group:
        (patches / f"{run.arm}.patch").write_text(patch_text(run.control, tree))
    shown = ", ".join(f"{run.control.name} {run.number}" for run in group)
    print(f"controls: judging {shown}", file=sys.stderr, flush=True)
    environment = {**os.environ, "PYTHONPATH": str(LAB.parent)}
    done = subprocess.run(command(group, tree, folder, cache), env=environment, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)  # fmt: skip
    verdict = folder / "verdict.json"
    if done.returncode not in (0, 1) or not verdict.is_file():
        raise LabError(f"judge ended with status {done.returncode} on {shown}; run it again to go on")
    return rows_of(group, json.loads(verdict.read_text()))


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m lab.controls", description=__doc__)
    parser.add_argument("names", nargs="*", help="controls of controls.toml and mistakes of mutations.toml (all)")
    parser.add_argument("--list", action="store_true", help="say what is still to be judged, and end")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/lazyobs-controls"), help="folder for sources and judgements; other users have to reach it")  # fmt: skip
    parser.add_argument("--cache", type=Path, help="judge's own; default: as judge has it")
    options = parser.parse_args(arguments)
    table = controls()
    if unknown := sorted(set(options.names) - set(table)):
        raise LabError(f"no control named {', '.join(unknown)} in {TABLE.name}; --list names those that are left")
    groups = list(judgements(waiting(options.names or list(table), kept())))
    for group in groups if options.list else []:
        print(f"{group[0].control.until}: {', '.join(f'{run.control.name} {run.number}' for run in group)}")
    wrong = 0
    for group in [] if options.list else groups:
        rows = judge(group, options.work, options.cache)
        keep(rows)
        for row in rows:
            wrong += not row["right"]
            print(f"controls: {row['control']} {row['run']}: {'right' if row['right'] else 'WRONG'}: {row['word']} {row['said']}", file=sys.stderr, flush=True)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
