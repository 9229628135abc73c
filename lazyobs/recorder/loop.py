# SPDX-License-Identifier: MIT
"""The recorder's main loop: waits for ticks, events, signals and the end of the workload, and shows progress."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lazyobs.recorder import command_counts
from lazyobs.recorder.options import RecordOptions
from lazyobs.recorder.recorder import Recorder
from lazyobs.recorder.workload import Workload
from lazyobs.text import plural, printable, say, size
from lazyobs.unix import interrupt

_SECONDS_TO_DRAIN = 1.0  # the longest time that events wait in the ring


class Loop:
    """Runs once, until the duration is over, the workload has ended or a signal comes."""

    def __init__(self, options: RecordOptions, recorder: Recorder, workload: Workload | None) -> None:
        self._options, self._recorder, self._workload = options, recorder, workload
        self._signals = 0
        self._begun = time.monotonic()
        self._progress = _Progress(options, recorder)
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    @property
    def interrupted(self) -> bool:
        """Whether a signal has ended it."""
        return self._signals > 0 and (self._workload is None or not self._workload.has_ended())

    def run(self) -> None:
        """RecordingStopped when nothing more can be written."""
        if self._recorder.stream is not None:
            self._recorder.stream.begin(self._options.events.filter)
        with self._signals_caught():
            self._run()

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self._signal)
            for number in interrupt.ENDING
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN  # nohup
        }
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        woken_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, number: int, _frame: object) -> None:
        # The terminal sends Ctrl-C to the command too: leave the first Ctrl-C to the command.
        self._signals += 1 if number == signal.SIGINT and self._workload is not None else 2

    def _run(self) -> None:
        self._tick()
        if self._workload is not None:
            self._recorder.mark("command", None, " ".join(self._workload.command))
            self._recorder.begin_command(self._workload.pid)
            self._workload.begin()
        due = self._begun + self._options.interval
        while not self._over():
            self._wait(due)
            now = time.monotonic()
            if now >= due:
                self._tick()
                due = max(due + self._options.interval, now)
            else:
                self._recorder.drain()
        if self._workload is not None and self._workload.status is not None:
            self._recorder.mark("command_end", self._workload.status, "exit status")
        self._tick()

    def _over(self) -> bool:
        if self._workload is not None and self._workload.has_ended():
            return True
        if self._signals > 1:
            return True
        duration = self._options.duration
        return duration is not None and time.monotonic() - self._begun >= duration

    def _wait(self, due: float) -> None:
        now = time.monotonic()
        until = min(due, now + _SECONDS_TO_DRAIN)
        if self._options.duration is not None:
            until = min(until, self._begun + self._options.duration)
        readable: list[int] = [self._woken]
        if self._recorder.stream is not None:
            readable.append(self._recorder.stream.ring.fileno())
        ready, _, _ = select.select(readable, [], [], max(0.0, until - now))
        if self._woken in ready:
            os.read(self._woken, 512)

    def _tick(self) -> None:
        self._recorder.tick()
        self._progress.say()

    def say_all(self) -> None:
        """Prints the last line: the final counts."""
        self._progress.say_all()


class _Progress:
    """Progress while recording: a line that is rewritten in place on a terminal, JSON lines, or nothing."""

    def __init__(self, options: RecordOptions, recorder: Recorder) -> None:
        self._form, self._directory, self._recorder = options.progress, options.directory, recorder
        self._has_command = bool(options.command)
        self._on_terminal = self._form == "text" and sys.stderr.isatty()
        self._begun = time.monotonic()

    def say(self) -> None:
        if self._form == "json":
            self._recorder.measure()
            self._say_json()
        elif self._on_terminal:
            self._recorder.measure()
            print(f"\r{self._line()}\x1b[K", end="", file=sys.stderr, flush=True)

    def _say_json(self) -> None:
        try:
            print(json.dumps(vars(self._recorder.progress)), flush=True)
        except BrokenPipeError:  # the reader has closed the pipe; the recording goes on
            self._form = "none"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say_all(self) -> None:
        if self._form == "text":
            begin = "\r" if self._on_terminal else ""
            print(f"{begin}{printable(self._directory)}: {self._line()}", file=sys.stderr)
            if self._has_command and self._recorder.last is not None:
                say(f"the command: {command_counts.in_words(self._recorder.last)}")

    def _line(self) -> str:
        seconds = int(time.monotonic() - self._begun)
        done = self._recorder.progress
        return (
            f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}  {size(done.bytes)}  "
            f"{done.samples} {plural(done.samples, 'sample')}  {done.events} {plural(done.events, 'event')}  {done.lost} lost"
        )
