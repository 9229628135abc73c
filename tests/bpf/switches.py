# SPDX-License-Identifier: MIT
"""What a switch says of a value, from its rows; tests/bpf/test_blanks.py compares that with its instructions."""

from __future__ import annotations

from lazyobs.bpf.blanks import Switch


def looked_up(table: Switch, value: int) -> int:
    """The row in which ``value`` lies, or the default."""
    offset = value - table.base
    if not 0 <= offset < table.span:
        return table.default
    return [row for start, row in table.rows if start <= offset][-1]
