# SPDX-License-Identifier: MIT
"""lazyobs where the modules that $WITHOUT names (comma-separated) are not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from lazyobs.entry import main

_WITHOUT = set(os.environ["WITHOUT"].split(","))
_find = PathFinder.find_spec


def _find_but(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
    return None if name.partition(".")[0] in _WITHOUT else _find(name, path, target)


PathFinder.find_spec = _find_but  # type: ignore[method-assign, assignment]
assert not _WITHOUT & sys.modules.keys()
main()
