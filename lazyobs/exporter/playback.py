# SPDX-License-Identifier: MIT
"""A recording played at the pace it was recorded: ``read`` returns the sample of the current moment."""

from __future__ import annotations

import time
from collections.abc import Callable

from lazyobs.model import Sample
from lazyobs.sources.source import SampleSource


class Playback:
    """The first sample counts as now; after the end, ``read`` keeps returning the last one."""

    def __init__(self, recorded: SampleSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._recorded, self._clock = recorded, clock
        self._shown = recorded.read()
        self._offset = clock() - self._shown.time
        self._following = self._next()

    def _next(self) -> Sample | None:
        try:
            return self._recorded.read()
        except EOFError:
            return None

    def read(self) -> Sample:
        now = self._clock() - self._offset
        while self._following is not None and self._following.time <= now:
            self._shown, self._following = self._following, self._next()
        return self._shown

    def close(self) -> None:
        self._recorded.close()
