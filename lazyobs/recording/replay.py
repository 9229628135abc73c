# SPDX-License-Identifier: MIT
"""A recording as a source: the samples as they were shown, without privileges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lazyobs.model import Sample
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.reader import Recording


class ReplaySource:
    """Samples of a recording, one after the other. It does not wait: whoever reads sets the pace."""

    def __init__(self, path: str, last: bool = False) -> None:
        """``last``: only the last sample. RecordingError when there is none, or no readable recording."""
        self.recording = Recording(path)
        try:
            self._samples = self._last() if last else self.recording.samples()
            # The first one is read at once: what is wrong with the recording is told before anything is shown.
            self._first = next(self._samples, None)
            if self._first is None:
                raise RecordingError(path, "holds no sample", "record for longer than one interval")
        except BaseException:
            self.recording.close()
            raise

    @property
    def interval(self) -> float:
        """Seconds between two samples when they were recorded."""
        return self.recording.interval

    def read(self) -> Sample:
        """The next sample. EOFError behind the last one, RecordingError where the recording is damaged."""
        sample, self._first = self._first or next(self._samples, None), None
        if sample is None:
            raise EOFError
        return sample

    def _last(self) -> Iterator[Sample]:
        for segment in reversed(self.recording.segments):
            found = None
            for sample in self.recording.samples([segment]):
                found = sample
            if found is not None:
                yield found
                return

    def close(self) -> None:
        self.recording.close()


def open_replay(path: Path | str, last: bool = False) -> ReplaySource:
    """The recording in that directory. RecordingError when it cannot be read."""
    return ReplaySource(str(path), last)
