# SPDX-License-Identifier: MIT
"""How rows become the bytes of a stream, and a finished stream another file.

With pyarrow, streams are Arrow's own and a finished segment becomes Parquet, which is several times smaller. Without
it (a host that only records), plain_encoder.py writes the same streams, and they stay. Readers take both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from lazyobs.recording.directory import Directory
from lazyobs.recording.layout import Column
from lazyobs.unix import memory_limits

# By name: a list of Python values, or Packed. A column that is left out is null.
Columns = Mapping[str, Any]
# Address space that pyarrow and numpy take, and then some. With less they end the recorder, with a status of their own.
_ARROWS_BYTES = 512 << 20
END = b"\xff\xff\xff\xff" + bytes(4)  # what ends a stream of Arrow's that was closed


class Packed(NamedTuple):
    """Values of a fixed size as they lie in memory, none of them null."""

    raw: bytes
    rows: int


class Encoder(Protocol):
    """Of one stream."""

    def messages(self, columns: Columns, rows: int) -> bytes:
        """The bytes to append to the file: the rows, before the first ones also the schema."""


@dataclass(frozen=True)
class Encoding:
    """``encoder``: of a stream with these columns, compressed in that way or not at all. ``finish`` makes what a finished
    segment becomes; None: its streams stay, and end with END. ``note`` says what that means to the user, or is ""."""

    encoder: Callable[[Sequence[Column], str | None], Encoder]
    finish: Callable[[Directory, int], None] | None
    note: str = ""


def best() -> Encoding:
    """With pyarrow where it is installed and has room, else without."""
    limit = memory_limits.least()
    if limit is not None and limit < _ARROWS_BYTES:
        return plain(f"pyarrow may not fit into the limit of {limit >> 20} MiB (ulimit -v, -d)")
    try:
        from lazyobs.recording.arrow_encoder import ArrowEncoder
        from lazyobs.recording.parquet_segment import to_parquet
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "numpy"):
            raise
        return plain(f"{error.name} is not installed")
    return Encoding(ArrowEncoder, to_parquet)


def plain(why: str) -> Encoding:
    """Without pyarrow, for that reason."""
    from lazyobs.recording.plain_encoder import PlainEncoder

    note = f"{why}: the recording stays Arrow streams, several times as large as Parquet"
    return Encoding(PlainEncoder, None, note + "; lazyobs report and compare read both")
