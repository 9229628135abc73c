# SPDX-License-Identifier: MIT
"""How large the parts of a recording may be. Larger ones are refused before they are read: 50 kB can claim, and
inflate to, hundreds of megabytes.

What lazyobs itself writes stays far below: a segment ends at 16 MiB on disk or after 15 minutes, and a sample's
document has 5 to 50 kB.
"""

from __future__ import annotations

MIB = 1 << 20
DESCRIPTION = MIB  # recording.json
DOCUMENT = 4 * MIB  # a sample's JSON
FILE = 256 * MIB  # on disk
BATCH = 256 * MIB  # one Arrow message, decompressed
PAGE = 64 * MIB  # one Parquet page, decompressed
COLUMN = 256 * MIB  # one column of a Parquet row group, decompressed
DICTIONARY = 8 * MIB  # the dictionary page of a column: one of its values can be in every row
INFLATED = 1024 * MIB  # all of a file, decompressed
ROWS = 16 << 20  # of a file
CHUNKS = 1 << 16  # columns times row groups of a Parquet file
THRIFT_BYTES, THRIFT_ELEMENTS = 16 * MIB, 1 << 20  # of a Parquet footer
DECODED = 64 * MIB  # what a batch of rows may become in memory through a dictionary


def too_large(what: str, size: int, limit: int) -> str:
    """What a part is, as a reason to refuse it; "" when it is within its limit."""
    if size <= limit:
        return ""
    shown = f"{size / MIB:.0f} MiB" if limit >= MIB else str(size)
    most = f"{limit / MIB:.0f} MiB" if limit >= MIB else str(limit)
    return f"{what} of {shown}, the limit is {most}"
