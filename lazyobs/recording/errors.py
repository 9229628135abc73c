# SPDX-License-Identifier: MIT
"""Errors of recordings; each prints as a single line."""

from __future__ import annotations

import os

from lazyobs.errors import LazyobsError
from lazyobs.text import printable


class RecordingError(LazyobsError):
    """The directory is not a readable recording: foreign, empty, damaged, or of a later version."""

    def __init__(self, path: str | os.PathLike[str], why: str, next_step: str) -> None:
        super().__init__(f"recording {printable(os.fspath(path))}", printable(why), next_step)


class RecordingStopped(LazyobsError):
    """Nothing more can be written. What was written before can be read."""

    def __init__(self, path: str | os.PathLike[str], why: str, next_step: str) -> None:
        super().__init__(f"recording {printable(os.fspath(path))}", f"stopped, {why}", next_step)
