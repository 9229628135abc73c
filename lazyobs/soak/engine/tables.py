# SPDX-License-Identifier: MIT
"""The columns that queries see of a recording, and their types; one that a recording lacks is null.

The same for every engine: each makes views of these names over the files it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.reading import Recording

INT, FLOAT, TEXT, BOOL = "int64", "float64", "string", "boolean"  # as Ibis calls them
Columns = dict[str, str]

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
    "processes": {"number": INT},
    "slabs": {"number": INT, "time": FLOAT, "cache": TEXT, "objects_active": INT, "merged_with": TEXT, "barrier": BOOL},
    "events": {"stamp": INT, "duration": INT, "kind": INT, "detail": INT},
}
TABLES = (*_FIXED, "system")

# Of a few hundred numbers a tick these are what memory management does, what there is of memory, and pressure.
_SYSTEM = re.compile(
    r"vmstat_(pgfault|pgmajfault|pg(steal|scan)_(anon|kswapd|direct)|pswp(in|out)|oom_kill|pgmigrate_(success|fail)"
    r"|compact_(stall|success)|thp_(fault_alloc|collapse_alloc|split_page|split_page_failed)|workingset_refault_anon|anon_vma_lazy_\w{1,40})"
    r"|meminfo_(MemFree|MemAvailable|Cached|AnonPages|Slab|SReclaimable|SUnreclaim|KernelStack|PageTables|SwapFree"
    r"|Committed_AS)_bytes"
    r"|pressure_(cpu|io|memory)_(some|full)_us"
    r"|kernel_tainted"
)


def columns(table: str, there: Iterable[str]) -> Columns:
    """{column: type} of the view; ``there`` are the columns of the files, which decide for "system" alone."""
    if table != "system":
        return _FIXED[table]
    return {"number": INT, **{name: INT for name in sorted(there) if _SYSTEM.fullmatch(name)}}


def streamed(recording: Recording, table: str) -> pa.Table | None:
    """Rows of the segments that are still streams, read with care; None where there are none."""
    batches = list(recording.streams(table))
    return pa.Table.from_batches(batches).combine_chunks() if batches else None
