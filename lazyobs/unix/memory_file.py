# SPDX-License-Identifier: MIT
"""A temporary file without a directory: it works on a read-only root and with full disks."""

from __future__ import annotations

import os
from typing import BinaryIO


def memory_file(name: str) -> BinaryIO:
    """An empty file in memory, close-on-exec; ``name`` is for debugging (memfd_create(2), 3.17)."""
    return open(os.memfd_create(name, os.MFD_CLOEXEC), "w+b")
