# SPDX-License-Identifier: MIT
"""What ``report`` and ``compare`` share: their options, reading recordings, and showing a verdict."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lazyobs.errors import EXIT_BAD, EXIT_OK, NotSupported
from lazyobs.text import printable
from lazyobs.unix.stdio import give_up

if TYPE_CHECKING:
    from lazyobs.soak.series import Series
    from lazyobs.soak.thresholds import Thresholds
    from lazyobs.soak.verdict import Verdict

_LIBRARIES = ("scipy", "plotly")
_STEPS = 1000  # of the progress bar


@dataclass(frozen=True)
class Judging:
    """How to judge, and how to show it. ``form``: table, json, csv or text; ``html``: a page besides; ``need_pass``:
    nothing else is good enough."""

    form: str
    html: Path | None
    need_pass: bool
    engine: str
    thresholds: Path | None

    def rules(self) -> Thresholds:
        from lazyobs.soak.thresholds import load

        return load(self.thresholds)

    def read(self, paths: Sequence[str]) -> list[Series]:
        """The recordings, each with a name that no other has. RecordingError where one is none."""
        from lazyobs.soak.engine import open_engine

        with open_engine(self.engine) as opened, _bar() as tell:
            found = opened.all_series(paths, tell)
        _name_apart(found, paths)
        return found

    def show(self, verdict: Verdict, recordings: list[Series]) -> int:
        """Writes the verdict; the exit code it means."""
        if self.html is not None:
            from lazyobs.soak import html_report

            try:
                html_report.write(verdict, recordings, str(self.html))
            except OSError as error:
                raise NotSupported(printable(str(self.html)), f"cannot be written ({error.strerror})", "name another file") from None  # fmt: skip
        from lazyobs.soak.verdict import FAIL, PASS

        try:
            self._print(verdict)
        except BrokenPipeError:  # whoever reads no further has not changed the verdict
            give_up()
        good = verdict.word == PASS if self.need_pass else verdict.word != FAIL
        return EXIT_OK if good else EXIT_BAD

    def _print(self, verdict: Verdict) -> None:
        if self.form == "text":
            from lazyobs.soak import text_report

            print(text_report.text(verdict), end="")
        else:
            from lazyobs.soak import output

            output.show(verdict, self.form)
        sys.stdout.flush()


def judging(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as ``how``, a Judging."""

    @functools.wraps(command)
    def judge(
        *given: Any,
        output: str,
        json: bool,
        text: bool,
        html: Path | None,
        need_pass: bool,
        engine: str,
        thresholds: Path | None,
        **named: Any,
    ) -> Any:
        how = Judging(_form(output, json, text), html, need_pass, engine, thresholds)
        _need_libraries(command.__name__)
        return command(*given, how=how, **named)

    found: Callable[..., Any] = judge
    for option in reversed(
        (
            click.option("-o", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True, help="Form of the output."),
            click.option("--json", "json", is_flag=True, help="The same as -o json."),
            click.option("--text", "text", is_flag=True, help="A letter of 72 columns, as for a mailing list."),
            click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page with charts, too."),
            click.option("--need-pass", is_flag=True, help="Exit with 1 on INCONCLUSIVE, too: for a rollout that wants proof."),
            click.option("--engine", default="duckdb", show_default=True, metavar="NAME", help="What reads the recordings: duckdb or spark."),
            click.option("--thresholds", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="TOML that replaces some of lazyobs/soak/thresholds.toml."),
        )
    ):  # fmt: skip
        found = option(found)
    return found


def _form(output: str, json: bool, text: bool) -> str:
    if text and (json or output != "table"):
        raise click.UsageError("--text is a form of its own: leave out -o and --json")
    if json and output == "csv":
        raise click.UsageError("--json and -o csv are two forms: choose one")
    return "text" if text else "json" if json else output


def _need_libraries(command: str) -> None:
    """NotSupported where one is missing. They are imported by these commands alone."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotSupported(command, f"needs {' and '.join(missing)}", "pip install 'lazyobs[soak]'")


@contextmanager
def _bar() -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, where that is a terminal: a function that is told the share done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with click.progressbar(length=_STEPS, label="reading", file=sys.stderr) as bar:
        yield lambda done: bar.update(round(_STEPS * done) - bar.pos)


def _name_apart(recordings: list[Series], paths: Sequence[str]) -> None:
    """Directories of one name are told apart by their paths."""
    names = [series.name for series in recordings]
    for series, path in zip(recordings, paths):
        if names.count(series.name) > 1:
            series.name = path.rstrip("/")
