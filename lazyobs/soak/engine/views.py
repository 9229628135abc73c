# SPDX-License-Identifier: MIT
"""The tables of one recording as an engine shows them, and queries over them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import ibis

from lazyobs.soak.engine.tables import Columns

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

Compiled = dict[tuple[object, ...], str]

# Numbers that stand in a compiled query for those it is run with; no recording has such a number of anything.
_STAND_INS = [7_340_033_000_000_000_000 + place for place in range(10)]
_STAND_IN = re.compile("734003300000000000([0-9])")


class Views:
    """``tables``: {table: columns} that the engine has views of, by the same names."""

    def __init__(
        self,
        tables: Mapping[str, Columns],
        compiled: Compiled,
        to_sql: Callable[[ir.Table], str],
        execute: Callable[[str], pa.Table],
    ) -> None:
        """``compiled`` outlives the recording: a hundred alike take one compilation."""
        self.tables = tables
        self._compiled, self._to_sql, self._execute = compiled, to_sql, execute

    def run(self, query: Callable[..., ir.Table], *given: str | int) -> pa.Table:
        """Rows of ``query(*given)``: tables, by their names, then numbers.

        Compiling takes as long as running: it is done once, whatever the numbers.
        """
        names = [one for one in given if isinstance(one, str)]
        numbers = [one for one in given if not isinstance(one, str)]
        key = (query.__name__, *((name, tuple(self.tables[name])) for name in names))
        if key not in self._compiled:
            tables = [ibis.table(self.tables[name], name=name) for name in names]
            self._compiled[key] = self._to_sql(query(*tables, *_STAND_INS[: len(numbers)]))
        return self._execute(_STAND_IN.sub(lambda found: str(int(numbers[int(found[1])])), self._compiled[key]))
