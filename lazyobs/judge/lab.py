# SPDX-License-Identifier: MIT
"""The lab's modules: of the folder ``lab`` beside a checkout, or of ``lazyobs.lab`` in an installation (setup.cfg).

At run time they are always ``lazyobs.lab``, loaded from where this package is and from nowhere else: a folder ``lab``
in the current directory is another's.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lazyobs import shipped

_NAME = "lazyobs.lab"


def folder() -> Path:
    """Where the lab is: its patches, configurations and programs. FileNotFoundError where the installation lacks it."""
    return shipped.lab()


def _load() -> None:
    place = folder()
    spec = importlib.util.spec_from_file_location(_NAME, place / "__init__.py", submodule_search_locations=[str(place)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)


if TYPE_CHECKING:
    from lab import (
        accel,
        apt,
        build,
        cache,
        configure,
        errors,
        guest,
        initramfs,
        kernels,
        kselftest,
        own_tests,
        packages,
        qemu,
        source,
        splats,
        stress,
        type_data,
        workload,
    )  # fmt: skip
__all__ = [
    "accel", "apt", "build", "cache", "configure", "errors", "folder", "guest", "initramfs", "kernels", "kselftest", "own_tests",
    "packages", "qemu", "source", "splats", "stress", "type_data", "workload",
]  # fmt: skip

if not TYPE_CHECKING:
    if _NAME not in sys.modules:
        _load()
    globals().update((name, importlib.import_module(f"{_NAME}.{name}")) for name in __all__ if name != "folder")
