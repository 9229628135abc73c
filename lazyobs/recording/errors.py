# SPDX-License-Identifier: MIT
"""What can be wrong with a recording, as one line each."""

from __future__ import annotations

import os

from lazyobs.errors import LazyobsError
from lazyobs.text import printable


class RecordingError(LazyobsError):
    """The directory is no recording that can be read: foreign, empty, damaged, or of a later version."""

    def __init__(self, path: str | os.PathLike[str], why: str, next_step: str) -> None:
        super().__init__(f"recording {printable(os.fspath(path))}", printable(why), next_step)


class RecordingStopped(LazyobsError):
    """Nothing more can be written. What was written until then can be read."""

    def __init__(self, path: str | os.PathLike[str], why: str, next_step: str) -> None:
        super().__init__(f"recording {printable(os.fspath(path))}", f"stopped, {why}", next_step)
