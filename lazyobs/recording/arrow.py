# SPDX-License-Identifier: MIT
"""pyarrow as recordings use it: ``pa``, which does not import an installed pandas.

pyarrow's first ``array()`` imports pandas to recognize pandas objects: 55 MB and 0.2 s (5 s in an emulated machine)
in the middle of the first sample, in a process that has no such objects. After a failed import ``array()`` does not
try again; ``to_pandas()`` does, so code that needs pandas still gets it (pyarrow 26, pandas-shim.pxi).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import TYPE_CHECKING

_POOL = "ARROW_DEFAULT_MEMORY_POOL"


def _imported() -> ModuleType:
    """pyarrow with malloc(): its own allocators keep what they have freed, for a process that records for days."""
    given = os.environ.get(_POOL)
    os.environ.setdefault(_POOL, "system")
    try:
        import pyarrow

        pyarrow.default_memory_pool()  # decides
        module: ModuleType = pyarrow
        return module
    finally:
        if given is None:
            del os.environ[_POOL]


if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = _imported()

__all__ = ["pa"]


class _NotPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("recordings do without pandas", name=fullname)


def _decide_on_pandas() -> None:
    if "pandas" in sys.modules:
        return
    finder = _NotPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


_decide_on_pandas()
