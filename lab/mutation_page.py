# SPDX-License-Identifier: MIT
"""Writes docs/kernel-selftests.md from mutations.toml and mutations.json: which test notices which mistake."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import kselftest_runs, mutations
from .cache import LAB
from .mutations import BATTERY, NONE, OURS, Mutation
from .own_tests import OWN

PAGE = LAB.parent / "docs" / "kernel-selftests.md"
#: What the patch of the test could be posted with; its table is written here, too.
LETTER = LAB / "patches" / "selftests-cover-letter.txt"
_OTHERS = (BATTERY, *OWN)

HEAD = """<!-- Written by `python3 -m lab.docs` from mutations.toml and mutations.json in lab/. -->
# Tests for the kernel's own tree

`lab/patches/selftests-mm-find-every-mapping.patch` adds `anon_rmap` to the kernel's
`tools/testing/selftests/mm`. Whether a test can fail is shown by kernels that are wrong: the kernel
`lab-mutant` makes one of {number} mistakes when it is told to (`vm.mutation`), in the program
that is tried and in what it starts, and nowhere else. `make lab-mutations` makes each of them while
the tests run.

```
make -C lab kselftest                  # build anon_rmap alone, and print where it is
sudo lazyobs selftest --kernel         # run it, with the paths that each test took
make lab KERNEL=lab-mutant
make lab-mutations                     # all of it: hours where there is no KVM
python3 -m lab.mutations --missing     # what mutations.json has no result of
```
"""

TRIED = """
## Which test notices which mistake

{release}, results of {date}. *eager*, *lazy*: `anon_rmap` with `vm.anon_vma_lazy` at 0, which is
mainline, and at 1. *battery*: `lazyobs selftest`, at 0. Of both those tests are run that come
nearest to the mistake (`lab/mutations.toml` names them); of the kernel's own tests, at 0 except for
mistakes in lazy VMAs, each runs whole, without a change but in `migration`, which moves pages for
5 s a test instead of 20. All run on one CPU, but for `migration`, which needs three.

A cell is the number of tests that fail and do not fail without the mistake; `·` none; *skip*: none,
and one is skipped that is not without it; *time*: it did not end; *dead*: the kernel did not
survive it; empty: not tried, or nothing to try. `rmap` skips a test when a page cannot be migrated
in a hundred attempts.

"""


def _run(runs: Mapping[mutations.Key, Mapping[str, Any]], name: str, lazy: bool, test: str) -> Mapping[str, Any] | None:
    return runs.get((name, lazy, test))


def noticed(run: Mapping[str, Any], without: Mapping[str, Any] | None) -> list[str]:
    """What a test shows of a mistake: the tests that fail with it alone, or how the run ended otherwise than without.

    ``without``: the run of the same test without a mistake."""
    before = set(without["failed"]) if without else set()
    new = [name for name in run["failed"] if name not in before]
    if run["end"] != "exit" and (not without or without["end"] == "exit"):
        new.append({"timeout": "time", "hung": "time", "kernel": "dead"}[run["end"]])
    return new


class Results:
    """The runs of mutations.json by mistake and test."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.release: str = document["release"]
        self.date: str = document["date"]
        self._runs = {mutations.key_of(run): run for run in document["runs"]}

    def noticed(self, row: Mutation, lazy: bool, test: str) -> list[str] | None:
        """None where it was not tried."""
        run = self._runs.get((row.name, lazy, test))
        return None if run is None else noticed(run, self._runs.get((NONE, lazy, test)))

    def without(self, lazy: bool, test: str) -> Mapping[str, Any] | None:
        return self._runs.get((NONE, lazy, test))

    def tried(self, row: Mutation, tests: Sequence[str]) -> bool:
        return any((row.name, lazy, test) in self._runs for lazy in (False, True) for test in tests)

    def skips(self, row: Mutation, lazy: bool, test: str) -> bool:
        """Whether more tests are skipped with the mistake than without."""
        run, without = self._runs.get((row.name, lazy, test)), self.without(lazy, test)
        return bool(run and without and run["skipped"] > without["skipped"])

    def caught(self, row: Mutation, tests: Sequence[str]) -> bool:
        """Whether any of the tests notices it, with laziness off or on."""
        return any(self.noticed(row, lazy, test) for lazy in (False, True) for test in tests)


def cell(found: Sequence[str] | None, skips: bool = False) -> str:
    """``skips``: more of its tests are skipped than without the mistake."""
    if found is None:
        return ""
    if skips and not found:
        return "skip"
    words = [word for word in found if word in ("time", "dead")]
    count = len(found) - len(words)
    return ", ".join([*([str(count)] if count else []), *words]) or "·"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _table(results: Results, rows: Sequence[Mutation]) -> str:
    short = {"ksm_functional_tests": "ksm", "split_huge_page_test": "split"}
    heads = ("", "the kernel's mistake", "eager", "lazy", *(short.get(test, test) for test in _OTHERS))
    text = _line(heads) + "|---:|---" + "|---:" * (len(heads) - 2) + "|\n"
    for row in rows:
        places = [(False, OURS), (True, OURS), *((row.lazy, test) for test in _OTHERS)]
        cells = [cell(results.noticed(row, *place), results.skips(row, *place)) for place in places]
        text += _line((str(row.number), f"`{row.name}`: {row.what}", *cells))
    return text


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False) + "\n"


def _names(rows: Sequence[Mutation]) -> str:
    return ", ".join(f"`{row.name}`" for row in rows)


def counts(results: Results, rows: Sequence[Mutation]) -> dict[str, list[Mutation]]:
    """The mistakes by who has noticed them; of the tests of the kernel only where these were tried."""
    seen = [row for row in rows if not row.unseen and results.tried(row, [OURS])]
    ours = [row for row in seen if results.caught(row, [OURS])]
    # One that notices is enough to know; that none does takes all of them.
    tried = [
        row
        for row in seen
        if results.caught(row, OWN) or all(results.noticed(row, row.lazy, test) is not None for test in OWN)
    ]
    return {
        "visible": seen,
        "anon_rmap": ours,
        "battery": [row for row in seen if results.caught(row, [BATTERY])],
        "missed": [row for row in seen if not results.caught(row, [OURS, BATTERY])],
        "kernel_tried": tried,
        "kernel": [row for row in tried if results.caught(row, OWN)],
        "ours_alone": [row for row in tried if row in ours and not results.caught(row, OWN)],
    }


def _summary(results: Results, rows: Sequence[Mutation]) -> str:
    by = counts(results, rows)
    battery = [row for row in by["visible"] if results.tried(row, [BATTERY])]
    text = f"Of {len(by['visible'])} mistakes whose effect a user can see, `anon_rmap` notices {len(by['anon_rmap'])}"
    text += f"; the battery {len(by['battery'])} of the {len(battery)} on which it was tried. " if battery else ". "
    if by["kernel_tried"]:
        text += f"The kernel's own tests, where they were tried, notice {_names(by['kernel']) or 'none'}. "
        text += f"{len(by['ours_alone'])} that `anon_rmap` notices passed all of them: {_names(by['ours_alone'])}."
    if by["missed"]:
        text += f" Noticed by no test of ours: {_names(by['missed'])}."
    return "\n" + _wrapped(text)


def _effects(rows: Sequence[Mutation]) -> Iterator[str]:
    yield "\n## What a user sees\n\n"
    for row in rows:
        yield _wrapped(f"- `{row.name}`: {row.effect}" + (" (lazy VMAs only)" if row.lazy else ""), "  ")
    yield "\n## What no test can see\n\n"
    for row in rows:
        if row.unseen:
            yield _wrapped(f"- `{row.name}`: {row.unseen}", "  ")


def _first_tests(results: Results, rows: Sequence[Mutation]) -> Iterator[str]:
    yield "\n## The tests of anon_rmap that notice them\n\nOf each mistake up to three, eager first.\n\n"
    for row in rows:
        found = [*(results.noticed(row, False, OURS) or []), *(results.noticed(row, True, OURS) or [])]
        names = [name for name in dict.fromkeys(found) if name not in ("time", "dead")]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield _wrapped(f"- `{row.name}`: {', '.join(f'`{name}`' for name in names[:3])}{more}", "  ")


def _baseline(results: Results) -> str:
    text = "\n## Without a mistake\n\n| test | laziness | passed | skipped | failed | seconds |\n"
    text += "|---|---|---:|---:|---:|---:|\n"
    for test in (OURS, *_OTHERS):
        for lazy in (False, True):
            run = results.without(lazy, test)
            if run:
                cells = (test, "on" if lazy else "off", run["passed"], run["skipped"], len(run["failed"]))
                text += _line((*map(str, cells), f"{run['seconds']:.0f}" if run["seconds"] else ""))
    return text + "\nSeconds are those of an emulated guest with two CPUs.\n"


RUNS = """
## Runs of anon_rmap

Whole runs on a machine with other work to do; those of kernels of the lab in an emulated guest, the
others on that machine, which has no swap and one node, without the variants that wait for ksmd.
Of the test as it is: {runs} runs, {failed}. Rows *of before* are of an earlier one.

| kernel | laziness | CPUs | nodes | runs | tests | passed | skipped | failed | seconds a run | date |
|---|---|---:|---:|---:|---:|---:|---:|---|---:|---|
"""


def _median(row: Mapping[str, Any]) -> int:
    seconds: list[int] = row["seconds"]
    return round(statistics.median(seconds))


def _runs(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    program = kselftest_runs.program()
    now = [row for row in rows if row["program"] == program]
    failures = sum(sum(row["failed"].values()) for row in now)
    text = RUNS.format(
        runs=sum(row["runs"] for row in now), failed=f"{failures} failures" if failures else "none with a failure"
    )
    for row in rows:
        laziness = "on" if row["lazy"] else "off"
        when = row["date"] if row["program"] == program else f"{row['date']}, of before"
        failed = ", ".join(f"`{name}` in {count}" for name, count in row["failed"].items()) or "none"
        cells = [f"`{row['kernel']}`", laziness, row["cpus"], row["nodes"], row["runs"], row["tests"], row["passed"]]
        text += _line([str(cell) for cell in (*cells, row["skipped"], failed, _median(row), when)])
    return text


def page(document: Mapping[str, Any] | None = None) -> str:
    """The whole document; ``document``: mutations.json (None) or another of its form."""
    rows = list(mutations.mutations().values())
    results = Results(mutations.kept() if document is None else document)
    text = HEAD.format(number=len(rows))
    if results.release:
        text += TRIED.format(release=results.release, date=results.date)
        text += _table(results, rows) + _summary(results, rows) + _baseline(results)
        text += "".join(_first_tests(results, rows))
    text += _runs(kselftest_runs.kept())
    return text + "".join(_effects(rows))


SUBJECT = """Subject: [PATCH 0/1] selftests/mm: does the rmap find every mapping?

Hello,

a page of anonymous memory is mapped by whoever forked, in VMAs that were
split, merged and moved since. Migration, reclaim, KSM, splits of folios
and memory failure depend on a walk that finds each of those mappings. When
it misses one, nothing crashes and no contents are wrong: the page stays
where it is.

The patch adds anon_rmap. A family of processes shares private pages:
anonymous ones (small, of folios of 16 pages, huge, collapsed, paged out,
merged by KSM, moved or copied by userfaultfd) and those of private
mappings of a file and of a memfd; before or after the VMA was split,
merged in either order, moved whole or in part, or MREMAP_DONTUNMAP was
used. Each page is then migrated, paged out, soft-offlined, split and
written, and every process that maps it is asked what it has.

Nothing is taken from a design of the reverse map, so that it can be used
for what is there and for what may replace it.

Does it fail when it should?
----------------------------

A kernel was given {number} mistakes, of which it makes one at a time, in the
program under test alone. Below is what fails with each and passes without:
the number of tests of anon_rmap, of those few that come nearest to the
mistake, and the programs of tools/testing/selftests/mm that notice it.
"-": none does; "?": not tried; "of rmap, merge": only these were tried.
rmap skips a test when a page cannot be migrated in a hundred attempts.

"""

_SEEN = """
{visible} of the mistakes have an effect that a user can see. anon_rmap notices
{ours} of them. The tests in the tree notice {kernel}, and were not all tried on
each. {alone} that anon_rmap notices passed all of them:
{names}.
"""

_TIME = """
How long it takes, and where it was run
---------------------------------------

Whole runs on a machine with other work; "lab" and "debian" in an emulated
guest (no KVM), the others without swap, a second node and ksmd:

  kernel          lazy  CPUs  runs  tests passed failed  seconds a run
"""

SHELL = """
What is missing is skipped by name: root, a second memory node, huge
pages, swap, ksmd, memory.reclaim, userfaultfd, hwpoison-inject. Settings
are restored by a process of its own, also when the test is killed.

How to run it:

  make -C tools/testing/selftests/mm
  ./run_vmtests.sh -t anon_rmap

"lab" in the table is 7.3 with a series that leaves anonymous VMAs without
an anon_vma of their own; "lazy" says whether it was switched on.
"""


def _of_ours(results: Results, row: Mutation) -> str:
    tried = [results.noticed(row, lazy, OURS) for lazy in (row.lazy, True)]
    found = next((seen for seen in tried if seen is not None), None)
    return "?" if found is None else cell(found) if found else "-"


def _in_the_tree(results: Results, row: Mutation) -> str:
    tried = [test for test in OWN if results.noticed(row, row.lazy, test) is not None]
    if not tried:
        return "?"
    names = [test for test in tried if results.noticed(row, row.lazy, test)]
    names += [f"({test} is skipped)" for test in tried if test not in names and results.skips(row, row.lazy, test)]
    return (", ".join(names) or "-") + ("" if len(tried) == len(OWN) else " of " + ", ".join(tried))


def letter(document: Mapping[str, Any] | None = None) -> str:
    """The cover letter; nothing in it that is not in mutations.json and kselftest-runs.json, or in the patch."""
    rows = list(mutations.mutations().values())
    results = Results(mutations.kept() if document is None else document)
    text = SUBJECT.format(number=len(rows))
    for row in rows:
        text += textwrap.fill(row.what, 74, initial_indent="  ", subsequent_indent="    ") + "\n"
        end = "; cannot be seen" if row.unseen else ""
        line = f"anon_rmap: {_of_ours(results, row)}; in the tree: {_in_the_tree(results, row)}{end}"
        text += textwrap.fill(line, 74, initial_indent=" " * 6, subsequent_indent=" " * 8) + "\n"
    by = counts(results, rows)
    text += _SEEN.format(
        visible=len(by["visible"]),
        ours=len(by["anon_rmap"]),
        names="\n".join(textwrap.wrap(", ".join(OWN), 74)),
        kernel=len(by["kernel"]),
        alone=len(by["ours_alone"]),
    )
    program = kselftest_runs.program()
    runs = [one for one in kselftest_runs.kept() if one["program"] == program]
    if runs:
        text += _TIME
        for one in runs:
            lazy = "on" if one["lazy"] else "off"
            failed = sum(one["failed"].values())
            text += f"  {one['kernel']:15} {lazy:4} {one['cpus']:5} {one['runs']:5} {one['tests']:6} "
            text += f"{one['passed']:6} {failed:6} {_median(one):14}\n"
    return text + SHELL
