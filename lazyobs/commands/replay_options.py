# SPDX-License-Identifier: MIT
"""``--replay DIR`` and ``--speed``, for the commands that can show a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lazyobs import shipped
from lazyobs.commands import completions
from lazyobs.commands.libraries import need_libraries
from lazyobs.commands.options import all_of, exclude
from lazyobs.text import say

if TYPE_CHECKING:
    from lazyobs.recording.replay import ReplaySource

_OPENED = "lazyobs.recordings"  # of click's context: those whose notes are said at its end


def _speed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if value == "max":
        return math.inf
    try:
        speed = float(value.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise click.BadParameter(f"{value!r} is not a speed: use 10x, 0.5x or max")
    return speed


def place(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A recording's directory, or else the example of that name."""
    return value if value is None else Path(shipped.recording(str(value)))


def places(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The same for several; a directory of recordings, or an example of several boots, is all of them."""
    return tuple(one for value in values for one in shipped.recordings(value))


REPLAY = click.option("--replay", type=click.Path(path_type=Path), callback=place, metavar="DIR", shell_complete=completions.recordings, help="Show a recording, or an example by name (lab); needs no privileges.")  # fmt: skip
SPEED = click.option("--speed", callback=_speed, metavar="Nx|max", help="Speed of --replay; default: 1x on a screen, max otherwise.")  # fmt: skip
REPLAY_OPTIONS = all_of(REPLAY, SPEED)

_LIBRARIES = ("numpy", "pyarrow")  # that read recordings: a host that only records need not have them


@dataclass(frozen=True)
class ReplayOptions:
    """``replay`` None: the running kernel. ``speed`` is inf for max, None if it was not given."""

    replay: Path | None
    speed: float | None

    def pace(self, on_screen: bool) -> float:
        """Seconds of the recording that pass in one second; inf for max."""
        return self.speed or (1.0 if on_screen else math.inf)

    def seconds_between(self, source: ReplaySource, on_screen: bool) -> float:
        """Seconds to wait between two samples; 0 for max."""
        return source.interval / self.pace(on_screen)


def check_replay() -> None:
    """UsageError for options of the command line that would have no effect."""
    context = click.get_current_context()
    exclude(context, "replay", ("tier", "profile"), "the kernel and the tiers of a recording are fixed")
    exclude(context, "replay", ("budget",), "a recording is read as it is")
    if context.params.get("speed") is not None and context.params["replay"] is None:
        raise click.UsageError("--speed has no meaning without --replay")


def open_recording(directory: Path, last: bool = False) -> ReplaySource:
    """RecordingError if it cannot be read or holds no sample. ``last``: only its last sample."""
    need_libraries("--replay", _LIBRARIES)
    from lazyobs.recording.replay import open_replay

    return _watched(open_replay(directory, last))


def open_recorded_events(directory: Path) -> ReplaySource:
    """Opens a recording for its trace; it need not hold a sample."""
    need_libraries("--replay", _LIBRARIES)
    from lazyobs.recording.replay import ReplaySource

    return _watched(ReplaySource(str(directory)))


def _watched(source: ReplaySource) -> ReplaySource:
    """When the command ends, what the recording lacked is a line on standard error: once, though it may be open twice."""
    context = click.get_current_context()
    opened: list[ReplaySource] = context.meta.setdefault(_OPENED, [])
    opened.append(source)

    def say_notes() -> None:
        notes = list(dict.fromkeys((one.path, note) for one in opened for note in one.notes()))
        for path, note in notes:
            # One that read less may know less of where it is cut off.
            if not any(other != note and other.startswith(note) for where, other in notes if where == path):
                say(f"lazyobs: recording {path}: {note}")

    if len(opened) == 1:
        context.call_on_close(say_notes)
    return source
