# SPDX-License-Identifier: MIT
"""Imports inside functions: which there are, and why.

1. At the head of a command's module stands what ``--help`` and a usage error need. cli.py imports that module alone.
2. What only one form of a command needs, and is heavy (pyarrow, textual, the tables), is imported by that form.
3. Where the running kernel is opened, such a module is imported *while* that is done, by ``preload``: the loader
   compiles meanwhile in another process, and root has not been given up, while nobody may not be able to read where
   the modules lie. The import that stands behind the opening then finds it loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable


def preload(*modules: str) -> Callable[[], None]:
    """For ``meanwhile`` of open_live: imports them, by their full names."""

    def load() -> None:
        for module in modules:
            importlib.import_module(module)

    return load
