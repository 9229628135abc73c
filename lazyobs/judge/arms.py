# SPDX-License-Identifier: MIT
"""The arms of a judgement: the base, and what is judged on it: series, other trees, or kernels that are built already."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazyobs.errors import NotSupported, UsageError
from lazyobs.judge import apply, b4, build, lab, series
from lazyobs.judge import base as bases
from lazyobs.judge.asked import BASE
from lazyobs.judge.base import Base
from lazyobs.judge.programs import run
from lazyobs.judge.series import Series
from lazyobs.judge.state import NAME
from lazyobs.text import printable

SERIES, TREE, IMAGE = "series", "tree", "image"
_B4_SECONDS = 120.0


@dataclass(frozen=True)
class Arm:
    """``place``: of a tree's source, or the folder of an image. ``options``: lines of its configuration."""

    name: str
    kind: str
    source: str
    series: Series
    options: tuple[str, ...] = ()
    place: Path | None = None
    base: Base | None = None
    applied: apply.Applied = field(default_factory=apply.Applied)

    def about(self) -> dict[str, Any]:
        """What judge.json keeps of it."""
        files = self.series.files()
        return {
            "kind": self.kind,
            "source": self.source,
            "series": {
                "subject": self.series.subject or self.source,
                "patches": [patch.name for patch in self.series.patches],
                "notes": self.series.notes,
                "options": list(self.options),
                "added": sum(added for added, _ in files.values()),
                "removed": sum(removed for _, removed in files.values()),
                "files": len(files),
            },
        }


def given(name: str, words: Sequence[str], cover: Path | None, options: Sequence[str]) -> Arm:
    """The arm that these words of the command line name. UsageError where they name none."""
    if not NAME.fullmatch(name) or name == BASE:
        raise UsageError(
            f"--arm {printable(name)}", "is no name for an arm", "take small letters and digits, and not base"
        )
    shown = " ".join(printable(word) for word in words)
    if len(words) == 1:
        path = Path(words[0])
        if os.path.isfile(path / "vmlinuz"):
            return Arm(name, IMAGE, shown, Series([]), place=path.resolve())
        if os.path.isdir(path) and os.path.exists(path / "Kconfig"):
            return Arm(name, TREE, shown, Series([]), tuple(options), base=bases.named(words[0]))
        if b4.is_message_id(words[0]) and not os.path.exists(path):
            return _of(name, shown, series.of_bytes(_thread(words[0]), shown), options)
    return _of(name, shown, series.read([Path(word) for word in words], cover), options)


def _of(name: str, shown: str, found: Series, options: Sequence[str]) -> Arm:
    own = [f"CONFIG_{option}=y" for option in build.added_options(found)]
    said = {line.partition("=")[0] for line in options}
    return Arm(name, SERIES, shown, found, (*(line for line in own if line.partition("=")[0] not in said), *options))


def _thread(message_id: str) -> bytes:
    """The series of a message, as an mbox: b4 fetches it. NotSupported where it cannot."""
    if not shutil.which("b4"):
        raise NotSupported(message_id, "is a message, and b4, which fetches it, is not installed", "apt-get install b4, or name an mbox")  # fmt: skip
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "said"
        done = run(["b4", "am", "--no-cache", "-o", folder, "--", message_id], out, _B4_SECONDS)
        found = sorted(Path(folder).glob("*.mbx"))
        if done.status != 0 or not found:
            said = [line for line in out.read_text(errors="replace").splitlines() if line.strip()]
            raise NotSupported(message_id, f"b4 could not fetch it: {printable(said[-1]) if said else 'it said nothing'}", "look whether there is a network, or name an mbox")  # fmt: skip
        cover = next(iter(sorted(Path(folder).glob("*.cover"))), None)
        letter = b"" if cover is None else b"From b4 Thu Jan  1 00:00:00 1970\n" + cover.read_bytes() + b"\n\n"
        return letter + found[0].read_bytes()


def fitted(arm: Arm, base: Base) -> Arm:
    """The arm with its series applied to the base, in memory. UsageError that names patch, file and hunk."""
    if arm.kind != SERIES:
        return arm
    done = apply.apply(arm.series, base.files)
    if not done.fits:
        failures = [str(failure) for failure in done.failures]
        more = f" and {len(failures) - 4} more" if len(failures) > 4 else ""
        where = f"patch {printable(done.failures[0].patch)} does not apply to {base.name} {base.version}"
        raise UsageError(where, "; ".join(failures[:4]) + more, "give the base that it was made for (--base)")
    return Arm(arm.name, arm.kind, arm.source, arm.series, arm.options, arm.place, arm.base, done)


def imported(arm_place: Path, cache: Path) -> build.Image:
    """A kernel that is built already, copied to where judge keeps its own. NotSupported where parts are missing."""
    shown = printable(str(arm_place))
    missing = [name for name in ("vmlinuz", "System.map", "config") if not (arm_place / name).is_file()]
    if missing:
        raise NotSupported(shown, f"lacks {', '.join(missing)}", "put vmlinuz, System.map and config into a folder")
    parts = [
        arm_place / name for name in ("vmlinuz", "System.map", "config", "cmdline") if (arm_place / name).is_file()
    ]
    key = lab.cache.content_hash(parts)
    target = cache / "images" / f"given-{key}"

    def make(folder: Path) -> None:
        for part in parts:
            shutil.copyfile(part, folder / part.name)
        if (arm_place / "modules").is_dir():
            shutil.copytree(arm_place / "modules", folder / "modules", symlinks=True)
        lab.type_data.of(folder)

    try:
        lab.cache.made_once(target, make)
    except (OSError, lab.errors.LabError) as error:
        raise NotSupported(shown, f"cannot be copied ({getattr(error, 'strerror', None) or error})", "make it readable for other users") from None  # fmt: skip
    return build.Image(target)
