# SPDX-License-Identifier: MIT
"""What becomes of a finished segment: with pyarrow Parquet, which is several times smaller; without it, its streams
stay. Readers take both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lazyobs.recording.directory import Directory
from lazyobs.unix import memory_limits
from lazyobs.unix.imports import why_broken

# Address space that pyarrow and numpy take, and then some. With less they end the recorder, with a status of their own.
_ARROWS_BYTES = 512 << 20


@dataclass(frozen=True)
class Finish:
    """``convert`` makes a segment of that number what it becomes; None: its streams stay, and end with encoder.END.
    ``note`` says what that means to the user, or is ""."""

    convert: Callable[[Directory, int], None] | None
    note: str = ""


def best() -> Finish:
    """With pyarrow where it is installed and has room, else without."""
    limit = memory_limits.least()
    if limit is not None and limit < _ARROWS_BYTES:
        return without_pyarrow(f"pyarrow may not fit into the limit of {limit >> 20} MiB (ulimit -v, -d)")
    try:
        from lazyobs.recording.parquet_segment import to_parquet
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "numpy"):
            raise
        return without_pyarrow(f"{error.name} is not installed")
    except ImportError as error:
        if not (why := why_broken(error)):
            raise
        return without_pyarrow(why)
    return Finish(to_parquet)


def without_pyarrow(why: str) -> Finish:
    """For that reason."""
    note = f"{why}: the recording stays Arrow streams, several times as large as Parquet"
    return Finish(None, note + "; lazyobs report and compare read both")
