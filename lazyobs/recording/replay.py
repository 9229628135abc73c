# SPDX-License-Identifier: MIT
"""A recording as a source: the samples as they were recorded. Needs no privileges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.features import ACCOUNT, HELD, PROGRAMS, VMAS, why_not
from lazyobs.errors import NotSupported
from lazyobs.model import Kernel, Sample
from lazyobs.recording.cursor import Cursor
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.reader import Recording
from lazyobs.recording.trace import RecordedTrace

if TYPE_CHECKING:
    from lazyobs.kernel.symbols import Symbols

# What no recording has. The identity of a recording names the kinds of events that it lacks.
_NEVER = {
    VMAS: "recordings hold counts of VMAs, not each VMA",
    PROGRAMS: "recordings hold the sum of all programs only",
    ACCOUNT: "recordings hold the results of each barrier reading",
    HELD: "recordings hold the results of each barrier reading",
}


class ReplaySource:
    """A Source (sources/source.py) on a recording: its samples one after the other. It never waits: the caller
    sets the pace."""

    live = False

    def __init__(self, path: str, last: bool = False) -> None:
        """``last``: only the last sample. RecordingError when it is not a readable recording."""
        self._recording = Recording(path)
        self._samples = self._last() if last else self._recording.samples()
        self._next: Sample | None = None

    @property
    def interval(self) -> float:
        """Seconds between two samples when they were recorded."""
        return self._recording.interval

    @property
    def seconds(self) -> float:
        """From the first sample to the last, by the clock that is never set."""
        first, last = self._recording.first_row("samples"), self._recording.last_row("samples")
        if not first:
            return 0.0
        if first.get("stamp") is None or last.get("stamp") is None:  # of another version
            return float(last["time"] - first["time"])
        return float(last["stamp"] - first["stamp"]) / 1e9

    def notes(self) -> list[str]:
        """What the recording lacks, as far as it was read, a text each."""
        return self._recording.notes()

    @property
    def path(self) -> str:
        return self._recording.path

    @property
    def begun(self) -> float | None:
        """When recording began, unix seconds; None where it holds no sample."""
        try:
            return self._peek().time - self.interval
        except EOFError:
            return None

    @property
    def kernel(self) -> Kernel:
        return self._peek().kernel

    @property
    def tiers(self) -> Mapping[str, str | None]:
        return self._peek().tiers

    @property
    def compiler(self) -> str | None:
        version = self._recording.identity.get("bcc")
        return version if isinstance(version, str) else None

    def memory(self) -> dict[str, int]:
        prefix = "meminfo_"
        row = self._recording.last_row("system")
        return {
            name.removeprefix(prefix): value
            for name, value in row.items()
            if name.startswith(prefix) and value is not None
        }

    def why_not(self, feature: str) -> str:
        missing = self._recording.identity.get("not_recorded")
        why = missing.get(f"events.{feature}") if isinstance(missing, dict) else None
        return why_not(feature, {feature: why} | _NEVER if isinstance(why, str) else _NEVER)

    def _peek(self) -> Sample:
        """The next sample, without consuming it. EOFError after the last sample."""
        self._next = self._next or next(self._samples, None)
        if self._next is None:
            raise EOFError
        return self._next

    def read(self) -> Sample:
        """The next sample. EOFError after the last sample, RecordingError where the recording is damaged."""
        sample, self._next = self._peek(), None
        return sample

    def _last(self) -> Iterator[Sample]:
        for segment in reversed(self._recording.segments):
            found = None
            for sample in self._recording.samples([segment]):
                found = sample
            if found is not None:
                yield found
                return

    def need_samples(self) -> None:
        """RecordingError if there is no sample or the first is damaged: so the error comes before any output."""
        try:
            self._peek()
        except EOFError:
            what = "record for longer than one interval"
            raise RecordingError(self._recording.path, "holds no sample", what) from None

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> RecordedTrace:
        return RecordedTrace(self._recording, wanted, splats)

    def cursor(self, trends: tuple[str, ...]) -> Cursor:
        """Any sample at any time, instead of one after the other."""
        return Cursor(self._recording, trends)

    def vmas(self, pid: int) -> NoReturn:
        raise _refusal(VMAS)

    def programs(self) -> NoReturn:
        raise _refusal(PROGRAMS)

    def account(self) -> NoReturn:
        raise _refusal(ACCOUNT)

    def held(self) -> NoReturn:
        raise _refusal(HELD)

    def judge(self, barrier: object) -> NoReturn:
        raise _refusal(ACCOUNT)

    def events(self) -> NoReturn:
        raise NotSupported("reading events", "events of a recording are already decoded", "read its trace")

    def close(self) -> None:
        self._recording.close()


def _refusal(feature: str) -> NotSupported:
    return NotSupported(f"reading {feature}", _NEVER[feature], "ask the running kernel")


def open_replay(path: Path | str, last: bool = False) -> ReplaySource:
    """The recording in that directory. RecordingError when it cannot be read, or holds no sample."""
    source = ReplaySource(str(path), last)
    try:
        source.need_samples()
    except BaseException:
        source.close()
        raise
    return source
