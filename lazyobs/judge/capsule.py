# SPDX-License-Identifier: MIT
"""What has been asked to judge, kept where no program of the patch can write, so that ``judge --resume`` can go on.

The folder of a judgement is the builder's, and a makefile of the patch is a program of the builder's. Before root is given
up nothing in that folder is read: the words of the command, the series and the user's program come from here. Of another
user, who builds himself, they do as well: the words name the folders that a makefile may write in.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyobs.errors import NotPermitted
from lazyobs.judge import lab
from lazyobs.judge.series import Series
from lazyobs.text import printable

_NEXT = "give the whole command again, with -o and that folder: it goes on, too"


@dataclass(frozen=True)
class Capsule:
    """``words``: behind ``lazyobs``; ``cwd``: what names in them are relative to; ``series``: a folder of mails by arm;
    ``cover``, ``workload``: None where there is none."""

    words: Sequence[str]
    cwd: str
    series: Mapping[str, Path]
    cover: Path | None
    workload: Path | None


def _places() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/.local/state")
    if not os.path.isabs(state):
        raise NotPermitted("HOME", "is not set, and this user has no home folder", f"set it, or {_NEXT}")
    return Path(state) / "lazyobs" / "judge"


def _place(folder: Path) -> Path:
    return _places() / hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:24]


def keep(folder: Path, words: Sequence[str], given: Mapping[str, Series], cover: str, workload: bytes | None) -> str:
    """Keeps them for the judgement in ``folder``, in the place of an older one. Why it could not, "" where it could.

    ``given``: the series of each arm that is one; ``cover``: the cover letter that was given apart, "" without one.
    """

    def make(making: Path) -> None:
        for arm, one in given.items():
            one.put(making / "series" / arm)
        if cover:
            (making / "cover.txt").write_text(cover)
        if workload is not None:
            (making / "workload").write_bytes(workload)
            (making / "workload").chmod(0o700)
        asked = {"folder": str(folder.absolute()), "words": list(words), "cwd": os.getcwd()}
        (making / "asked.json").write_text(json.dumps(asked))

    try:
        place = _place(folder)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _need_own(place.parent)
        _clear(place.parent)
        shutil.rmtree(place, ignore_errors=True)
        lab.cache.made_once(place, make)
    except (OSError, NotPermitted) as error:
        return error.strerror or str(error) if isinstance(error, OSError) else f"{error.what} {error.why}"
    return ""


def is_there(folder: Path) -> bool:
    try:
        return os.path.exists(_place(folder) / "asked.json")
    except NotPermitted:
        return False


def of(folder: Path) -> Capsule:
    """NotPermitted where this root has kept nothing for the judgement in ``folder``."""
    place = _place(folder)
    shown = printable(str(folder))
    try:
        _need_own(place)
        asked = json.loads((place / "asked.json").read_text())
        words, cwd = [str(word) for word in asked["words"]], str(asked["cwd"])
        arms = sorted(os.listdir(place / "series")) if (place / "series").is_dir() else []
    except (OSError, ValueError, KeyError, TypeError):
        raise NotPermitted(shown, "is the folder of another user, in which this root has begun no judgement", _NEXT) from None  # fmt: skip
    cover, workload = place / "cover.txt", place / "workload"
    return Capsule(
        words, cwd, {arm: place / "series" / arm for arm in arms},
        cover if cover.exists() else None, workload if workload.exists() else None,
    )  # fmt: skip


def _need_own(place: Path) -> None:
    state = os.lstat(place)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o022:
        raise NotPermitted(printable(str(place)), "can be written by other users", "remove it")


def _clear(places: Path) -> None:
    """What is of folders that are gone."""
    for place in places.iterdir():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if not os.path.isdir(json.loads((place / "asked.json").read_text())["folder"]):
                shutil.rmtree(place)
