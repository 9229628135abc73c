# SPDX-License-Identifier: MIT
"""A census of a process with 40,000 VMAs beside reading its smaps (without parsing), and beside an empty pass.

The empty pass is the same iterator with a program that does nothing: no census through it can be faster.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.islands import islands
from bench.live import live_source
from bench.pairs import pairs
from bench.program_time import empty_iterator
from lazyobs.bpf import census, maps

_ISLANDS = 20_011


def run() -> dict[str, object]:
    source = live_source("tracepoint")
    link = source.session.links["census:task_vma"]
    with islands(_ISLANDS) as (pid, tell):
        tell("touch")
        vmas = {}

        def by_smaps() -> float:
            begin = time.monotonic()
            Path(f"/proc/{pid}/smaps").read_bytes()
            return time.monotonic() - begin

        def by_census() -> float:
            begin = time.monotonic()
            for row in census.CensusRows().read(maps.read_iterator(link)):
                vmas[row.tgid] = row.vmas
            return time.monotonic() - begin

        measured = pairs(by_smaps, by_census, 23)
        with empty_iterator("task_vma") as empty:

            def by_nothing() -> float:
                begin = time.monotonic()
                empty()
                return time.monotonic() - begin

            floor = pairs(by_census, by_nothing, 23)
    source.close()
    return {
        "smaps_over_census": measured,
        "census_over_empty": floor,
        "vmas": vmas[pid],
        "vmas_of_all_processes_in_census": sum(vmas.values()),
    }
