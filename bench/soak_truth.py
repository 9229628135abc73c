# SPDX-License-Identifier: MIT
"""Error rates of report and compare on simulated recordings whose truth is known (tests/soak/truth).

Three parts: ``counts`` (live objects, with and without leaks), ``orphans`` (objects that no VMA holds), and
``arms`` (boots of two kernels). 200 runs of each shape (LAZYOBS_TRUTH_RUNS). Results are kept in LAZYOBS_TRUTH_STATE, a
directory, so that a run that was stopped goes on; they belong to the judges and the shapes that they were made with.
``soak_truth.md`` in it is the table of docs/soak-truth.md, ``soak_truth.json`` the same for machines.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.soak_truth_table import Cell, markdown, summary
from lazyobs.soak import orphans as orphan_judge
from lazyobs.soak.compare import compare
from lazyobs.soak.report import report
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS
from tests.soak.truth import arms, leaks, orphans

_ROOT = Path(__file__).parents[1]
_CHUNK = 5  # runs of a shape, before the next shape has its turn
_ONLY_PRINT = {"text_report.py", "html_report.py", "html_report_data.py", "output.py", "schema.py"}


class Job(NamedTuple):
    cell: Cell
    begin: int
    runs: int


def cells() -> list[Cell]:
    found = [
        Cell("counts", shape.name, f"{shape.lost():,.0f} lost", shape.must_not_pass(), shape.must_not_fail())
        for shape in leaks.SHAPES
    ]
    found += [
        Cell(
            "orphans",
            shape.name,
            f"{orphans.lost(shape):,.0f} lost",
            orphans.must_not_pass(shape),
            shape.must_not_fail(),
        )
        for shape in orphans.SHAPES
    ]
    found += [
        Cell("arms", shape.name, shape.truth, shape.truth in (arms.WORSE, arms.LOST), shape.truth == arms.NONE)
        for shape in arms.SHAPES
    ]
    return found


def _of_counts(name: str, seed: int, cell: Cell) -> set[str]:
    """Outcomes of the caches that leak, or of all where none does."""
    shape = next(shape for shape in leaks.SHAPES if shape.name == name)
    wanted = {f"{cache} objects" for cache in shape.where}
    found = report([leaks.series(shape, seed)], load()).findings
    return {one.outcome for one in found if one.part == "leak" and (not cell.must_not_pass or one.name in wanted)}


def _of_orphans(name: str, seed: int, _cell: Cell) -> set[str]:
    shape = next(shape for shape in orphans.SHAPES if shape.name == name)
    found = report([orphans.series(shape, seed)], load()).findings
    return {one.outcome for one in found if one.numbers.get("source") == orphan_judge.SOURCE}


def _of_arms(name: str, seed: int, _cell: Cell) -> set[str]:
    shape = next(shape for shape in arms.SHAPES if shape.name == name)
    return {compare(*arms.make(shape, 1000 + seed), load()).word}


_PARTS: dict[str, Callable[[str, int, Cell], set[str]]] = {
    "counts": _of_counts, "orphans": _of_orphans, "arms": _of_arms,
}  # fmt: skip


def judged(job: Job) -> Counter[str]:
    words: Counter[str] = Counter()
    for seed in range(job.begin, job.begin + job.runs):
        words[_word(_PARTS[job.cell.part](job.cell.name, seed, job.cell), job.cell)] += 1
    return words


def _word(outcomes: set[str], cell: Cell) -> str:
    if FAIL in outcomes:
        return FAIL
    if cell.must_not_pass:  # one cache that passes is one too many: all leak
        return PASS if PASS in outcomes else INCONCLUSIVE
    return PASS if outcomes == {PASS} else INCONCLUSIVE


def run() -> dict[str, object]:
    state = Path(os.environ.get("LAZYOBS_TRUTH_STATE", Path(tempfile.gettempdir()) / "lazyobs-soak-truth"))
    state.mkdir(parents=True, exist_ok=True)
    runs = int(os.environ.get("LAZYOBS_TRUTH_RUNS", "200"))
    results = Results(state / f"{_fingerprint()}.jsonl")
    waiting = [job for job in _jobs(runs) if job.begin >= results.runs(job.cell)]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # arrays are small: threads would only wait for each other
    cpus = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cpus, multiprocessing.get_context("spawn")) as workers:
        for job, words in zip(waiting, workers.map(judged, waiting)):
            results.add(job, words)
    counted = [(cell, results.of(cell)) for cell in cells()]
    table, found = markdown(counted), summary(counted)
    (state / "soak_truth.md").write_text(table)
    (state / "soak_truth.json").write_text(json.dumps(found, indent=1))
    print(table, file=sys.stderr)
    return found


def _jobs(runs: int) -> Iterator[Job]:
    """Every shape a little, then every shape a little more: an early end leaves all of them with as many runs."""
    for begin in range(0, runs, _CHUNK):
        for cell in cells():
            yield Job(cell, begin, min(_CHUNK, runs - begin))


def _fingerprint() -> str:
    """Of what the words depend on."""
    sources = [path for path in sorted((_ROOT / "lazyobs/soak").glob("*.py")) if path.name not in _ONLY_PRINT]
    sources += [_ROOT / "lazyobs/soak/thresholds.toml", _ROOT / "tests/soak/simulate.py"]
    sources += sorted((_ROOT / "tests/soak/truth").glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


class Results:
    """Counts of words by cell; a line of JSON for each chunk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._words: dict[tuple[str, str], Counter[str]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            chunk = json.loads(line)
            self._count(chunk["part"], chunk["name"], Counter(chunk["words"]))

    def _count(self, part: str, name: str, words: Counter[str]) -> None:
        self._words.setdefault((part, name), Counter()).update(words)

    def add(self, job: Job, words: Counter[str]) -> None:
        self._count(job.cell.part, job.cell.name, words)
        with open(self._path, "a") as file:
            file.write(json.dumps({"part": job.cell.part, "name": job.cell.name, "words": words}) + "\n")

    def of(self, cell: Cell) -> Counter[str]:
        return self._words.get((cell.part, cell.name), Counter())

    def runs(self, cell: Cell) -> int:
        return sum(self.of(cell).values())
