# SPDX-License-Identifier: MIT
"""``report`` and ``compare``: read recordings, judge them, and print the verdict. Imports the libraries of lazyobs/soak."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from lazyobs.commands.verdict_options import VerdictOptions
from lazyobs.errors import EXIT_BAD, EXIT_OK, NotSupported
from lazyobs.soak import html_report, output, text_report
from lazyobs.soak.compare import compare
from lazyobs.soak.engine import open_engine
from lazyobs.soak.report import report
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, PASS, Verdict
from lazyobs.text import printable
from lazyobs.unix.stdio import discard_output

_STEPS = 1000  # of the progress bar


def on_each(options: VerdictOptions, directories: Sequence[str]) -> int:
    """Judges each recording separately and prints the verdict. Returns the exit code."""
    rules = load(options.thresholds)
    recordings = _read(options, directories)
    return _show(options, report(recordings, rules), recordings)


def on_two(options: VerdictOptions, base: Sequence[str], new: Sequence[str], calibrate: bool) -> int:
    """Compares the recordings of two kernels and prints the verdict. Returns the exit code."""
    rules = load(options.thresholds)
    recordings = _read(options, [*base, *new])
    first, second = recordings[: len(base)], recordings[len(base) :]
    return _show(options, compare(first, second, rules, calibrate), recordings)


def _read(options: VerdictOptions, paths: Sequence[str]) -> list[Series]:
    """The recordings, each with a unique name. RecordingError for a directory that is not a recording."""
    with open_engine(options.engine) as opened, _bar() as tell:
        found = opened.all_series(paths, tell)
    _name_apart(found, paths)
    for series in found if options.cmdline else ():
        series.identity = {**series.identity, "cmdline": series.cmdline}
    return found


def _show(options: VerdictOptions, verdict: Verdict, recordings: list[Series]) -> int:
    """Writes the verdict. Returns its exit code."""
    if options.html is not None:
        try:
            options.html.parent.mkdir(parents=True, exist_ok=True)  # as record -o does
            html_report.write(verdict, recordings, str(options.html))
        except OSError as error:
            what = printable(str(options.html))
            raise NotSupported(what, f"cannot be written ({error.strerror})", "name another file") from None
    try:
        _print(verdict, options.form)
    except BrokenPipeError:  # a closed pipe does not change the verdict
        discard_output()
    good = verdict.word == PASS if options.need_pass else verdict.word != FAIL
    return EXIT_OK if good else EXIT_BAD


def _print(verdict: Verdict, form: str) -> None:
    if form == "text":
        print(text_report.text(verdict))
    else:
        output.show(verdict, form)
    sys.stdout.flush()


@contextmanager
def _bar() -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error if that is a terminal. Yields a function that takes the fraction done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with click.progressbar(length=_STEPS, label="reading", file=sys.stderr) as bar:
        yield lambda done: bar.update(round(_STEPS * done) - bar.pos)


def _name_apart(recordings: list[Series], paths: Sequence[str]) -> None:
    """Names recordings whose directories have the same name by as much of their paths as tells them apart."""
    names = [series.name for series in recordings]
    parts = [path.rstrip("/").split("/") for path in paths]
    for series, own in zip(recordings, parts):
        alike = [other for name, other in zip(names, parts) if name == series.name and other is not own]
        if not alike:
            continue
        depth = next((n for n in range(2, len(own)) if all(other[-n:] != own[-n:] for other in alike)), len(own))
        series.name = printable("/".join(own[-depth:]))
