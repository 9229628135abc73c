# SPDX-License-Identifier: MIT
"""The columns that queries see of a recording, and their types; one that a recording lacks is null.

The same for every engine: each makes views of these names over the files it is given.
"""

from __future__ import annotations

from collections.abc import Container

import pyarrow as pa

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.reader import Recording

INT, FLOAT, TEXT, BOOL = "int64", "float64", "string", "boolean"  # as Ibis calls them
Columns = dict[str, str]
# Of a process: what its VMAs hold, and by what path that was made.
HOLDING = (
    *("vmas_anon", "chains_held", "anon_vmas_held"),
    *("prepares", "fork_chains", "fork_anon_vmas", "chain_allocs", "promotions"),
)

_FIXED: dict[str, Columns] = {
    "samples": {
        "number": INT,
        "time": FLOAT,
        "elapsed": FLOAT,
        "stamp": INT,
        "document": TEXT,
        **dict.fromkeys((*COUNTER_NAMES, *CENSUS_NAMES), INT),
        **{f"health_{name}": FLOAT for name in HEALTH_NAMES},
    },
    "processes": {
        "number": INT,
        "pid": INT,
        "start_time": FLOAT,
        "comm": TEXT,
        "cgroup": TEXT,
        "ppid": INT,
        **dict.fromkeys(HOLDING, INT),
    },
    "slabs": {
        "number": INT,
        "time": FLOAT,
        "cache": TEXT,
        "objects_active": INT,
        "merged_with": TEXT,
        "barrier": BOOL,
        "orphans": INT,
        "orphans_spread": INT,
    },
    "events": {"stamp": INT, "duration": INT, "kind": INT, "detail": INT},
}
TABLES = (*_FIXED, "system")

# Of a few hundred numbers a tick: what verdicts and pictures ask of memory management, memory and pressure. Each
# column more costs a report on many recordings a hundredth of its time.
_SYSTEM = (
    *("vmstat_" + name for name in (
        "pgfault", "pgmajfault", "pgsteal_anon", "pgscan_anon", "pgsteal_kswapd", "pgmigrate_success", "pgmigrate_fail",
        "thp_split_page", "thp_split_page_failed",
    )),
    *(f"pressure_{kind}_some_us" for kind in ("cpu", "io", "memory")),
    "kernel_tainted",
)  # fmt: skip


def columns(table: str, there: Container[str]) -> Columns:
    """{column: type} of the view; ``there`` are the columns of the files, which decide for "system" alone."""
    if table != "system":
        return _FIXED[table]
    return {"number": INT, **{name: INT for name in _SYSTEM if name in there}}


def is_text(path: str) -> bool:
    """Whether a path is UTF-8; an engine that opens files by their names can open no other."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_here(recording: Recording, table: str, segments: list[int]) -> pa.Table | None:
    """Rows of those segments, of the columns that queries see; None where there are none."""

    def chosen(there: list[str]) -> list[str]:
        wanted = columns(table, there)
        return [name for name in there if name in wanted]

    batches = [batch for segment in segments for batch in recording.batches(table, segment, chosen)]
    if not batches:
        return None
    rows = pa.concat_tables([pa.Table.from_batches([batch]) for batch in batches], promote_options="default")
    return rows.combine_chunks()
