# SPDX-License-Identifier: MIT
"""The rules for imports inside functions.

1. A command's module imports at its head what ``--help`` and a usage error need. cli.py imports only that module.
2. A heavy module (pyarrow, textual, the tables) that only one form of a command needs is imported by that form.
3. When the command opens the running kernel, ``preload`` imports such a module *during* the opening: the loader
   compiles in another process at that time, and root has not been given up yet; the user `nobody` may be unable to
   read the modules. The import statement after the opening then finds the module loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable


def preload(*modules: str) -> Callable[[], None]:
    """A function for ``meanwhile`` of open_live that imports the modules, given by their full names."""

    def load() -> None:
        for module in modules:
            importlib.import_module(module)

    return load
