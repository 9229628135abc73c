# SPDX-License-Identifier: MIT
"""The tables of one recording as an engine shows them, and queries over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ibis

from lazyobs.soak.engine.tables import Columns

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

Compiled = dict[tuple[object, ...], str]


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

    def run(self, query: Callable[..., ir.Table], *given: Any) -> pa.Table:
        """Rows of ``query(*given)``, where a table is given by its name and anything else as it is."""
        key = (query.__name__, *(tuple(self.tables[one]) if isinstance(one, str) else one for one in given))
        if key not in self._compiled:
            arguments = [ibis.table(self.tables[one], name=one) if isinstance(one, str) else one for one in given]
            self._compiled[key] = self._to_sql(query(*arguments))
        return self._execute(self._compiled[key])
