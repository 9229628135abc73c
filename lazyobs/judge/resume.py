# SPDX-License-Identifier: MIT
"""What a judgement began with, for ``--resume``: kept at its beginning, and found again."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.judge import arms, capsule, confined, script, state
from lazyobs.judge.arms import Arm
from lazyobs.judge.asked import Asked
from lazyobs.judge.capsule import Capsule
from lazyobs.judge.progress import Progress
from lazyobs.text import printable


def keep(
    folder: state.Folder,
    asked: Asked,
    fitted: Sequence[Arm],
    given: script.Script | None,
    progress: Progress,
    who: confined.Builder,
) -> None:
    """For --resume, where no makefile of the patch can write. What a judgement began with stays."""
    begun = os.path.lexists(folder.path / state.SETTINGS)
    if begun and (capsule.is_there(folder.path) or not who.changes):
        return
    kept = {arm.name: arm.series for arm in fitted if arm.kind == arms.SERIES}
    new = next((arm for arm in fitted if arm.name == "new"), None)
    cover = cover_of(new) if new is not None and asked.cover is not None else ""
    why = capsule.keep(folder.path, sys.argv[1:], kept, cover, given.content if given else None)
    if why and who.changes:
        progress.say(f"--resume will need the whole command again: what was asked cannot be kept ({printable(why)})")


def cover_of(arm: Arm) -> str:
    return f"Subject: {arm.series.subject}\n\n{arm.series.cover}"


def _in_folder(path: Path) -> Capsule:
    """The same of who builds and runs as one user, where nothing was kept: what the folder has."""
    settings = state.Folder(path).settings()
    try:
        words = shlex.split(settings["run"]["again"])
    except ValueError:
        words = []
    if words[:2] != ["lazyobs", "judge"]:
        raise UsageError(printable(str(path)), "does not say how it began", "run the command again with -o")
    kept = {name: path / "series" / name for name, about in settings["arms"].items() if about["kind"] == arms.SERIES}
    cover = path / "cover-new.txt"
    return Capsule(
        words[1:], str(settings.get("place", ".")), kept, cover if cover.exists() else None,
        path / script.KEPT if settings["run"].get("workload") else None,
    )  # fmt: skip


def resumed(path: Path) -> tuple[list[str], dict[str, Any]]:
    """The words of the command line that began the judgement in a folder, and what is taken instead of from where it
    came: the series, as they were then. Root reads nothing in that folder before root is given up; neither does another
    user, where what was asked could be kept: a makefile of the patch may have written there, and the words say where the
    next one may."""
    path = path.absolute()
    found = capsule.of(path) if confined.builder().changes or capsule.is_there(path) else _in_folder(path)
    with contextlib.suppress(OSError):
        os.chdir(found.cwd)  # names are as they were given there
    kept = {name: str(place) for name, place in found.series.items()}
    instead: dict[str, Any] = {"output": path, "kept": kept}
    if found.workload is not None:
        instead["workload"] = found.workload
    if "new" in kept:
        instead["series"] = (kept.pop("new"),)
        instead["cover"] = found.cover
    return list(found.words[1:]), instead
