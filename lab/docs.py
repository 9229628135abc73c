# SPDX-License-Identifier: MIT
"""Writes docs/kernels.md from the tables of kernels, roots and results, and docs/kernel-selftests.md:
``python3 -m lab.docs``.

``--check`` only compares.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import controls_page, mutation_page, roots, tour
from .cache import LAB
from .kernels import Kernel, table

PAGE = LAB.parent / "docs" / "kernels.md"

HEAD = """<!-- Written by `python3 -m lab.docs` from kernels.toml, roots.toml and results.json in lab/. -->
# Supported kernels

lazyobs asks what a kernel offers, never for its version. Every change is tested on these kernels;
`lab/run --kernel NAME COMMAND` boots each of them (see [the lab](../lab/README.md)).

*Profile* is the design that `lazyobs doctor` finds there. *Tier* is the best tier that a probe of a
kernel function (`anon_vma_fork`, say) can have there. *CI* says which ones CI boots.

| kernel | what it is | made from | command line | profile | tier | CI |
|---|---|---|---|---|---|---|
"""

NOT_HAD = """
Not to be had (looked for on 26 November 2026): 7.0 and 7.1, of which trixie-backports keeps the
kernel (7.0.13, 7.1.13) but not the modules, without which it has no disk and no console here. 7.3
is in trixie-backports, for amd64 and arm64; unstable has 7.2.
"""

ROOTS = """
## Userlands

`lab/run --root NAME` boots with one of these instead of this machine's files.

| root | what it is | suite | architecture | BCC | Python | CI |
|---|---|---|---|---|---|---|
"""

RESULTS = """
## Tried

What `make lab-kernels` found, and when: islands of 23, 211 and 5,003 VMAs, touched, forked twice
and unmapped, counted at each tier, and what chains were copied for, where the kernel says it; with
every point attached first faults, forks whose page tables were timed and copies on write (*exact*:
numbers that were equal, of how many, with the programs that come along; *compiled*: the same with
those that the userland's BCC compiles there, without the points on request); `top`, `census`,
`trace`, `record` and `export` at each tier (*commands*); scenarios of `lazyobs selftest`; a
recording with a workload, and its report. Every guest is emulated.

| kernel | userland | release | tier | BCC | Python | exact | compiled | commands | selftest | record, report | date |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


VERIFIED = """
## What the verifier goes through

Instructions that the verifier went through to accept each program, the most of all functions, tiers
and userlands, with the stream of events. It gives up at 1,000,000; a tour fails above half of that.
Kernels before 5.16 do not say it. *-*: the program is not loaded there.

"""


def _row(row: Kernel) -> str:
    made_from = " or ".join(f"`{package}`" for package in row.packages)
    if row.suite:
        made_from += f" of {row.suite}" + (f" ({row.arch})" if row.arch != "amd64" else "")
    if row.kind == "built":
        made_from += ", " + ", ".join(f"`{name}`" for name in row.fragments)
        made_from += f", {len(row.patches)} patch{'es' if len(row.patches) != 1 else ''}"
    cmdline = f"`{row.cmdline}`" if row.cmdline else ""
    cells = (f"`{row.name}`", row.about, made_from, cmdline, f"`{row.profile}`", f"`{row.tier}`", _ci(row.ci))
    return _line(cells)


def _ci(yes: bool) -> str:
    return "yes" if yes else "on demand"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _root(row: roots.Root) -> str:
    return _line((f"`{row.name}`", row.about, row.suite, row.arch, row.bcc or "none", row.python, _ci(row.ci)))


def _result(row: Mapping[str, Any]) -> str:
    battery = f"{row['passed']} passed" if "battery" in row["done"] else "not tried"
    for word in ("skipped", "failed"):
        battery += f", {len(row[word])} {word}" if row[word] else ""
    exact = f"{row['exact']} of {row['counts']}"
    userland = f"`{row['root']}`" if row["root"] else "this machine's"
    bcc = row["bcc"] or "none"
    cells = (f"`{row['kernel']}`", userland, row["release"], f"`{row['tier']}`", bcc, row["python"], exact)
    recorded = "yes" if "recording" in row["done"] else "no"
    return _line((*cells, _compiled(row), _commands(row), battery, recorded, row["date"]))


def _compiled(row: Mapping[str, Any]) -> str:
    if "compiled" not in row["done"]:
        return "not tried"
    return f"{row['compiled']['exact']} of {row['compiled']['counts']}" if row["bcc"] else "no compiler"


def _commands(row: Mapping[str, Any]) -> str:
    return ", ".join(f"`{tier}`" for tier in row["commands"]) if "commands" in row["done"] else "not tried"


def _verified(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line per program, a column per kernel; "" where no tour has looked."""
    most: dict[str, dict[str, int]] = {}
    for row in rows:
        for program, number in row.get("programs", {}).items():
            here = most.setdefault(program, {})
            here[row["kernel"]] = max(number, here.get(row["kernel"], 0))
    kernels = list(dict.fromkeys(row["kernel"] for row in rows if row.get("programs")))
    if not kernels:
        return ""
    text = VERIFIED + _line(("program", *(f"`{name}`" for name in kernels))) + "|---" + "|---:" * len(kernels) + "|\n"
    for program in sorted(most):
        numbers = (f"{most[program][name]:,}" if name in most[program] else "-" for name in kernels)
        text += _line((f"`{program}`", *numbers))
    return text


def _skips(rows: Sequence[Mapping[str, Any]]) -> str:
    """Why scenarios were skipped, each reason once, with the kernels it holds on."""
    kernels: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for scenario, why in row["skipped"].items():
            kernels.setdefault((scenario, why), []).append(row["kernel"])
    lines = [
        f"- `{scenario}` on {', '.join(f'`{name}`' for name in dict.fromkeys(names))}: {why}"
        for (scenario, why), names in kernels.items()
    ]
    return f"\nSkipped, because:\n\n{_wrapped(lines)}" if lines else ""


def _untoured(rows: Iterable[Kernel]) -> str:
    """Which kernels have no tour, each reason once."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.no_tour:
            names.setdefault(row.no_tour, []).append(f"`{row.name}`")
    lines = (f"- {', '.join(kernels)}: {why}" for why, kernels in names.items())
    return f"\nNo tour, because:\n\n{_wrapped(lines)}"


def _wrapped(lines: Iterable[str]) -> str:
    """The points of a list."""
    return "".join(f"{textwrap.fill(line, 100, subsequent_indent='  ', break_on_hyphens=False)}\n" for line in lines)


def page() -> str:
    """The whole document."""
    results = tour.kept()
    text = HEAD + "".join(map(_row, table().values())) + NOT_HAD
    text += ROOTS + "".join(map(_root, roots.table().values()))
    if results:
        text += (
            RESULTS
            + "".join(map(_result, results))
            + _skips(results)
            + _untoured(table().values())
            + _verified(results)
        )
    return text


def pages() -> dict[Path, str]:
    """Every document that is written here, and its text."""
    return {
        PAGE: page(),
        controls_page.PAGE: controls_page.page(),
        mutation_page.PAGE: mutation_page.page(),
        mutation_page.LETTER: mutation_page.letter(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    given: list[str] = list(sys.argv[1:] if arguments is None else arguments)
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if given == ["--check"]:
        for path in stale:
            print(f"{path} is not what the tables say; run: python3 -m lab.docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(pages()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
