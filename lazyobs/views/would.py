# SPDX-License-Identifier: MIT
"""``lazyobs census --would``: who ever forks, and what each design would hold for today's processes."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace

from lazyobs import text
from lazyobs.kernel.slab import CACHES
from lazyobs.model import Process, Program, Sample
from lazyobs.sources.source import Source
from lazyobs.unix import interrupt
from lazyobs.views import lines, report_table

NO_CONTEXT_BYTES = "the size of a context of an address space is not public: contexts counts them"


@dataclass
class Would:
    """One process, or those of one name, the ended ones included.

    ``ended``: None where ends are not counted. ``forked``: how many have copied their address space in a fork, in all
    their life; ``unknown``: of how many that is not known, which ``forked`` leaves out. ``exclusive``: VMAs that got an
    anon_vma and that no fork shared, at least. ``mainline_bytes`` and what follows: of the living ones;
    ``promoted_bytes``: of a lazy design whose promotions are for good.
    """

    comm: str
    processes: int = 0
    ended: int | None = 0
    forked: int = 0
    unknown: int = 0
    copying_forks: int | None = 0
    fork_vmas: int | None = 0
    fork_threads: int | None = 0
    forks_again: int | None = 0
    prepares: int | None = 0
    exclusive: int | None = 0
    mainline_bytes: int | None = 0
    lazy_bytes: int | None = 0
    promoted_bytes: int | None = 0
    contexts: int | None = 0


_COUNTED = ("copying_forks", "fork_vmas", "fork_threads", "forks_again", "prepares")
_NAMES = tuple(field.name for field in fields(Would))


def of_program(program: Program) -> Would:
    """The ended processes of a name."""
    counts = {name: getattr(program, name) for name in (*_COUNTED, "exclusive")}
    return Would(program.comm, program.ends, program.ends, program.ends_forked, **counts)


def of_process(process: Process, object_bytes: tuple[int, int] | None) -> Would:
    """A living process; ``object_bytes``: room of an anon_vma and of a chain in their slabs."""
    counts, census = process.counts, process.census
    forks, copied = counts.get("copying_forks"), census.get("vmas_copied")
    would = Would(process.comm, processes=1, forked=int(bool(forks or copied)))
    would.unknown = int(not would.forked and copied is None)
    for name in _COUNTED:
        setattr(would, name, counts.get(name))
    made, shared = counts.get("prepares"), counts.get("fork_chains")
    would.exclusive = None if made is None or shared is None else max(0, made - shared)
    would.mainline_bytes, would.lazy_bytes, would.promoted_bytes = _bytes(census, object_bytes)
    anonymous = census.get("vmas_anon")
    would.contexts = None if anonymous is None else int(anonymous > 0)
    return would


def _bytes(
    census: dict[str, int | None], object_bytes: tuple[int, int] | None
) -> tuple[int | None, int | None, int | None]:
    names = ("anon_vmas_held", "chains_held", "saved_bytes", "savable_bytes", "savable_low_bytes")
    anon_vmas, chains, saved, savable, low = (census.get(name) for name in names)
    if object_bytes is None or anon_vmas is None or chains is None or saved is None:
        return None, None, None
    held = anon_vmas * object_bytes[0] + chains * object_bytes[1]
    return held + saved, None if savable is None else held - savable, None if low is None else held - low


def object_bytes_of(sample: Sample) -> tuple[int, int] | None:
    """Of an anon_vma and of a chain; None where slabinfo cannot be read."""
    sizes = {slab.cache: slab.object_bytes for slab in sample.slabs}
    anon_vma, chain = (sizes.get(cache) for cache in CACHES[:2])
    return None if anon_vma is None or chain is None else (anon_vma, chain)


def by_program(sample: Sample) -> list[Would]:
    """The living and the ended processes of each name; those that would hold most first."""
    sizes = object_bytes_of(sample)
    found: dict[str, Would] = {}
    for one in (
        *map(of_program, sample.programs),
        *(of_process(process, sizes) for process in sample.processes if process.census.get("vmas") != 0),
    ):
        known = found.setdefault(one.comm, Would(one.comm))
        for name in _NAMES[1:]:
            setattr(known, name, _plus(getattr(known, name), getattr(one, name)))
    return sorted(
        _ends_of(sample, found.values()), key=lambda one: (-(one.mainline_bytes or 0), -one.processes, one.comm)
    )


def _ends_of(sample: Sample, rows: Iterable[Would]) -> list[Would]:
    """The rows; where the sample counts no ends, those are not known."""
    return [replace(row, ended=None) for row in rows] if "programs" in sample.null_reasons else list(rows)


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def never_forked(programs: Iterable[Would]) -> tuple[int, int, int]:
    """(processes of which it is known whether they forked, those that never did, those of which it is not known)."""
    rows = list(programs)
    unknown = sum(row.unknown for row in rows)
    known = sum(row.processes for row in rows) - unknown
    return known, known - sum(row.forked for row in rows), unknown


def show(source: Source, watch: float, pids: tuple[int, ...], output: str) -> None:
    """Prints a row for each program, or for each of the processes ``pids``, after watching for ``watch`` seconds."""
    sample = source.read()
    if watch:
        interrupt.sleep(watch)
        sample = source.read()
    programs = by_program(sample)
    rows = programs
    sizes = object_bytes_of(sample)
    if pids:
        chosen = (process for process in sample.processes if process.pid in pids)
        rows = _ends_of(sample, (of_process(process, sizes) for process in chosen))
    known, never, unknown = never_forked(programs)
    reasons = {key: why for key, why in sample.null_reasons.items() if key.startswith(("census", "slabs", "programs", "totals.prepares", "totals.copying"))}  # fmt: skip
    if output == "json":
        shares = {"processes": known, "never_forked": never, "unknown": unknown}
        document = {
            "time": sample.time,
            "kernel": vars(sample.kernel),
            "shares": shares,
            "rows": [asdict(row) for row in rows],
            "null_reasons": {**reasons, "context_bytes": NO_CONTEXT_BYTES},
        }
        print(lines.json_line(document))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_NAMES)
        writer.writerows([lines.csv_safe(getattr(row, name)) for name in _NAMES] for row in rows)
    else:
        _print(rows, known, never, unknown)


_HEADINGS = (
    "PROCESSES", "ENDED", "FORKED", "FORKS", "VMAS/FORK", "THREADS/FORK", "AGAIN", "PREPARES", "EXCLUSIVE", "MAINLINE", "LAZY",
    "PROMOTED", "CONTEXTS", "PROGRAM",
)  # fmt: skip


def _print(rows: list[Would], known: int, never: int, unknown: int) -> None:
    cells = [
        [
            text.number(row.processes), text.number(row.ended), _forked(row), text.number(row.copying_forks),
            _mean(row.fork_vmas, row.copying_forks), _mean(row.fork_threads, row.copying_forks), text.number(row.forks_again),
            text.number(row.prepares), text.number(row.exclusive), text.size(row.mainline_bytes), text.size(row.lazy_bytes),
            text.size(row.promoted_bytes), text.number(row.contexts), row.comm,
        ]
        for row in rows
    ]  # fmt: skip
    print(report_table.table(cells, list(_HEADINGS)))
    if not known:
        print(
            f"\nof none of {unknown} {text.plural(unknown, 'process', 'processes')} is it known whether it ever forked"
        )
        return
    rest = f"; of {unknown} it is not known" if unknown else ""
    print(f"\n{never / known:.0%} of {known} {text.plural(known, 'process', 'processes')} never forked{rest}")


def _forked(row: Would) -> str:
    """At least so many, where it is not known of all; "-" where it is known of none."""
    if row.unknown and row.unknown == row.processes:
        return text.NULL
    return (">=" if row.unknown else "") + text.number(row.forked)


def _mean(total: int | None, count: int | None) -> str:
    return text.number(None if total is None or not count else round(total / count, 1))
