# SPDX-License-Identifier: MIT
"""Tables of answers that are printed once: doctor, census, images, report and compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tabulate as tabulate_module
from tabulate import tabulate

from lazyobs import text

# tabulate widens every heading by this much.
tabulate_module.MIN_PADDING = 0


def table(rows: Sequence[Sequence[Any]], headings: Sequence[str], left: int = 0) -> str:
    """Plain columns, two blanks apart; the first ``left`` columns and the last column are left-aligned. Words may come
    from anywhere: each cell is made printable."""
    cells = [[text.printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    align = ["left" if index < left or index == len(headings) - 1 else "right" for index in range(len(headings))]
    return str(
        tabulate(cells, headers=headings, tablefmt="plain", disable_numparse=True, colalign=align if cells else None)
    )
