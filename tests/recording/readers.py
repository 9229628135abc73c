# SPDX-License-Identifier: MIT
"""Every command that reads recordings, run in this process: (exit status, standard output, standard error) of each."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import click
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from lazyobs import cli
from lazyobs.commands import replay_options
from lazyobs.errors import LazyobsError
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.playback import Playback
from lazyobs.soak.engine import open_engine
from lazyobs.soak.series import Series


class Answer(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


def command(*words: str) -> Answer:
    """``lazyobs`` with those words."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(sys, "argv", ["lazyobs", *words]):  # fmt: skip
        status = cli._run()
    return Answer(status, out.getvalue(), err.getvalue())


def exported(path: str) -> Answer:
    """The page of ``export --replay`` at each sample of a recording, without the server."""
    pages, err = [], io.StringIO()
    moments = [0.0]
    with contextlib.redirect_stderr(err), click.Context(click.Command("export")):
        try:
            playback = Playback(replay_options.open_recording(Path(path)), clock=lambda: moments[-1])
        except LazyobsError as error:
            return Answer(error.exit_code, "", f"{error}\n")
        registry = CollectorRegistry()
        registry.register(LazyobsCollector(playback, CgroupFold(), splats=None, steady=False))
        while True:
            pages.append(generate_latest(registry).decode())
            following = playback._following
            if following is None or err.getvalue():
                break
            moments.append(moments[-1] + following.time - playback._shown.time)
        playback.close()
    return Answer(
        0, "\n".join(line for page in pages for line in page.splitlines() if "scrape_read" not in line), err.getvalue()
    )


class _KeptEngine:
    """An engine for all calls: to compile its queries takes longer than to read a small recording. What it has read of
    the recording "base", which does not change, it keeps."""

    def __init__(self) -> None:
        self._engine = open_engine()
        self._base: dict[str, Series] = {}

    def all_series(self, paths: Sequence[str], progress: Any) -> list[Series]:
        return [self._series(path) for path in paths]

    def _series(self, path: str) -> Series:
        if not path.endswith("/base"):
            return self._engine.series(path)
        if path not in self._base:
            self._base[path] = self._engine.series(path)
        return dataclasses.replace(self._base[path])

    def __enter__(self) -> _KeptEngine:
        return self

    def __exit__(self, *_error: object) -> None:
        """It stays open."""


_engine = functools.cache(_KeptEngine)


def judged(*words: str) -> Answer:
    """``report`` or ``compare``."""
    from lazyobs.commands import verdict

    with mock.patch.object(verdict, "open_engine", lambda _name: _engine()):
        return command(*words)


# Given the path of a recording. Beside it lies "base", one of another boot.
COMMANDS: dict[str, Callable[[str], Answer]] = {
    "top": lambda path: command("top", "-b", "-o", "json", "--replay", path),
    "census": lambda path: command("census", "-o", "json", "--replay", path),
    "summary": lambda path: command("summary", "--replay", path),
    "trace": lambda path: command("trace", "-o", "json", "--replay", path),
    "export": exported,
    "report": lambda path: judged("report", "-o", "json", path),
    "compare": lambda path: judged("compare", "-o", "json", "--base", f"{path}/../base", "--new", path),
}
